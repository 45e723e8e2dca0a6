"""What a person sees of an image that was written: a small picture with the suspected regions outlined."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from overread.core.errors import Refused
from overread.imaging.deidentify.burned_in import Box, find_text
from overread.imaging.deidentify.settings import Look
from overread.imaging.dicom.header import read_header
from overread.imaging.dicom.pixels import stored_frame

SIDE = 256  # pixels of the longer side of a small picture
OUTLINE = (255, 196, 0)
FRAMES_LOOKED_AT = 5
MOST_PIXELS = 1 << 25  # of a frame; twice the largest mammogram
TOO_LARGE = "its pixels are too many to be looked at"


def look_at(path: Path, reasons: Sequence[str]) -> Look:
    """Look at up to five frames of a DICOM file, spread over its length; the one with most findings is shown."""
    try:
        header = read_header(path)
        if header.rows * header.columns > MOST_PIXELS:
            return Look((*reasons, TOO_LARGE), (), b"")
        chosen = sorted({round(k) for k in np.linspace(0, header.frames - 1, min(header.frames, FRAMES_LOOKED_AT))})
        frames = [stored_frame(header, k if header.frames > 1 else None) for k in chosen]
    except Refused as refused:
        return Look((*reasons, f"its pixels could not be looked at ({refused.code})"), (), b"")
    return look_at_frames(frames, reasons, header.photometric == "MONOCHROME1")


def look_at_frames(frames: Sequence[np.ndarray], reasons: Sequence[str], is_inverted: bool = False) -> Look:
    """frames: (Y, X) or (Y, X, 3), any number type."""
    found = [find_text(frame) for frame in frames]
    shown = max(range(len(frames)), key=lambda k: len(found[k]))
    boxes = tuple(sorted({box for one in found for box in one}))
    because = [*reasons, "something that looks like text"] if boxes else list(reasons)
    return Look(tuple(because), boxes, thumbnail(frames[shown], boxes, is_inverted))


def thumbnail(frame: np.ndarray, boxes: Sequence[Box], is_inverted: bool = False) -> bytes:
    """PNG of at most 256 x 256 pixels."""
    values = frame.astype(np.float32)
    low, high = np.percentile(values, [0.5, 99.8])
    scaled = np.clip((values - low) / max(high - low, 1e-6), 0, 1)
    eight = ((1 - scaled if is_inverted else scaled) * 255).astype(np.uint8)
    picture = Pillow.fromarray(eight).convert("RGB")
    factor = SIDE / max(picture.size)
    size = (max(round(picture.width * factor), 1), max(round(picture.height * factor), 1))
    picture = picture.resize(size, Pillow.Resampling.BILINEAR)
    draw = ImageDraw.Draw(picture)
    for y0, x0, y1, x1 in boxes:
        draw.rectangle([x0 * factor - 1, y0 * factor - 1, x1 * factor, y1 * factor], outline=OUTLINE)
    content = io.BytesIO()
    picture.save(content, "PNG", optimize=True)
    return content.getvalue()
