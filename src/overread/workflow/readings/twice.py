"""The same readers, the same cases, twice: how far does each agree with their own first read?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from overread.audit.readers.reads import READER_NAMES, Reads, read_reads
from overread.cohort.sheet import read_sheet
from overread.core.errors import OverreadError
from overread.evaluation.intervals.bootstrap import bootstrap_interval
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.rules import Rules
from overread.metrics import readers as scores
from overread.metrics.metric import Metric
from overread.workflow.comparisons.reader_sheets import filled

SINGLE = "the reader"
NO_PATIENTS = "Nothing says which cases are of one patient, so each counts as a patient of its own."


def read_twice(first: Path, second: Path, id_column: str | None, rules: Rules) -> dict[str, Any]:
    """Kappa of categories, ICC of measurements, of each reader with their own first read, and their mean over readers.

    Intervals resample patients; that of the mean is for these readers.
    """
    reads = _sessions(first, second, id_column)
    names = [name for name in reads[0].readers if name in reads[1].readers]
    cases = [case for case in reads[0].case_ids if case in set(reads[1].case_ids)]
    if not names or not cases:
        raise OverreadError("The two sheets share no reader, or no case.", "name readers and cases alike in both")
    patient = dict(zip(reads[0].case_ids, reads[0].patient_ids, strict=True))
    patients = np.array([patient[case] for case in cases])
    columns = [c for c in reads[0].cells if c in reads[1].cells and c.casefold() not in READER_NAMES]
    rows = [_row(column, [_cells(r, column, cases, names) for r in reads], names, patients, rules) for column in columns]
    left = len(set(reads[0].case_ids) ^ set(reads[1].case_ids))
    notes = [f"{left} cases were read once only and are left out."] if left else []
    return {
        "readers": names,
        "n_cases": len(cases),
        "n_patients": len(set(patients.tolist())),
        "conditions": ["first read", "second read"],
        "scores": rows,
        "comparisons": [],
        "notes": notes + ([] if reads[0].patients_known else [NO_PATIENTS]),
    }


def _sessions(first: Path, second: Path, id_column: str | None) -> tuple[Reads, Reads]:
    """Two sheets with a reader column, or two sheets of one reader."""
    if all(len(_readers(path)) > 1 for path in (first, second)):
        return read_reads({"": first}, id_column=id_column), read_reads({"": second}, id_column=id_column)
    both = read_reads({"first": first, "second": second}, id_column=id_column)
    halves = [
        Reads(
            tuple(case for case, known in zip(both.case_ids, _was_read(both, k), strict=True) if known),
            tuple(p for p, known in zip(both.patient_ids, _was_read(both, k), strict=True) if known),
            (SINGLE,),
            {name: cells[_was_read(both, k)][:, [k]] for name, cells in both.cells.items()},
            both.notes,
            both.patients_known,
        )
        for k in (0, 1)
    ]
    return halves[0], halves[1]


def _was_read(reads: Reads, k: int) -> np.ndarray:
    return np.asarray(np.any([filled(cells[:, k]) for cells in reads.cells.values()], axis=0))


def _readers(path: Path) -> set[str | None]:
    sheet = read_sheet(path)
    column = next((c for c in sheet.columns if c.casefold().strip() in READER_NAMES), None)
    return set(sheet.column(column)) if column else set()


def _cells(reads: Reads, column: str, cases: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """(N, R) cells of these cases and readers."""
    rows, places = [reads.case_ids.index(c) for c in cases], [reads.readers.index(n) for n in names]
    return reads.cells[column][np.ix_(rows, places)]


def _row(column: str, sessions: Sequence[np.ndarray], names: Sequence[str], ids: np.ndarray, rules: Rules) -> dict[str, Any]:
    """sessions  two (N, R) tables of cells."""
    metric, terms_of = _scoring(column, sessions, ids)
    assert metric.from_sums is not None
    means, statistics = {}, []
    for k, name in enumerate(names):
        pair = np.stack([session[:, k] for session in sessions], 1)
        known = filled(pair).all(1)
        patients = Patients.of(ids)
        terms = np.zeros((len(pair), terms_of(pair[known]).shape[1] if known.any() else 1))
        terms[known] = terms_of(pair[known])
        totals = patients.totals(terms)
        statistics.append(_of(totals, metric))
        means[name] = bootstrap_interval(statistics[-1], patients, rules, metric.undefined).as_dict()
        means[name]["n_cases"] = int(known.sum())
    if len(names) > 1:
        mean = bootstrap_interval(
            lambda c: np.mean([s(c) for s in statistics], axis=0), Patients.of(ids), rules, metric.undefined
        )
        means["mean of these readers"] = mean.as_dict()
    return {
        "metric": metric.key,
        "name": f"{metric.name}, {column}, first with second read",
        "columns": [],
        "each": {},
        "means": means,
    }


def _of(totals: np.ndarray, metric: Metric) -> Callable[[np.ndarray], np.ndarray]:
    assert metric.from_sums is not None
    from_sums = metric.from_sums
    return lambda counts: from_sums(counts @ totals)


def _scoring(column: str, sessions: Sequence[np.ndarray], ids: np.ndarray) -> tuple[Metric, Callable[[np.ndarray], np.ndarray]]:
    """ICC for measurements, kappa for categories, as `overread audit --readers` tells them apart."""
    whole = np.concatenate(sessions, axis=1)
    table = Reads(tuple(ids), tuple(ids), tuple(str(k) for k in range(whole.shape[1])), {column: whole})
    numbers = table.numbers(column)
    if numbers is not None:
        centre = float(np.nanmean(numbers))
        return scores.ICC, lambda pair: scores.icc_terms(
            np.array([[float(c.replace(",", ".")) for c in p] for p in pair]) - centre
        )
    place = {name: k for k, name in enumerate(sorted({c for c in whole.ravel() if c is not None}))}
    count = len(place)

    def terms(pair: np.ndarray) -> np.ndarray:
        numbered = np.array([[place[c] for c in p] for p in pair], dtype=int).reshape(-1, 2)
        return scores.pair_terms(numbered[:, 0], numbered[:, 1], count)

    return scores.kappa(count, 0), terms
