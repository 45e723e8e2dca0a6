"""What a metric is: one meaning, a version, a unit, a direction, and how its interval is found.

Nearly every metric over cases is a function of sums over cases (a mean, a ratio of counts, a correlation).
Writing it so lets one bootstrap serve all of them: resampling patients only changes the sums.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

FromSums = Callable[[np.ndarray], np.ndarray]  # (..., K) sums over cases -> (...) values, NaN where not defined

INTERVALS = {
    "delong": "DeLong, on the logit scale; Obuchowski's form where a patient has several cases",
    "wilson": "Wilson, or Clopper-Pearson (exact) below 20 cases; with the effective number of cases where a patient has several",
    "ratio": "MOVER-R from the limits of two proportions; bootstrap by patient where a patient has positive and negative cases",
    "bootstrap": "bootstrap by patient (BCa)",
    "sandwich": "cluster-robust (sandwich) standard error",
    "none": "none, with the reason",
}


@dataclass(frozen=True)
class Metric:
    """One number about answers, and everything needed to read it.

    better     "higher", "lower", "zero" (nearest to zero) or "none" (neither)
    interval   key of `INTERVALS`
    version    rises whenever the number would change for the same answers
    undefined  why there is no value where the formula has none
    from_sums  (..., K) sums over cases -> (...) values; None where the metric is not a function of sums
    parts      proportions: columns of the sums that make numerator and denominator
    scale      what a proportion is multiplied by: 100 for so many of 100
    depends_on_prevalence  would be another number where positives are rarer or commoner
    """

    key: str
    name: str
    formula: str
    better: str
    interval: str = "bootstrap"
    unit: str = ""
    version: int = 1
    synonyms: tuple[str, ...] = ()
    undefined: str = "no case for which it is defined"
    from_sums: FromSums | None = None
    parts: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    scale: float = 1.0
    depends_on_prevalence: bool = False

    @property
    def definition(self) -> str:
        return f"{self.key}/{self.version}"


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide; NaN (never a warning, never an infinity) where the denominator is zero."""
    numerator, denominator = np.broadcast_arrays(np.asarray(numerator, float), np.asarray(denominator, float))
    return np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator != 0)


def mean_from_sums(sums: np.ndarray) -> np.ndarray:
    """(..., 2) sum of values and number of values -> their mean."""
    return ratio(sums[..., 0], sums[..., 1])


def mean_terms(values: np.ndarray) -> np.ndarray:
    """(N,) values, NaN where not defined -> (N, 2) value and 1, or 0 and 0: what `mean_from_sums` adds up."""
    known = np.isfinite(values)
    return np.stack([np.where(known, values, 0.0), known.astype(float)], -1)


def share_from_sums(top: tuple[int, ...], bottom: tuple[int, ...], sums: np.ndarray) -> np.ndarray:
    """Sum of the columns `top` over the sum of the columns `bottom`."""
    return ratio(sums[..., list(top)].sum(-1), sums[..., list(bottom)].sum(-1))


def proportion(
    key: str,
    name: str,
    formula: str,
    top: tuple[int, ...],
    bottom: tuple[int, ...],
    undefined: str,
    synonyms: tuple[str, ...] = (),
    *,
    depends_on_prevalence: bool = False,
) -> Metric:
    """A metric that counts: so many of so many, with a Wilson interval."""
    return Metric(
        key,
        name,
        formula,
        better="higher",
        interval="wilson",
        synonyms=synonyms,
        undefined=undefined,
        from_sums=partial(share_from_sums, top, bottom),
        parts=(top, bottom),
        depends_on_prevalence=depends_on_prevalence,
    )


def macro_from_sums(from_sums: FromSums, groups: int, sums: np.ndarray) -> np.ndarray:
    """(..., groups * K) sums -> the plain mean over groups of the metric of each group.

    A group for which the metric is not defined makes the mean undefined: leave such groups out beforehand and say so.
    """
    per_group = from_sums(sums.reshape(*sums.shape[:-1], groups, -1))
    return per_group.mean(-1)
