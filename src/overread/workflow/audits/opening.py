"""How the audit opens an image: a plain function, which travels to worker processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from overread.cohort.load import open_channels
from overread.core.case import ImageReference
from overread.core.image import Image


def open_case(references: Mapping[str, Sequence[ImageReference]], folder: Path, gaps: str, tilt: str, case_id: str) -> Image:
    """All channels of a case, whose files are named relative to `folder`."""
    return open_channels(case_id, references[case_id], folder, gaps=gaps, tilt=tilt)
