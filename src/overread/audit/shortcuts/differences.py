"""How much two groups of cases differ in one column, and how surprising that is."""

from __future__ import annotations

import numpy as np
from scipy import stats

from overread.audit.shortcuts.columns import Column


def numeric_difference(one: np.ndarray, other: np.ndarray) -> float | None:
    """Cohen's d: difference of the means of (N,) and (M,) numbers over the pooled standard deviation; one minus other.

    None where nothing varies within the groups, or one of them is empty.

    Source: Cohen, Statistical Power Analysis for the Behavioral Sciences, 1988, section 2.2.
    """
    degrees = len(one) + len(other) - 2
    if degrees < 1 or not len(one) or not len(other):
        return None
    variance = (((one - one.mean()) ** 2).sum() + ((other - other.mean()) ** 2).sum()) / degrees
    gap = float(one.mean() - other.mean())
    if variance <= 1e-12 * max(1.0, gap * gap):
        return None if gap else 0.0
    return gap / float(np.sqrt(variance))


def categorical_difference(one: np.ndarray, other: np.ndarray) -> float | None:
    """The standardised difference of two multinomial shares, never negative; None where the groups share too little.

    one, other  (K,) shares that sum to 1

    Source: Yang and Dalton, SAS Global Forum 2012, paper 335. Of two levels: |p - q| / sqrt((p(1 - p) + q(1 - q)) / 2).
    """
    seen = (one > 0) | (other > 0)
    p, q = one[seen][1:], other[seen][1:]
    if not len(p):
        return 0.0
    spread = (np.diag(p) - np.outer(p, p) + np.diag(q) - np.outer(q, q)) / 2
    gap = p - q
    solved = np.linalg.pinv(spread, hermitian=True) @ gap
    if np.abs(spread @ solved - gap).max() > 1e-9:
        return None
    return float(np.sqrt(max(float(gap @ solved), 0.0)))


def difference(column: Column, group: np.ndarray) -> float | None:
    """The standardised difference of a column between cases of the group, (N,) bool, and the others."""
    if column.numbers is not None:
        known = np.isfinite(column.numbers)
        return numeric_difference(column.numbers[known & group], column.numbers[known & ~group])
    levels = np.arange(len(column.levels))
    one, other = ((column.codes[side][:, None] == levels).mean(0) for side in (group, ~group))
    return categorical_difference(one, other)


def by_chance(column: Column, patients: int, others: int) -> float:
    """The standardised difference that 95 of 100 random divisions of so many patients stay below.

    Under chance d has the variance 1/n + 1/m, and the square of the multinomial form that times a chi-square with
    K - 1 degrees of freedom. Austin's limit of 0.1 (Stat Med 2009;28:3083) is passed by chance where groups are small.
    """
    degrees = max(1, len(column.levels) - 1)
    return float(np.sqrt(stats.chi2.ppf(0.95, degrees) * (1 / patients + 1 / others)))


def surprise(column: Column, groups: np.ndarray) -> np.ndarray:
    """(B,) minus the logarithm of the p value of a plain test of the column, for each row of groups (B, N) bool.

    Of numbers the t test, of names Pearson's chi-square. Cases of one patient make both too sure: the values rank columns
    of different kinds on one scale, and `overread.audit.shortcuts.chance` says what they are worth.
    """
    if column.numbers is not None:
        known = np.isfinite(column.numbers)
        return _of_numbers(column.numbers[known], groups[:, known].astype(np.float64))
    indicators = (column.codes[:, None] == np.arange(len(column.levels))).astype(np.float64)
    return _of_names(indicators, groups.astype(np.float64))


def _of_numbers(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    n = len(values)
    inside = groups.sum(1)
    centred = values - values.mean()
    spread = np.sqrt(inside * (n - inside) / n * (centred**2).sum())
    r = np.divide(groups @ centred, spread, out=np.zeros(len(groups)), where=spread > 0)
    r = np.clip(np.abs(r), 0, 1 - 1e-12)
    return np.asarray(-stats.t.logsf(r * np.sqrt(max(n - 2, 1) / (1 - r * r)), max(n - 2, 1)) - np.log(2))


def _of_names(indicators: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Pearson's chi-square of two groups: the sum over levels of (share inside - share in all)^2 / share in all."""
    n, share = len(indicators), indicators.mean(0)
    inside = groups.sum(1)
    seen = share > 0
    gap = (groups @ indicators)[:, seen] - inside[:, None] * share[seen]
    pairs = inside * (n - inside)
    squares = np.divide(n * (gap**2 / share[seen]).sum(1), pairs, out=np.zeros(len(groups)), where=pairs > 0)
    return np.asarray(-stats.chi2.logsf(squares, max(int(seen.sum()) - 1, 1)))
