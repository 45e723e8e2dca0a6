"""Truths that are values: columns of a sheet, class folders, labels in an archive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from overread.cohort import ask
from overread.cohort.ask import Said
from overread.cohort.draft import Draft
from overread.cohort.join import Joined
from overread.cohort.labels.rows import aggregate, aggregate_numbers, positive_in
from overread.cohort.labels.truths import Truths
from overread.cohort.labels.values import (
    How,
    exclusive_truth,
    findings_truth,
    is_uncertain,
    measured_truth,
    named,
    refuse_one_class,
    spelling_notes,
    without_uncertain,
)
from overread.core.case import TruthReference
from overread.core.errors import OverreadError
from overread.core.question import Question


def label_truths(
    task: str,
    source: str,
    columns: Sequence[str],
    drafts: Sequence[Draft],
    joined: Joined | None,
    said: Said,
    aggregation: str,
    how: How,
) -> Truths:
    """Classes, findings or numbers of every draft."""
    if source == "layout":
        return _layout_labels(drafts, said, how)
    assert joined is not None
    why_not = {d.name: "no row in the sheet" if k not in joined.rows else "its label is blank" for k, d in enumerate(drafts)}
    if task == "regression":
        return _numbers(columns, drafts, joined, said, aggregation, how, why_not)
    is_findings = len(columns) > 1 or said.exclusive is False
    cells = {}
    for c in columns:
        is_positive = positive_in(joined.sheet.column(c), said, finding=is_findings)
        cells[c] = {k: aggregate(c, rows, aggregation, is_positive) for k, rows in joined.cells(c).items()}
    notes: list[str] = []
    for column in columns:
        before = cells[column]
        cells[column], more = without_uncertain(column, before, said.names, finding=is_findings)
        notes += more
        why_not |= {
            drafts[k].name: "its label is uncertain" for k, c in cells[column].items() if c is None and before[k] is not None
        }
    if is_findings:
        question, reasons = ask.classification(said, [], columns)
        truths = {
            drafts[k].name: findings_truth({n: cells[c].get(k) for n, c in zip(question.classes, columns, strict=True)}, how)
            for k in joined.rows
        }
        return _checked(truths, why_not, question, reasons, joined, tuple(notes))
    column = columns[0]
    called = {k: named(cell, said.names) for k, cell in cells[column].items()}
    if not said.one_class:
        _refuse_one_class(list(called.values()), f"(column '{column}')")
    question, reasons = ask.classification(said, list(called.values()), columns)
    truths = {drafts[k].name: exclusive_truth(cell, question.classes, how) for k, cell in called.items()}
    notes += spelling_notes([c for c in joined.sheet.column(column) if not is_uncertain(c)], column)
    return _checked(truths, why_not, question, reasons, joined, tuple(notes))


def _checked(
    truths: Mapping[str, TruthReference | None],
    why_not: Mapping[str, str],
    question: Question,
    reasons: Mapping[str, str],
    joined: Joined,
    notes: tuple[str, ...],
) -> Truths:
    known = {name: truth for name, truth in truths.items() if truth is not None}
    return Truths(known, why_not, question, reasons=reasons, notes=notes)


def _refuse_one_class(cells: Sequence[str | None], where: str) -> None:
    counts = Counter(c.casefold() for c in cells if c is not None)
    if counts:
        refuse_one_class(counts, where)


def _layout_labels(drafts: Sequence[Draft], said: Said, how: How) -> Truths:
    why_not = {d.name: "no label" for d in drafts}
    labels = [d.label for d in drafts]
    width = {len(label.split(",")) for label in labels if label is not None}
    if max(width, default=1) > 1:
        count = max(width)
        names = tuple(said.names.get(str(k), f"finding {k}") for k in range(count))
        question, reasons = ask.classification(said, [], names)
        truths: dict[str, TruthReference | None] = {
            d.name: findings_truth(dict(zip(question.classes, d.label.split(","), strict=True)), how) for d in drafts if d.label
        }
    else:
        cells = [named(label, said.names) for label in labels]
        if not said.one_class:
            _refuse_one_class(cells, "by folder or archive")
        question, reasons = ask.classification(said, cells, (ask.OF_LAYOUT,))
        truths = {d.name: exclusive_truth(cell, question.classes, how) for d, cell in zip(drafts, cells, strict=True)}
    return Truths({n: t for n, t in truths.items() if t is not None}, why_not, question, reasons=reasons)


def _numbers(
    columns: Sequence[str],
    drafts: Sequence[Draft],
    joined: Joined,
    said: Said,
    aggregation: str,
    how: How,
    why_not: Mapping[str, str],
) -> Truths:
    question, reasons = ask.regression(said, columns)
    numbers: dict[str, list[float | None]] = {}
    for column in columns:
        values = joined.sheet.numbers(column)
        if values is None:
            raise OverreadError(f"Column '{column}' holds words; a regression needs numbers.", "name another column with --label")
        numbers[column] = values
    truths = {}
    for k, rows in joined.rows.items():
        values_of = {
            name: aggregate_numbers([numbers[c][r] for r in rows], aggregation)
            for name, c in zip(question.classes, columns, strict=True)
        }
        truths[drafts[k].name] = measured_truth(values_of, how)
    return _checked(truths, why_not, question, reasons, joined, ())
