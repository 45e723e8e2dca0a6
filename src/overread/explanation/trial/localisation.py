"""Localisation: a map that is shown as the place of a finding must fall on what radiologists drew there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from overread.evaluation.rules import Rules
from overread.explanation.methods.method import Method
from overread.explanation.trial.criterion import Bound, Measured, Numbers, Tell, mean_of
from overread.explanation.trial.localise import Located, crossed_overlaps, even, locate, middle
from overread.explanation.trial.maps import Maps
from overread.explanation.trial.posed import Posed

NOT_DRAWN = "nobody drew where it lies; give drawn truths with --drawn"


@dataclass(frozen=True)
class Localisation:
    """Share of a map's sum inside the drawing; beside it the pointing game, the fullest slice and IoU.

    digest  of the drawings that were given, where they are not the project's own truths
    """

    digest: str = ""

    key: ClassVar[str] = "localisation"
    title: ClassVar[str] = "Localisation"
    what: ClassVar[str] = "share of the map inside the drawing, less that of maps that know nothing"
    rule: ClassVar[str] = (
        "Passed where the share of the map's sum that lies inside the drawing exceeds, with the whole interval, what the better "
        "of two maps that know nothing has there: an even one (the drawing's share of the image) and a Gaussian in the middle of "
        "the image. Pointing game and IoU stand beside; the threshold of IoU is chosen on the other half of the patients."
    )
    reason: ClassVar[str] = (
        "Findings lie near the middle more often than not, so that pointing there is no achievement. How good is good enough is "
        "a question of use; the overlap of two readers, where known, stands beside (Saporta 2022)."
    )
    bound: ClassVar[Bound] = Bound("above", 0.0)
    version: ClassVar[int] = 3
    is_essential: ClassVar[bool] = True

    @property
    def identity(self) -> str:
        return self.digest

    def refusal(self, method: Method, posed: Sequence[Posed]) -> str | None:
        return None if any(each.truth is not None for each in posed) else NOT_DRAWN

    def measure(self, maps: Maps, tell: Tell) -> Measured:
        of_map: list[Located | None] = []
        for number, each in enumerate(maps.posed):
            of_map.append(None if each.truth is None else locate(maps.of(number), each.truth))
            tell(1 / len(maps.posed))
        level, centred = known_nothing(maps.posed)
        gains: Numbers = [_gain(*three) for three in zip(of_map, level, centred, strict=True)]
        beside, shares = _numbers(of_map, maps.posed)
        for name, located in (("even", level), ("middle", centred)):
            beside |= {f"{key}_{name}": numbers for key, numbers in _numbers(located, maps.posed)[0].items()}
        chosen = sorted({share for share in shares if share is not None})
        why = "none of these cases has a drawing where the network looks"
        return Measured(gains, beside=beside, facts={"shares": chosen}, why=why)


def _gain(of_map: Located | None, level: Located | None, centred: Located | None) -> float | None:
    if of_map is None or level is None or centred is None:
        return None
    return of_map.energy - max(level.energy, centred.energy)


def known_nothing(posed: Sequence[Posed]) -> tuple[list[Located | None], list[Located | None]]:
    """Of every case with a drawing: an even map, and one that points to the middle of the image."""
    level = [None if p.truth is None else locate(even(p.asked), p.truth) for p in posed]
    return level, [None if p.truth is None else locate(middle(p.asked), p.truth) for p in posed]


def human(posed: Sequence[Posed], rules: Rules) -> list[dict[str, Any]]:
    """What the drawings of other readers reach against the first one, by the same measures; nothing where nobody else drew.

    A reader who left empty what the first one drew overlaps by 0.
    """
    rows = []
    for reader in range(max((len(each.readers) for each in posed), default=0)):
        drawn = [each.readers[reader] if reader < len(each.readers) else None for each in posed]
        located: list[Located | None] = []
        overlaps: Numbers = []
        for each, other in zip(posed, drawn, strict=True):
            if each.truth is None or other is None:
                located.append(None)
                overlaps.append(None)
                continue
            located.append(locate(other.astype(np.float32), each.truth) if other.any() else None)
            overlaps.append(float((each.truth & other).sum() / (each.truth | other).sum()))
        numbers = {**_numbers(located, posed)[0], "iou": overlaps}
        if any(each is not None for each in overlaps):
            measures = {name: mean_of(values, posed, rules).as_dict() for name, values in numbers.items()}
            rows.append({"reader": reader + 2, "measures": measures})
    return rows


def _numbers(located: Sequence[Located | None], posed: Sequence[Posed]) -> tuple[dict[str, Numbers], list[float | None]]:
    overlaps, shares = crossed_overlaps(located, [each.patient_id for each in posed])
    energy: Numbers = [None if each is None else each.energy for each in located]
    pointing: Numbers = [None if each is None else each.pointing for each in located]
    fullest: Numbers = [None if each is None else each.slice for each in located]
    slices = {"slice": fullest} if any(each is not None for each in fullest) else {}
    return {"energy": energy, "pointing": pointing, **slices, "iou": overlaps}, shares
