"""The part of an image that a second model reads, where a first model has found a structure: organ first, lesion second."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Region:
    """What a second model is shown of an image.

    model      digest of the first model
    structure  that it outlines
    margin_mm  that is kept around it (pixels where the spacing is not known)
    """

    model: str
    structure: str
    margin_mm: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class RegionBox:
    """Where the region lies in one image.

    of           the rule that it follows
    start, stop  (z, y, x) of the source grid, the voxel at `stop` no longer inside
    is_found     False where the first model found nothing of the structure, so that the box is the whole image
    """

    of: Region
    start: tuple[int, int, int]
    stop: tuple[int, int, int]
    is_found: bool = True

    @property
    def place(self) -> tuple[slice, slice, slice]:
        z, y, x = (slice(a, b) for a, b in zip(self.start, self.stop, strict=True))
        return z, y, x
