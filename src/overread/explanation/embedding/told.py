"""Can a group of cases, such as a site, be told from the features of a network?

A linear discriminant tries to tell the group from the features, out of fold and by patient (the probe of
`overread.audit.shortcuts`). Two kinds of chance stand beside it: groups dealt anew among all patients, and among patients of the
same label and partition alone. The second holds fixed whatever the label says of the group: what is left above it, the network
sees in the images beside the disease.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from overread.audit.shortcuts.chance import FEWEST_PATIENTS, exchanged, patients_per_level
from overread.audit.shortcuts.probe_model import area_with_interval, deal, mean_areas, narrowed
from overread.core.score import Interval
from overread.evaluation.comparing.difference import holm
from overread.evaluation.intervals.patients import Patients

PERMUTATIONS = 999
LEVEL = 0.05
METHOD = (
    "ridge regression of the group on standardised features (principal components where they are many), 5 folds by patient; mean "
    f"area under the ROC curve of the folds, of more than two groups the mean of each against the rest; p by {PERMUTATIONS} "
    "permutations of patients, Holm over the columns"
)


@dataclass(frozen=True)
class Told:
    """How well one column is told from the features.

    left_out    groups of too few patients
    interval    area under the ROC curve, out of fold
    p           against groups dealt among all patients; corrected over the columns
    p_within    against groups dealt among patients of the same label (and partition); corrected; None where there is none such
    by_chance   mean area of groups dealt within the label
    from_label  area that the label alone reaches
    reason      why nothing was tried
    """

    column: str
    levels: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    interval: Interval | None = None
    p: float | None = None
    p_within: float | None = None
    by_chance: float | None = None
    from_label: float | None = None
    n_cases: int = 0
    n_patients: int = 0
    reason: str = ""

    @property
    def verdict(self) -> str:
        """ "beyond the label", "not beyond the label", "not told" or "not tried"."""
        if self.interval is None or self.p is None:
            return "not tried"
        if self.p > LEVEL:
            return "not told"
        return "beyond the label" if self.p_within is not None and self.p_within <= LEVEL else "not beyond the label"

    def as_dict(self) -> dict[str, Any]:
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in self.__dict__.items()}
        interval = None if self.interval is None else self.interval.as_dict()
        return {**plain, "interval": interval, "verdict": self.verdict}


def tell(
    column: str, groups: Sequence[str], unknown: str, labels: Sequence[str], features: np.ndarray, patient_ids: Sequence[str]
) -> Told:
    """One column; p values as yet uncorrected.

    groups    (N,) group of each case; `unknown` is left out
    labels    (N,) what is held fixed: the label, with the partition where that is not the column itself
    features  (N, F)
    """
    names = np.asarray(groups, dtype=object)
    known = sorted({str(name) for name in names} - {unknown})
    codes = np.array([known.index(str(n)) if n != unknown else -1 for n in names], dtype=int)
    every = np.asarray(patient_ids)
    have = codes >= 0
    if len(known) < 2:
        return Told(column, tuple(known), reason="all cases are of one group")
    counts = patients_per_level(codes[have], Patients.of(every[have]), len(known))
    kept = [k for k, n in enumerate(counts) if n >= FEWEST_PATIENTS]
    left_out = tuple(known[k] for k in range(len(known)) if k not in kept)
    if len(kept) < 2:
        told = ", ".join(f"{level} {n}" for level, n in zip(known, counts, strict=True))
        why = f"too few patients to say ({told}); {FEWEST_PATIENTS} in each of two groups are the least"
        return Told(column, tuple(known), left_out, reason=why)
    used = np.isin(codes, kept)
    return _told(
        Told(column, tuple(known[k] for k in kept), left_out, n_cases=int(used.sum())),
        np.searchsorted(kept, codes[used]),
        [label for label, is_used in zip(labels, used, strict=True) if is_used],
        features[used],
        Patients.of(every[used]),
    )


def corrected(rows: Sequence[Told]) -> list[Told]:
    """p values after Holm's correction over the columns that were tried."""
    tried = [row for row in rows if row.p is not None]
    first = holm([row.p or 0.0 for row in tried])
    within = iter(holm([row.p_within for row in tried if row.p_within is not None]))
    done = {
        row.column: replace(row, p=p, p_within=None if row.p_within is None else next(within))
        for row, p in zip(tried, first, strict=True)
    }
    return [done.get(row.column, row) for row in rows]


def _told(blank: Told, codes: np.ndarray, labels: Sequence[str], features: np.ndarray, patients: Patients) -> Told:
    random = np.random.default_rng(0)
    fold = deal(codes, patients, random)
    seen = narrowed(np.asarray(features, dtype=np.float64), patients.count)
    blank = replace(blank, n_patients=patients.count)
    if not seen.shape[1]:
        return replace(blank, reason="the features do not differ between cases")
    strata = strata_of(labels, patients)
    dealt = exchanged(patients, PERMUTATIONS, random)
    can_exchange = len(np.unique(strata[patients.number])) < patients.count
    inside = exchanged_within(patients, strata, PERMUTATIONS, random) if can_exchange else dealt[:0]
    values = mean_areas(seen, np.vstack([codes[None], codes[dealt], codes[inside]]), fold)
    observed, anywhere, within = values[0], values[1 : 1 + len(dealt)], values[1 + len(dealt) :]
    one_hot = (np.asarray(labels, dtype=object)[:, None] == np.unique(np.asarray(labels, dtype=str))[None]).astype(float)
    return replace(
        blank,
        interval=area_with_interval(seen, codes, fold, patients),
        p=_p(observed, anywhere),
        p_within=_p(observed, within) if len(within) else None,
        by_chance=round(float(np.nanmean(within)), 4) if len(within) else None,
        from_label=round(float(mean_areas(one_hot - one_hot.mean(0), codes[None], fold)[0]), 4),
    )


def _p(observed: float, chance: np.ndarray) -> float:
    """An area that is not defined (NaN), observed or by chance, counts against the finding."""
    below = np.count_nonzero(chance < observed - 1e-9)
    return float((1 + len(chance) - below) / (len(chance) + 1))


def strata_of(labels: Sequence[str], patients: Patients) -> np.ndarray:
    """(patients,) number of the set of labels that a patient's cases have: patients of one number may change places."""
    several: list[set[str]] = [set() for _ in range(patients.count)]
    for number, label in zip(patients.number, labels, strict=True):
        several[number].add(str(label))
    names = ["; ".join(sorted(found)) for found in several]
    return np.unique(names, return_inverse=True)[1].reshape(-1)


def exchanged_within(patients: Patients, strata: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """(count, N) place of the case whose group each case receives, from a patient of the same stratum; see `exchanged`."""
    received = np.empty((count, patients.cases), np.int32)
    for stratum in np.unique(strata):
        places = np.flatnonzero(strata[patients.number] == stratum)
        inside = Patients.of(patients.number[places])
        received[:, places] = places[exchanged(inside, count, random)]
    return received
