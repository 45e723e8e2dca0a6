"""Do the readers agree? Kappa for categories, ICC and limits of agreement for numbers, overlap for masks, with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from overread.audit.readers.reads import Reads
from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.core.score import Interval
from overread.evaluation.answered import ScoredCase
from overread.evaluation.intervals.bootstrap import bootstrap_interval, of_sums
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.rules import Rules
from overread.evaluation.scoring import score_pairs
from overread.evaluation.segmentation import evaluate_segmentation
from overread.evaluation.sources.foreign_masks import ForeignPair
from overread.metrics import agreement, readers
from overread.metrics.metric import Metric

LIMITS = tuple(  # between readers neither is the truth
    replace(metric, formula=metric.formula.replace("answer", "second").replace("truth", "first"))
    for metric in (agreement.BIAS, agreement.LIMIT_LOW, agreement.LIMIT_HIGH)
)
OVERLAP = ("dice", "surface_dice", "hd95")
ALL = "all readers"

Row = dict[str, Any]


def sheet_agreement(reads: Reads, grades: Sequence[str], rules: Rules) -> tuple[list[Row], list[str]]:
    """Scores of every column, and how each column was understood.

    grades  columns whose categories have an order: also a kappa with quadratic weights
    """
    unknown = [name for name in grades if name not in reads.cells]
    if unknown:
        raise OverreadError(f"No column is called '{unknown[0]}'.", f"the readers share {', '.join(reads.cells)}")
    rows: list[Row] = []
    notes: list[str] = []
    for column, cells in reads.cells.items():
        numbers = None if column in grades else reads.numbers(column)
        if numbers is not None:
            notes.append(f"{column}: taken as a measurement.")
            rows += _of_numbers(column, numbers, reads, rules)
            continue
        names = _categories({c for c in cells.ravel() if c is not None})
        order = " < ".join(names) if column in grades else ", ".join(names)
        notes.append(f"{column}: taken as {'grades' if column in grades else 'categories'} ({order}).")
        rows += _of_categories(column, cells, names, column in grades, reads, rules)
    return rows, notes


def mask_agreement(
    files: Mapping[str, Mapping[str, Path]], patients: Mapping[str, str], question: Question, rules: Rules
) -> list[Row]:
    """Scores of every structure for every two readers.

    files     case -> reader -> mask
    patients  case -> patient; a case that is not named is its own patient
    """
    rows: list[Row] = []
    names = sorted({reader for by_reader in files.values() for reader in by_reader})
    for first, second in combinations(names, 2):
        pairs = [
            ForeignPair(case, patients.get(case, case), by_reader[first], by_reader[second], question)
            for case, by_reader in sorted(files.items())
            if first in by_reader and second in by_reader
        ]
        if not pairs:
            continue
        cases = score_pairs(pairs, question.classes, rules.surface_tolerance_mm)
        between = f"{first}, {second}"
        rows += [
            _row(scored.metric, scored.subject, between, scored.interval)
            for scored in evaluate_segmentation(question, cases, rules).scores
            if scored.metric.key in OVERLAP and scored.subject in question.classes
        ]
        for name in question.classes:
            rows += _volumes(name, cases, between, rules)
    if not rows:
        raise OverreadError("No case was drawn by two readers.", "name the files of one case alike in the readers' folders")
    return rows


def _of_numbers(column: str, values: np.ndarray, reads: Reads, rules: Rules) -> Iterator[Row]:
    ids = np.array(reads.patient_ids)
    for a, b in combinations(range(len(reads.readers)), 2):
        known = np.isfinite(values[:, [a, b]]).all(1)
        between = f"{reads.readers[a]}, {reads.readers[b]}"
        yield from _of_two(column, values[known][:, [a, b]], between, ids[known], rules)
    if len(reads.readers) > 2:
        known = np.isfinite(values).all(1)
        whole = values[known]
        yield _scored(readers.ICC, column, ALL, readers.icc_terms(whole - _centre(whole)), ids[known], rules)


def _of_two(subject: str, pair: np.ndarray, between: str, ids: np.ndarray, rules: Rules, unit: str = "") -> Iterator[Row]:
    """ICC and limits of agreement of (N, 2) numbers."""
    yield _scored(readers.ICC, subject, between, readers.icc_terms(pair - _centre(pair)), ids, rules)
    terms = agreement.agreement_terms(pair[:, 0], pair[:, 1], _centre(pair))
    for metric in LIMITS:
        yield _scored(replace(metric, unit=unit), subject, between, terms, ids, rules)


def _volumes(name: str, cases: Sequence[ScoredCase], between: str, rules: Rules) -> list[Row]:
    """Agreement on the volume of a structure, where spacing is known."""
    both = [(case.structures[name].truth_ml, case.structures[name].answer_ml, case.patient_id) for case in cases]
    known = [(first, second, patient) for first, second, patient in both if first is not None and second is not None]
    if not known:
        return []
    pair = np.array([[first, second] for first, second, _ in known])
    ids = np.array([patient for *_, patient in known])
    return list(_of_two(f"{name}, volume", pair, between, ids, rules, "ml"))


def _of_categories(
    column: str, cells: np.ndarray, names: Sequence[str], is_graded: bool, reads: Reads, rules: Rules
) -> Iterator[Row]:
    place = {name: k for k, name in enumerate(names)}
    codes = np.array([[place.get(c, -1) for c in row] for row in cells])
    ids, count = np.array(reads.patient_ids), len(names)
    for a, b in combinations(range(len(reads.readers)), 2):
        known = (codes[:, [a, b]] >= 0).all(1)
        between = f"{reads.readers[a]}, {reads.readers[b]}"
        terms = readers.pair_terms(codes[known, a], codes[known, b], count)
        for metric in (readers.same(count), readers.kappa(count, 0), *((readers.kappa(count, 2),) if is_graded else ())):
            yield _scored(metric, column, between, terms, ids[known], rules)
    if len(reads.readers) > 2:
        known = (codes >= 0).all(1)
        yield _scored(readers.FLEISS, column, ALL, readers.fleiss_terms(codes[known], count), ids[known], rules)


def _categories(found: set[str]) -> list[str]:
    """In the order of their numbers where all are numbers, else by the alphabet."""
    try:
        return sorted(found, key=float)
    except ValueError:
        return sorted(found)


def _centre(values: np.ndarray) -> float:
    """Taken away before squares are summed, so that no digits are lost; it changes no score."""
    return float(values.mean()) if values.size else 0.0


def _scored(metric: Metric, subject: str, between: str, terms: np.ndarray, ids: np.ndarray, rules: Rules) -> Row:
    patients = Patients.of(ids)
    assert metric.from_sums is not None
    statistic = of_sums(patients, terms, metric.from_sums)
    return _row(metric, subject, between, bootstrap_interval(statistic, patients, rules, metric.undefined))


def _row(metric: Metric, subject: str, between: str, interval: Interval) -> Row:
    return {
        "metric": metric.key,
        "name": metric.name,
        "subject": subject,
        "between": between,
        "unit": metric.unit,
        "formula": metric.formula,
        "definition": metric.definition,
        "interval": interval.as_dict(),
    }
