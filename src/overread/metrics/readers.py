"""How well readers agree: kappa for categories, intraclass correlation for numbers.

All are functions of sums over cases, so that one bootstrap by patient gives their intervals.

Sources: Cohen 1960 (kappa) and 1968 (weighted kappa); Fleiss 1971 (many readers); Shrout and Fleiss 1979, McGraw and
Wong 1996 (intraclass correlation, two-way random effects, absolute agreement, single reading).
"""

from __future__ import annotations

from functools import partial

import numpy as np

from overread.metrics.metric import FromSums, Metric, ratio


def pair_terms(first: np.ndarray, second: np.ndarray, categories: int) -> np.ndarray:
    """(N,) and (N,) category numbers of two readers -> (N, K * K): the cell of the table that each case falls in."""
    return np.eye(categories * categories)[first * categories + second]


def weights(categories: int, power: int) -> np.ndarray:
    """(K, K) disagreement from 0 to 1: 1 off the diagonal (power 0), or the distance of grades to the power 1 or 2."""
    places = np.arange(categories)
    distance = np.abs(places[:, None] - places[None])
    return (distance > 0).astype(float) if power == 0 else (distance / max(1, categories - 1)) ** power


def kappa_from_sums(disagreement: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """1 - observed disagreement / disagreement expected from the margins; not defined where both give one category only."""
    count = len(disagreement)
    table = sums.reshape(*sums.shape[:-1], count, count)
    total = table.sum((-1, -2))
    expected = table.sum(-1)[..., :, None] * table.sum(-2)[..., None, :]
    seen = (table * disagreement).sum((-1, -2)) * total
    return 1 - ratio(seen, (expected * disagreement).sum((-1, -2)))


def same_from_sums(categories: int, sums: np.ndarray) -> np.ndarray:
    """Share of the cases in which two readers say the same."""
    table = sums.reshape(*sums.shape[:-1], categories, categories)
    return ratio(np.trace(table, axis1=-2, axis2=-1), table.sum((-1, -2)))


def fleiss_terms(ratings: np.ndarray, categories: int) -> np.ndarray:
    """(N, R) category numbers -> (N, K + 2): agreeing pairs of readers as a share, 1, and the share of each category."""
    readers = ratings.shape[1]
    votes = (ratings[:, :, None] == np.arange(categories)).sum(1)
    agreeing = (votes * (votes - 1)).sum(1) / (readers * (readers - 1))
    return np.column_stack([agreeing, np.ones(len(ratings)), votes / readers])


def fleiss_from_sums(sums: np.ndarray) -> np.ndarray:
    """(observed - expected) / (1 - expected) agreement of any two readers."""
    observed = ratio(sums[..., 0], sums[..., 1])
    expected = (ratio(sums[..., 2:], sums[..., 1:2]) ** 2).sum(-1)
    return ratio(observed - expected, 1 - expected)


def icc_terms(values: np.ndarray) -> np.ndarray:
    """(N, R) measurements -> (N, R + 3): 1, squared sum over readers, sum of squares, and each reader's value."""
    return np.column_stack([np.ones(len(values)), values.sum(1) ** 2, (values**2).sum(1), values])


def icc_from_sums(sums: np.ndarray) -> np.ndarray:
    """ICC(2, 1) of Shrout and Fleiss, ICC(A, 1) of McGraw and Wong: from the mean squares of cases, readers and error."""
    n, readers = sums[..., 0], sums.shape[-1] - 3
    columns = sums[..., 3:]
    grand = columns.sum(-1)
    centre = ratio(grand**2, n * readers)
    cases = sums[..., 1] / readers - centre
    between_readers = ratio((columns**2).sum(-1), n) - centre
    error = sums[..., 2] - centre - cases - between_readers
    ms_cases, ms_readers = ratio(cases, n - 1), between_readers / (readers - 1)
    ms_error = ratio(error, (n - 1) * (readers - 1))
    return ratio(ms_cases - ms_error, ms_cases + (readers - 1) * ms_error + readers * ratio(ms_readers - ms_error, n))


def kappa(categories: int, power: int) -> Metric:
    """Cohen's kappa for K categories; power 1 or 2 weighs grades linearly or by squares."""
    weighing = {0: "", 1: ", linear weights", 2: ", quadratic weights"}[power]
    from_sums: FromSums = partial(kappa_from_sums, weights(categories, power))
    return Metric(
        "kappa" if power == 0 else "weighted_kappa",
        f"Cohen's kappa{weighing}",
        "1 - observed / expected disagreement" + weighing,
        "higher",
        undefined="both readers gave one and the same category throughout",
        from_sums=from_sums,
    )


def same(categories: int) -> Metric:
    """Share of the cases in which two readers say the same."""
    from_sums: FromSums = partial(same_from_sums, categories)
    return Metric("agreement", "Same category", "cases with one category / cases", "higher", from_sums=from_sums)


FLEISS = Metric(
    "fleiss_kappa",
    "Fleiss' kappa",
    "(observed - expected) / (1 - expected) agreement of two readers drawn at random",
    "higher",
    undefined="all readers gave one and the same category throughout",
    from_sums=fleiss_from_sums,
)
ICC = Metric(
    "icc",
    "Intraclass correlation, ICC(A,1)",
    "two-way random effects, absolute agreement, one reading",
    "higher",
    undefined="the values do not vary",
    from_sums=icc_from_sums,
)
