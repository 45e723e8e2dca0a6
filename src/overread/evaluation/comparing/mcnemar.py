"""Hits and misses of two on the same cases: McNemar's exact test, also where patients have several cases."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class McNemarTest:
    """A difference of two proportions of the same cases.

    won    (P,) in each patient, cases that only the second hits less those that only the first hits
    cases  (P,) number of cases of each patient

    p      Exact mid-p: signs of whole patients are tossed, which is McNemar's test where each patient has one case
           (Fagerland et al., BMC Med Res Methodol 2013;13:91; by patient as in Durkalski et al., Stat Med 2003;22:2417).
    interval  The score interval whose variance is that of the patients' sums (Tango, Stat Med 1998;17:891 has the form for
           one case per patient), widened where the exact test is the more careful one, so that the two agree. Student's
           quantile where a patient has several cases. Where every patient has the same share, the sums do not vary, and the
           largest variance that the difference allows takes their place.
    """

    won: np.ndarray
    cases: np.ndarray
    reason: str = ""

    @property
    def estimate(self) -> float:
        return float(self.won.sum() / self.cases.sum())

    @property
    def method(self) -> str:
        if not self.won.any():
            return "Tango's score interval over patients: every case is hit by both or by neither"
        if self._is_constant:
            return "McNemar's exact test (mid-p), and Tango's score interval over patients: all differ by the same share"
        clustered = ", signs tossed by patient" if self.cases.max() > 1 else ""
        return f"McNemar's exact test (mid-p{clustered}), and the score interval that agrees with it"

    def p(self) -> float:
        """Two-sided mid-p of the sum under every pattern of signs."""
        moved = np.abs(self.won[self.won != 0]).astype(int)
        size = int(moved.sum())
        chance = np.zeros(2 * size + 1)
        chance[size] = 1.0
        for step in moved:
            chance = (np.roll(chance, step) + np.roll(chance, -step)) / 2
        away, seen = np.abs(np.arange(-size, size + 1)), abs(int(self.won.sum()))
        return float(min(1.0, chance[away > seen].sum() + 0.5 * chance[away == seen].sum())) if seen else 1.0

    def p_above(self, floor: float) -> float:
        return float(stats.t.sf(self._stretched(floor), self._freedom))

    def p_below(self, ceiling: float) -> float:
        return float(stats.t.cdf(self._stretched(ceiling), self._freedom))

    def interval(self, level: float) -> tuple[float, float]:
        """Where (difference - d)^2 = z^2 x (sum over patients of (won - d x cases)^2) / (number of cases)^2."""
        z = float(stats.t.ppf(0.5 + level / 2, self._freedom))
        if not self.won.any():
            count = len(self.won)
            return -z * z / (count + z * z), z * z / (count + z * z)
        low, high = self._ends(z / min(1.0, self._stretch))
        if self.p() < 1 - level and low <= 0 <= high:  # the score test alone would just miss it
            low, high = self._ends(z / self._stretch)
        return low, high

    def _ends(self, z: float) -> tuple[float, float]:
        if self._is_constant:
            return self._widest(z)
        total = self.cases.sum()
        square = 1 - z * z * (self.cases**2).sum() / total**2
        middle = self.estimate - z * z * (self.won * self.cases).sum() / total**2
        rest = self.estimate**2 - z * z * (self.won**2).sum() / total**2
        if square <= 0:  # so few patients that nothing is ruled out
            return -1.0, 1.0
        half = np.sqrt(max(middle**2 - square * rest, 0.0))
        return float(max(-1.0, (middle - half) / square)), float(min(1.0, (middle + half) / square))

    def _widest(self, z: float) -> tuple[float, float]:
        """Where (difference - d)^2 = z^2 (1 - d^2) / (number of patients)."""
        share, estimate = z * z / len(self.won), self.estimate
        half = np.sqrt(share * (1 + share - estimate**2))
        return max(-1.0, float((estimate - half) / (1 + share))), min(1.0, float((estimate + half) / (1 + share)))

    @cached_property
    def _is_constant(self) -> bool:
        """Every patient has the same share of wins, and there are some."""
        return bool(self.won.any()) and bool(np.ptp(self.won / self.cases) == 0)

    @property
    def _freedom(self) -> float:
        return len(self.won) - 1 if self.cases.max() > 1 else np.inf

    def _score(self, null: float) -> float:
        if self._is_constant:
            return float((self.estimate - null) * np.sqrt(len(self.won) / max(1 - null * null, 1e-12)))
        spread = np.sqrt(((self.won - null * self.cases) ** 2).sum())
        return float((self.won.sum() - null * self.cases.sum()) / spread)

    def _stretched(self, null: float) -> float:
        return self._score(null) * min(1.0, self._stretch)

    @cached_property
    def _stretch(self) -> float:
        """The quantile that the exact test's p value stands for, over the score at no difference."""
        if not self.won.sum():
            return 1.0
        return float(stats.t.isf(self.p() / 2, self._freedom)) / abs(self._score(0.0))
