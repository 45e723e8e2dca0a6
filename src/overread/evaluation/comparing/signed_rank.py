"""Wilcoxon's signed rank test, with the estimate that it tests: the middle of all averages of two differences.

Only where each patient has one case. The estimate is not the difference of the means, and is called by its own name.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats

EXACT_UP_TO = 50  # cases
METHOD = "Wilcoxon's signed rank test; the difference is the Hodges-Lehmann median, with the interval that belongs to it"


@dataclass(frozen=True)
class SignedRankTest:
    """differences (N,), one per patient.

    Source: Wilcoxon, Biometrics Bulletin 1945;1:80; Hodges and Lehmann, Ann Math Stat 1963;34:598.
    """

    differences: np.ndarray
    method: str = METHOD
    reason: str = ""

    @property
    def estimate(self) -> float:
        return float(np.median(self._averages))

    def p(self) -> float:
        return min(1.0, 2 * min(self.p_above(0.0), self.p_below(0.0)))

    def p_above(self, floor: float) -> float:
        return self._tail(self._rank_sum(floor))

    def p_below(self, ceiling: float) -> float:
        return self._tail(len(self._averages) - self._rank_sum(ceiling))

    def interval(self, level: float) -> tuple[float, float]:
        """Between the averages at which the test stops rejecting."""
        count = len(self._averages)
        if 2 * self._tail(count) > 1 - level:
            return -np.inf, np.inf
        last = bisect_left(range(count // 2), True, key=lambda k: 2 * self._tail(count - k - 1) > 1 - level + 1e-12)
        return float(self._averages[last]), float(self._averages[count - 1 - last])

    @cached_property
    def _averages(self) -> np.ndarray:
        """Averages of every two differences, and of each with itself, in order."""
        first, second = np.triu_indices(len(self.differences))
        return np.sort((self.differences[first] + self.differences[second]) / 2)

    @cached_property
    def _chance(self) -> np.ndarray:
        """(count + 1,) chance of each rank sum or more, where signs are tossed."""
        n = len(self.differences)
        pmf = np.ones(1)
        for rank in range(1, n + 1):
            pmf = (np.r_[pmf, np.zeros(rank)] + np.r_[np.zeros(rank), pmf]) / 2
        return np.cumsum(pmf[::-1])[::-1]

    def _rank_sum(self, null: float) -> float:
        """The sum of the ranks of the differences above `null`: as many averages lie above it, those at it half."""
        above, at = np.count_nonzero(self._averages > null), np.count_nonzero(self._averages == null)
        return float(above + at / 2)

    def _tail(self, rank_sum: float) -> float:
        n = len(self.differences)
        if n <= EXACT_UP_TO:
            whole = int(np.floor(rank_sum))
            upper = self._chance[min(whole + 1, len(self._chance) - 1)] if whole + 1 < len(self._chance) else 0.0
            return float(self._chance[whole] if rank_sum == whole else (self._chance[whole] + upper) / 2)
        mean, spread = n * (n + 1) / 4, np.sqrt(n * (n + 1) * (2 * n + 1) / 24)
        return float(stats.norm.sf((rank_sum - mean) / spread))
