"""The least worsening of an image, of those that happen in practice, that turns an answer: noise, blur, contrast and the like.

Each degradation of `overread robustness` is tried at quarters of the way to its largest amount there; between the last quarter
that left the answer and the first that turned it the amount is halved down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from overread.batches.sampler import flatten
from overread.batches.windows import cut
from overread.core.image import Image
from overread.explanation.flips.answered import Answered
from overread.imaging.degrade.degradation import Degradation, Level, random_of
from overread.imaging.degrade.table import DEGRADATIONS

QUARTERS = (0.25, 0.5, 0.75, 1.0)
HALVINGS = 4
# Amounts at which nothing is done. Lost slices are not among them: one in so many cannot be halved.
NOTHING = {
    "noise": 0.0,
    "low-dose": 1.0,
    "blur": 0.0,
    "contrast": 1.0,
    "bias-field": 0.0,
    "rotation": 0.0,
    "motion": 0.0,
    "k-space": 1.0,
    "resolution": 1.0,
    "jpeg": 95.0,
}
WHOLE = ("jpeg",)  # amounts are whole numbers


@dataclass(frozen=True)
class Worsened:
    """One degradation, and the least amount of it that was found to turn the answer.

    words   the amount, as in the table of `overread robustness`; where nothing turned the answer, the largest that was tried
    window  (1, C, [Z,] Y, X) of the worsened image; None where nothing turned the answer
    change  root mean square of the change, in SD of the image
    image   the worsened image; None where nothing turned the answer
    """

    name: str
    title: str
    words: str
    window: Tensor | None
    change: float
    image: Image | None


def least_worsening(answered: Answered, image: Image, case_id: str) -> list[Worsened]:
    """One row per degradation that makes sense for the image, and for each direction that it has."""
    is_placed = answered.asked.task.question.task != "classification"
    rows = []
    for degradation in DEGRADATIONS.values():
        if degradation.obstacle(image) or (is_placed and degradation.turn_back is not None):
            continue
        rows += [_least(answered, image, case_id, degradation, level) for level in _ends(degradation, image)]
    return rows


def _ends(degradation: Degradation, image: Image) -> list[Level]:
    """The largest amount of each direction; of lost slices, which cannot be halved, every amount."""
    levels = degradation.levels(image)
    if degradation.name not in NOTHING:
        return list(levels)
    nothing = NOTHING[degradation.name]
    sides = [[one for one in levels if (one.value > nothing) is upwards] for upwards in (False, True)]
    return [max(side, key=lambda one: abs(one.value - nothing)) for side in sides if side]


def _least(answered: Answered, image: Image, case_id: str, degradation: Degradation, end: Level) -> Worsened:
    def made(share: float) -> tuple[Image, Tensor]:
        worse = degradation.change(image, _amount(degradation, end, share), random_of(degradation.name, case_id))
        return worse, window_of(answered, worse)

    def turns(share: float) -> bool:
        return answered.flipped(made(share)[1])

    share = _first(turns) if degradation.name in NOTHING else (1.0 if turns(1.0) else None)
    if share is None:
        return Worsened(degradation.name, degradation.title, end.words, None, 0.0, None)
    worse, window = made(share)
    words = amount_words(end, _amount(degradation, end, share))
    change = float((window - answered.asked.images).square().mean().sqrt())
    return Worsened(degradation.name, degradation.title, words, window, change, worse)


def _amount(degradation: Degradation, end: Level, share: float) -> float:
    """The amount at a share of the way from nothing to the end."""
    if degradation.name not in NOTHING:
        return end.value
    nothing = NOTHING[degradation.name]
    amount = nothing + share * (end.value - nothing)
    return float(round(amount)) if degradation.name in WHOLE else amount


def _first(turns: Callable[[float], bool]) -> float | None:
    low = 0.0
    for high in QUARTERS:
        if turns(high):
            break
        low = high
    else:
        return None
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if turns(middle) else (middle, high)
    return high


def window_of(answered: Answered, image: Image) -> Tensor:
    """The window (1, C, [Z,] Y, X) of another image of the same case."""
    asked = answered.asked
    array = answered.predictor.prepare(image).array
    window = torch.from_numpy(np.ascontiguousarray(cut(array, asked.start, asked.patch))[None]).to(asked.images)
    return flatten(window, asked.dimensions)


def amount_words(end: Level, amount: float) -> str:
    """The words of a level with another number in them: "sigma 4 pixels" at 1.3 is "sigma 1.3 pixels"."""
    for factor in (1, 100):  # shares are said in per cent
        said = f"{factor * end.value:g}"
        if said in end.words:
            return end.words.replace(said, f"{factor * amount:.3g}", 1)
    return f"{end.words}, at {amount:.3g}"
