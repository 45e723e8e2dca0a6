"""The paired bootstrap: both scores computed again from the same patients drawn anew, and the spread of their difference.

For scores whose ranks jump when one patient is left out, such as the sensitivity at so many false positives, where a jackknife
is not to be trusted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from overread.evaluation.comparing.difference import NoTest, Test
from overread.evaluation.intervals.bootstrap import FEWEST_PATIENTS, draws

DRAWS = 2000
LEAST_DEFINED = 0.9  # share of the drawings in which the difference must be defined
CHUNK = 250
METHOD = f"paired bootstrap by patient, scores computed again ({DRAWS} resamples, percentiles)"

Statistic = Callable[[np.ndarray], np.ndarray]  # (r, P) how often each patient counts -> (r,) values, NaN where not defined


@dataclass(frozen=True)
class BootstrapTest:
    """A difference and how it came out in each drawing; interval and p value are read from the same drawings.

    drawn  (R,) sorted differences
    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 13 and 15.
    """

    estimate: float
    drawn: np.ndarray
    method: str = METHOD
    reason: str = ""

    def interval(self, level: float) -> tuple[float, float]:
        k = self._tail((1 - level) / 2)
        return float(self.drawn[k]), float(self.drawn[-1 - k])

    def p(self) -> float:
        return min(1.0, 2 * min(self.p_above(0.0), self.p_below(0.0)))

    def p_above(self, floor: float) -> float:
        return self._share(int(np.searchsorted(self.drawn, floor, "right")))

    def p_below(self, ceiling: float) -> float:
        return self._share(len(self.drawn) - int(np.searchsorted(self.drawn, ceiling, "left")))

    def _share(self, beyond: int) -> float:
        """Never 0: so few drawings cannot say so."""
        return (beyond + 1) / (len(self.drawn) + 1)

    def _tail(self, share: float) -> int:
        """Drawings left out at an end, so that a value is outside the interval where, and only where, its p is below."""
        return max(0, int(np.ceil(share * (len(self.drawn) + 1) - 1e-9)) - 2)


def bootstrap_test(difference: Statistic, patients: int, seed: int = 0) -> Test | None:
    """The test of a difference; None where it is not defined for these cases."""
    estimate = float(difference(np.ones((1, patients)))[0])
    if not np.isfinite(estimate):
        return None
    if patients < FEWEST_PATIENTS:
        return NoTest(estimate, METHOD, f"{patients} patients are too few to resample")
    counts = draws(patients, DRAWS, seed)
    drawn = np.concatenate([difference(counts[k : k + CHUNK].astype(float)) for k in range(0, DRAWS, CHUNK)])
    drawn = np.sort(drawn[np.isfinite(drawn)])
    if len(drawn) < LEAST_DEFINED * DRAWS:
        return NoTest(estimate, METHOD, "in many drawings a score is not defined: too few patients of one kind")
    if np.ptp(drawn) <= 1e-12:
        return NoTest(estimate, METHOD, "every drawing of patients gives the same difference")
    return BootstrapTest(estimate, drawn)
