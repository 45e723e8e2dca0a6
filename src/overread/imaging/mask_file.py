"""A mask as a file of its own, beside an image that was made along it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import PIL.Image

from overread.core.grid import Grid
from overread.imaging.nifti import write_nifti
from overread.record.files import write_bytes


def write_mask(path: Path, labels: np.ndarray, grid: Grid, *, description: str = "") -> None:
    """Write label values (Z, Y, X) as PNG (planar, its pixels are the values) or NIfTI, as the suffix says."""
    small = labels.astype(np.uint8 if labels.max(initial=0) < 256 else np.uint16)
    if path.suffix != ".png":
        write_nifti(path, small, grid, description=description)
        return
    text = io.BytesIO()
    PIL.Image.fromarray(small[0]).save(text, "PNG")
    write_bytes(path, text.getvalue())
