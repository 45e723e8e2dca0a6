"""The maps of one method of all cases, each made once, and how alike maps of different patients are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from overread.explanation.methods.method import Method
from overread.explanation.trial.posed import Posed
from overread.explanation.trial.similarity import Likeness, likeness, mean_likeness

OTHERS = 3  # patients that each case is compared with


class Maps:
    """Made when they are asked for."""

    def __init__(self, method: Method, posed: Sequence[Posed]) -> None:
        self.method, self.posed = method, posed
        self._maps: dict[int, np.ndarray] = {}
        self._chance: list[Likeness | None] = []

    def of(self, number: int) -> np.ndarray:
        """(Z, Y, X) float32 of the window of this case."""
        if number not in self._maps:
            self._maps[number] = self.posed[number].map(self.method)
        return self._maps[number]

    @property
    def chance(self) -> list[Likeness | None]:
        """Of every case, how alike its map is to those of other patients: what maps share that show different things.

        Source: Arun et al., Radiology: Artificial Intelligence 2021;3:e200267, figure 3 (pairs of maps of the trained model).
        """
        if not self._chance:
            self._chance = [self._to_others(number) for number in range(len(self.posed))]
        return self._chance

    def _to_others(self, number: int) -> Likeness | None:
        count = len(self.posed)
        order = [(number + step) % count for step in range(1, count)]
        others = [k for k in order if self.posed[k].patient_id != self.posed[number].patient_id][:OTHERS]
        return mean_likeness([likeness(self.of(number), self.of(k)) for k in others])
