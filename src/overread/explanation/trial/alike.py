"""From likenesses of maps to what is judged: the share of likeness that is kept, and its two parts beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from overread.explanation.trial.criterion import Measured
from overread.explanation.trial.maps import Maps
from overread.explanation.trial.similarity import Likeness, numbers_of

HALF = 0.5
KEPT = (
    "Likeness is the mean of SSIM and rank correlation of absolute maps; the share kept is 0 where maps are no more alike than "
    "those of different patients, and 1 where they are the same."
)
WHY_HALF = (
    "The likeness of different patients is the floor (Arun 2021); that a map keeps or loses half of the rest is our choice."
)


def measured(maps: Maps, found: Sequence[Likeness | None], facts: Mapping[str, Any], why: str = "") -> Measured:
    """What was found of each case.

    why  numbers are missing, where that is not for want of a second patient
    """
    chance = numbers_of(maps.chance, "mean")
    if all(number is None for number in chance):
        why = "all cases are of one patient"
    beside = {"ssim": numbers_of(found, "ssim"), "spearman": numbers_of(found, "spearman"), "different_patients": chance}
    return Measured(numbers_of(found, "mean"), chance, beside, facts, why)
