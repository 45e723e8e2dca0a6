"""How far the code of an image lies from the codes of normal ones: an anomaly that the error of the image may not show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from overread.batches.windows import centred_start, cut
from overread.core.errors import OverreadError
from overread.reading.answering import Answering
from overread.reading.codes import Coder
from overread.reading.predictor import Predictor
from overread.workflow.unfit import CODED


@dataclass(frozen=True)
class UsualCode:
    """centre, spread  (L,) of the codes of normal cases; spread is above 0"""

    centre: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, codes: Sequence[np.ndarray]) -> UsualCode:
        """By mean and standard deviation of each number; too few cases for how the numbers go together.

        The spread of a number is never below a tenth of the usual one: a code may hold numbers that say nothing.
        """
        if len(codes) < 2:
            raise OverreadError("One normal case does not say how codes differ.", "give more normal tuning cases")
        spread = np.std(codes, axis=0, ddof=1)
        return cls(np.mean(codes, axis=0), np.maximum(spread, max(0.1 * float(np.median(spread)), 1e-12)))

    def distance(self, code: np.ndarray) -> float:
        """In standard deviations, root mean square over the numbers: about 1 for a normal case."""
        return float(np.sqrt(np.mean(((code - self.centre) / self.spread) ** 2)))


def code_of(reader: Answering, array: np.ndarray) -> np.ndarray | None:
    """(L,) code of a prepared image (C, Z, Y, X), of its middle where it is larger than a code takes; None without a code."""
    if reader.task.question.task not in CODED or not isinstance(reader, Predictor):
        return None
    patch = reader.preparation.patch
    window = np.asarray(cut(array, centred_start(array.shape[1:], patch), patch), np.float32)
    return Coder.of(reader).encode([window]).mean[0]
