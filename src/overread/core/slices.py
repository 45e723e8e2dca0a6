"""Slices of a source series, and how much each shares in an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from overread.core.image import Image

NUMBERS = "slice_numbers"  # in `Image.source`: the number of each slice as its series counts
KINDS = ("slice", "row", "column")  # what a plane across an array axis of the source is called


@dataclass(frozen=True)
class SliceShare:
    """One plane of a source image, and its share in the answer.

    axis    array axis of the source that the planes follow each other along: 0 where they are its slices
    index   along that axis, from 0
    number  as the series counts: Instance Number (0020,0013), or the frame of a multi-frame file; where a format has no
            numbers, index + 1; None for a slice that was interpolated
    share   0 to 1; the shares of all planes make 1
    even    what each would have if all that share had the same
    """

    axis: int
    index: int
    number: int | None
    share: float
    even: float

    @property
    def name(self) -> str:
        return (
            f"{KINDS[self.axis]} {self.number}"
            if self.number is not None
            else f"interpolated {KINDS[self.axis]} {self.index + 1}"
        )

    def __str__(self) -> str:
        return f"{self.name} ({100 * self.share:.0f} %)"

    def as_dict(self) -> dict[str, Any]:
        return {
            "plane": KINDS[self.axis],
            "number": self.number,
            "index": self.index,
            "share": round(self.share, 4),
            "even": round(self.even, 4),
        }


def numbers_of(image: Image) -> tuple[int | None, ...] | None:
    """How the series counts its slices, along array axis 0; None where it does not."""
    given: Sequence[int | None] | None = image.source.get(NUMBERS)
    return tuple(given) if given is not None and len(given) == image.grid.shape[0] else None


def shares_in_words(shares: Sequence[SliceShare]) -> str:
    """ "slice 12 (41 %), slice 13 (22 %); each would have 5 % if all were alike", the largest share first."""
    listed = ", ".join(str(share) for share in shares)
    return f"{listed}; each would have {100 * shares[0].even:.0f} % if all were alike" if shares else ""
