"""`overread embed`: what the last layer sees of the cases, which lie near each other, and whether a site can be told from it.

Truths of training and tuning cases are used. Images of the internal test are embedded without their truths, which stay sealed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from overread.cohort.index import Cohort
from overread.cohort.load import load_truth
from overread.cohort.progress import Progress, counted
from overread.cohort.some_cases import some_of
from overread.core.case import Case
from overread.core.errors import OverreadError
from overread.evaluation.groups.bands import UNKNOWN
from overread.evaluation.rules import Rules
from overread.explanation.asked import single
from overread.explanation.embedding.gathered import Embedded
from overread.explanation.embedding.likeness import Plain, label_columns, plain_truth, rule_words
from overread.explanation.embedding.projections import projections
from overread.explanation.embedding.similar import NEIGHBOURS, Library, nearest, nearest_by_pixels, precision
from overread.explanation.embedding.told import METHOD, Told, corrected, tell
from overread.reading.model import Model
from overread.workflow.explanations.embedding.audit import audited_areas
from overread.workflow.explanations.embedding.columns import Column, answer_words, columns_of, held_fixed, is_known
from overread.workflow.explanations.embedding.embedded import embedded
from overread.workflow.explanations.embedding.examples import examples
from overread.workflow.explanations.record import write_page, write_part
from overread.workflow.explanations.subject import subject_of
from overread.workflow.project import Project

PARTITIONS = ("training", "tuning", "internal")
NO_LABEL = "the labels make no groups, and without them what they say of a group cannot be held fixed"
MOST_POINTS = 2000  # in the pictures; tests and neighbours use all
PER_CASE = "The network sees the whole input at once; the features are what its last layer is given."
BY_WINDOWS = (
    "The features are those of the middle of the encoder, averaged over space and over windows that lie side by side and cover "
    "the image."
)


def embed(
    project: Project,
    run_name: str | None = None,
    fold: int | None = None,
    by: Sequence[str] = (),
    limit: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Embed the cases of a run, test what can be told from the features, find similar cases; write the part and the page.

    by     columns of the sheet, "site" or "scanner"; all where none is named
    limit  the most cases of each partition, the same ones every time
    """
    subject = subject_of(project, run_name, fold, limit)
    cohort, model = subject.cohort, subject.model
    cases = [case for part in PARTITIONS for case in some_of(cohort.of(part), project.question, limit)]
    if not any(cohort.partition[case.case_id] == "training" for case in cases):
        raise OverreadError("There are no training cases among which similar ones could be sought.", "look at cohort/splits.json")
    truths = _truths(cohort, cases, progress)
    found = embedded(project.path, subject.run, model, cohort, cases, progress)
    answers = _answers(model, found)
    columns, notes = columns_of(cases, cohort.partition, label_columns(project.question, truths), answers, by)
    similar, pictures = _similar(cohort, found, cases, truths, project)
    shown = _shown(cases)
    record = {
        "model": model.card.sha256,
        "run": project.run(run_name).name,
        "fold": fold,
        "is_phantom": cohort.is_phantom,
        "task": project.question.task,
        "n_cases": {part: sum(cohort.partition[c.case_id] == part for c in cases) for part in PARTITIONS},
        "n_patients": len({case.patient_id for case in cases}),
        "features": {
            "count": int(found.features.shape[1]),
            "networks": sum(share > 0 for _, share in single(model.predictor)),
            "what": PER_CASE if model.predictor.task.serves == "image" else BY_WINDOWS,
        },
        "columns": [_as_dict(column) for column in columns],
        "points": [_point(row, case, columns) for row, case in enumerate(cases) if case.case_id in shown],
        "projections": [
            each.as_dict() for each in projections(found.of([c.case_id for c in cases if c.case_id in shown]).features)
        ],
        "told": {
            "rows": [row.as_dict() for row in told_columns(columns, found.features, [c.patient_id for c in cases])],
            "method": METHOD,
            "audited": audited_areas(project),
        },
        **similar,
        "notes": [*notes, *_notes(cohort, cases, shown)],
    }
    write_part(subject.run, "embedding", record, pictures)
    page = write_page(project, subject.run, is_phantom=cohort.is_phantom)
    return {**{k: v for k, v in record.items() if k not in ("points", "projections", "similar")}, "page": str(page)}


def told_columns(columns: Sequence[Column], features: np.ndarray, patient_ids: Sequence[str]) -> list[Told]:
    """Whether partition, site, scanner and other columns are told from the features of cases whose label is open."""
    if not any(column.kind == "label" for column in columns):
        return [Told(c.name, reason=NO_LABEL) for c in columns if c.kind in ("partition", "column")]
    open_ones = is_known(columns)
    patients = [p for p, is_open in zip(patient_ids, open_ones, strict=True) if is_open]
    rows = []
    for column in columns:
        if column.kind not in ("partition", "column"):
            continue
        fixed = held_fixed(columns, with_partition=column.kind == "column")
        groups, labels = (
            [v for v, is_open in zip(several, open_ones, strict=True) if is_open] for several in (column.level, fixed)
        )
        rows.append(tell(column.name, groups, UNKNOWN, labels, features[open_ones], patients))
    return corrected(rows)


def _truths(cohort: Cohort, cases: Sequence[Case], progress: Progress | None) -> dict[str, Plain]:
    """Of the cases whose truth is not sealed."""
    known = [case for case in cases if case.truth is not None and cohort.partition[case.case_id] != "internal"]
    listed = counted(known, len(known), "Reading the truths of training and tuning cases", progress)
    return {case.case_id: plain_truth(cohort.question, load_truth(cohort, case)) for case in listed}


def _answers(model: Model, found: Embedded) -> dict[str, str]:
    question = model.card.question
    if question.task != "classification" or not found.answers.shape[1]:
        return {}
    words = answer_words(question, found.answers, model.card.decisions)
    return dict(zip(found.case_ids, words, strict=True))


def _similar(
    cohort: Cohort, found: Embedded, cases: Sequence[Case], truths: Mapping[str, Plain], project: Project
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The neighbours of tuning cases and of images of the internal test, how often they are alike, and pictures of some."""
    patient = {case.case_id: case.patient_id for case in cases}
    training = [c.case_id for c in cases if cohort.partition[c.case_id] == "training" and c.case_id in truths]
    asked = [c.case_id for c in cases if cohort.partition[c.case_id] != "training"]
    known = found.of(training)
    library = Library(known.case_ids, tuple(patient[i] for i in training), known.features, known.pixels)
    queries, holders = found.of(asked), [patient[i] for i in asked]
    near = nearest(library, queries.features, queries.pixels, holders)
    told = {
        case_id: [
            {"case_id": training[row], "distance": round(float(distance), 4), "truth": truths[training[row]].words}
            for row, distance in zip(near.rows[n], near.distances[n], strict=True)
            if row >= 0
        ]
        for n, case_id in enumerate(asked)
    }
    is_open = np.array([case_id in truths for case_id in asked], dtype=bool)
    tuning = [case_id for case_id in asked if case_id in truths]
    settings = project.settings.evaluation
    reached = precision(
        cohort.question,
        library,
        np.stack([truths[i].values for i in training]),
        np.stack([truths[i].values for i in tuning]),
        [patient[i] for i in tuning],
        near.only(is_open),
        nearest_by_pixels(library, queries.pixels[is_open], [patient[i] for i in tuning]),
        Rules(level=settings.interval_level, resamples=settings.resamples),
    )
    listed, pictures = examples(cohort, tuning, told, truths)
    similar = {
        "similar": told,
        "k": NEIGHBOURS,
        "copies": near.copies,
        "alike": rule_words(cohort.question),
        "precision": reached.as_dict(),
        "n_asked": len(tuning),
        "examples": listed,
    }
    return similar, pictures


def _shown(cases: Sequence[Case]) -> set[str]:
    """The cases that are drawn as points."""
    if len(cases) <= MOST_POINTS:
        return {case.case_id for case in cases}
    drawn = np.random.default_rng(0).permutation(len(cases))[:MOST_POINTS]
    return {cases[int(k)].case_id for k in drawn}


def _as_dict(column: Column) -> dict[str, Any]:
    order = list(column.order)
    return {"name": column.name, "kind": column.kind, "order": order, "rule": column.rule, "is_graded": column.is_graded}


def _point(row: int, case: Case, columns: Sequence[Column]) -> dict[str, Any]:
    return {"case_id": case.case_id, "groups": [column.order.index(column.level[row]) for column in columns]}


def _notes(cohort: Cohort, cases: Sequence[Case], shown: set[str]) -> list[str]:
    notes = []
    if len(cases) < len(cohort.cases):
        notes.append(f"Embedded were {len(cases)} of {len(cohort.cases)} cases, as --limit asked.")
    if len(shown) < len(cases):
        notes.append(f"{len(shown)} of {len(cases)} cases, drawn by chance, stand in the pictures; tests and neighbours use all.")
    if any(cohort.partition[case.case_id] == "internal" for case in cases):
        notes.append("Images of the internal test are shown without a label: its truths stay sealed, and no test here uses them.")
    return notes
