"""The paired permutation test by patient: were the two alike, each patient's difference could as well have the other sign.

Turning the signs of whole patients, thousands of times, shows which differences chance alone brings. The interval holds
every difference that the same test does not reject, so interval and p value cannot contradict each other.

Sources: Fisher 1935 (the test); Hartigan, JASA 1969;64:1303 (its interval); Cameron et al., Rev Econ Stat 2008;90:414
(the signs of whole clusters).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

FEWEST_PATIENTS = 6  # with five, the smallest p value is 2 / 2**5 = 0.06
FLIPS = 10_000
ALL_FLIPS_UP_TO = 13  # patients; 2**12 patterns and their mirror images are all there are
CHUNK = 1 << 22  # signs held at once


@dataclass(frozen=True)
class FlipTest:
    """A mean difference and its permutation test.

    sums     (P,) what each patient adds to the difference; they add up to it
    weights  (P,) what each patient would add if the difference were 1 in every case; they add up to 1
    """

    sums: np.ndarray
    weights: np.ndarray
    seed: int = 0
    reason: str = ""

    @property
    def estimate(self) -> float:
        return float(self.sums.sum())

    @property
    def method(self) -> str:
        patients = len(self.sums)
        count = f"all {2**patients} patterns" if patients <= ALL_FLIPS_UP_TO else f"{FLIPS} patterns"
        return f"paired permutation test, signs turned by patient ({count}), and the interval that belongs to it"

    def p(self) -> float:
        return self._two_sided(0.0)

    def p_above(self, floor: float) -> float:
        half = self._two_sided(floor) / 2
        return half if self.estimate > floor else 1 - half

    def p_below(self, ceiling: float) -> float:
        half = self._two_sided(ceiling) / 2
        return half if self.estimate < ceiling else 1 - half

    def interval(self, level: float) -> tuple[float, float]:
        """Every difference d that is not rejected once d times the weight is taken from each patient.

        A pattern of signs speaks for d as long as d lies between the means of the turned and of the unturned patients.
        """
        flipped, shifted = self._flipped
        estimate = self.estimate
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = np.stack([(estimate - flipped) / (1 - shifted), (estimate + flipped) / (1 + shifted)])
        ends[:, np.abs(shifted) > 1 - 1e-12] = np.array([[-np.inf], [np.inf]])  # nobody, or everybody, is turned
        k = int(np.floor((1 - level) * len(flipped) + 1e-9))
        return float(np.sort(ends.min(0))[k]), float(np.sort(ends.max(0))[-1 - k])

    @cached_property
    def _flipped(self) -> tuple[np.ndarray, np.ndarray]:
        """(R,) and (R,): sums and weights under each pattern of signs; the mirror image of each belongs to it."""
        both = np.stack([self.sums, self.weights], 1)
        flipped = np.concatenate([signs @ both for signs in _signs(len(self.sums), self.seed)])
        return flipped[:, 0], flipped[:, 1]

    def _two_sided(self, null: float) -> float:
        flipped, shifted = self._flipped
        here, there = abs(self.estimate - null), np.abs(flipped - null * shifted)
        return float(np.mean(there >= here - 1e-10 * max(1.0, here)))


def _signs(patients: int, seed: int) -> Iterator[np.ndarray]:
    """(r, P) of 1 and -1, nobody turned first; every pattern up to its mirror image where there are few patients."""
    if patients <= ALL_FLIPS_UP_TO:
        bits = np.arange(2 ** (patients - 1))[:, None] >> np.arange(patients)[None]
        yield 1.0 - 2.0 * (bits & 1)
        return
    random = np.random.default_rng(seed)
    yield np.ones((1, patients))
    step = max(1, CHUNK // patients)
    for start in range(1, FLIPS, step):
        rows = min(step, FLIPS - start)
        yield 1.0 - 2.0 * random.integers(0, 2, (rows, patients), dtype=np.int8)
