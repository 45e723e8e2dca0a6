"""When does an answer find a truth? Said once, in words that go into the report."""

from __future__ import annotations

import re
from dataclasses import dataclass

from overread.core.errors import OverreadError

AUTO = {True: 0.5, False: 0.1}  # least intersection over union, by "is planar"
WRITTEN = 'write "iou 0.5", "distance 10 mm", "distance 10 px", "hit" or "auto"'
_FORM = re.compile(r"(?P<kind>iou|distance)\s+(?P<limit>[0-9.]+)\s*(?P<unit>mm|px)?")


@dataclass(frozen=True)
class Criterion:
    """What an answer must do to count as having found a truth.

    kind   "iou": intersection over union of at least `limit`; "distance": centres at most `limit` apart;
           "hit": the answer's centre lies inside the truth
    of     "box" or "mask": what overlaps, whose centre it is, and what the centre must lie in
    unit   of a distance: "mm" or "px"
    """

    kind: str
    limit: float = 0.0
    of: str = "box"
    unit: str = "mm"

    @classmethod
    def parse(cls, text: str, *, of: str = "box", is_planar: bool = False) -> Criterion:
        """Read "iou 0.5", "distance 10 mm", "distance 10 px", "hit", or "auto" (2D: IoU 0.5; 3D: IoU 0.1).

        In 3D a small shift takes off far more of a volume than of an area, and flat lesions a few slices thick would be
        lost to it; 0.1 is the limit that nnDetection uses (Baumgartner, MICCAI 2021).
        """
        plain = " ".join(text.lower().split())
        if plain == "auto":
            return cls("iou", AUTO[is_planar], of)
        if plain == "hit":
            return cls("hit", of=of)
        form = _FORM.fullmatch(plain)
        if form is None:
            raise OverreadError(f"The matching criterion '{text}' is not understood.", WRITTEN)
        limit = _number(form["limit"], text)
        if form["kind"] == "iou":
            if form["unit"] or not 0 < limit <= 1:
                raise OverreadError(f"The matching criterion '{text}': an IoU is a share above 0 and up to 1.", WRITTEN)
            return cls("iou", limit, of)
        if not form["unit"]:
            raise OverreadError(f"The matching criterion '{text}': a distance of what unit?", WRITTEN)
        if limit <= 0:
            raise OverreadError(f"The matching criterion '{text}': a distance must be above 0.", WRITTEN)
        return cls("distance", limit, of, form["unit"])

    @property
    def text(self) -> str:
        """As it is written in the settings."""
        if self.kind == "hit":
            return "hit"
        return f"iou {self.limit:g}" if self.kind == "iou" else f"distance {self.limit:g} {self.unit}"

    @property
    def words(self) -> str:
        """As a reader is told."""
        each = "; each truth is found once, by the answer with the highest score, and further answers to it are false positives"
        what = "voxels" if self.of == "mask" else "boxes"
        if self.kind == "iou":
            return f"an answer finds a truth when their {what} overlap by at least {self.limit:g} (intersection over union){each}"
        if self.kind == "distance":
            unit = "mm" if self.unit == "mm" else "pixels"
            centre = "centres of gravity" if self.of == "mask" else "centres of their boxes"
            return f"an answer finds a truth when the {centre} lie at most {self.limit:g} {unit} apart{each}"
        inside = "centre of gravity lies in one of the truth's voxels" if self.of == "mask" else "centre lies in the truth's box"
        return f"an answer finds a truth when its {inside}{each}"


def _number(written: str, text: str) -> float:
    try:
        return float(written)
    except ValueError:
        raise OverreadError(f"The matching criterion '{text}': {written} is not a number.", WRITTEN) from None
