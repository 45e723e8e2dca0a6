"""A score as an inverse power law of the number of training patients: a - b n^-c.

Sources: Hestness et al., arXiv 1712.00409 (2017); Figueroa et al., BMC Med Inform Decis Mak 2012;12:8, whose weights grow with
the size of the training set; Viering and Loog, IEEE TPAMI 2023;45:7799, who show where such curves hold and where they do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RATES = np.geomspace(0.05, 3.0, 120)  # c: from nearly a straight line over log n to "after the first patients nothing comes"


@dataclass(frozen=True)
class PowerLaws:
    """R fitted curves of an error: floor + drop * (n / largest)^-rate.

    floor, drop, rate  (R,); floor and drop are 0 or more, so that a curve never falls below no error, and never rises with n
    largest            n at which `drop` is counted
    """

    floor: np.ndarray
    drop: np.ndarray
    rate: np.ndarray
    largest: float

    def at(self, n: float) -> np.ndarray:
        """(R,) the error at n training patients."""
        return np.asarray(self.floor + self.drop * (n / self.largest) ** -self.rate)


def fit_power_laws(patients: np.ndarray, errors: np.ndarray) -> PowerLaws:
    """Weighted least squares; for each rate the rest is linear, so all rates are tried and no start has to be guessed.

    patients  (S,) training patients, ascending;  errors (R, S), lower is better; a row with NaN gives NaN
    Weights are the numbers of patients: how far trainings of one size lie apart shrinks about as one over their root.
    """
    largest = float(patients[-1])
    weight = patients / patients.sum()
    rows = len(errors)
    best = np.full(rows, np.inf)
    floor, drop, rate = (np.full(rows, np.nan) for _ in range(3))
    for c in RATES:
        basis = (patients / largest) ** -c
        for level, slope in _candidates(basis, errors, weight):
            gap = errors - level[:, None] - slope[:, None] * basis
            cost = np.where((level >= 0) & (slope >= 0), gap**2 @ weight, np.inf)
            better = cost < best - 1e-15
            best = np.where(better, cost, best)
            floor, drop = np.where(better, level, floor), np.where(better, slope, drop)
            rate = np.where(better, c, rate)
    return PowerLaws(floor, drop, rate, largest)


def _candidates(basis: np.ndarray, errors: np.ndarray, weight: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """(floor, drop) of the plain solution, of a flat line, and of a curve that ends at no error: one of them is the best
    with both at 0 or more."""
    mean, centre = errors @ weight, float(basis @ weight)
    spread = float((basis - centre) ** 2 @ weight)
    slope = (errors * (basis - centre)) @ weight / spread
    nothing = np.zeros(len(errors))
    to_zero = (errors * basis) @ weight / float(basis**2 @ weight)
    return [(mean - slope * centre, slope), (mean, nothing), (nothing, to_zero)]
