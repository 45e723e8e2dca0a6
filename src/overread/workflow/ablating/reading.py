"""Test-time augmentation: what it adds to a frozen model's answers to the tuning cases, and what it costs in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from overread.cohort.index import Cohort
from overread.cohort.load import load_image
from overread.cohort.progress import Progress
from overread.core.errors import OverreadError
from overread.evaluation.comparing.endpoints import Endpoint
from overread.evaluation.learning.ablation import gains
from overread.evaluation.robustness.rows import contender
from overread.reading.model import Model
from overread.reading.one_by_one import OneByOne
from overread.reading.predictor import Predictor
from overread.reading.uncertain_ways import CHANGES, Ways
from overread.workflow.ablating.switches import READING
from overread.workflow.frozen import model_of, run_of
from overread.workflow.learning.plan_file import read_plan
from overread.workflow.project import Project
from overread.workflow.robust.readings import Subject, read_under, score
from overread.workflow.robust.results import check_defined

ALONE = "each image once"
PASSES = 8  # readings of each case where it is changed a little at random


def read_otherwise(
    project: Project, run_name: str, fold: int | None, names: Sequence[str], endpoint: Endpoint, progress: Progress | None
) -> tuple[dict[str, Any], dict[str, str]]:
    """The frozen model of a run reads the tuning cases once each, and in the ways that were named; and what cannot be done.

    Decisions stay as they were frozen in the model.
    """
    run = run_of(project, run_name, fold)
    model = model_of(project, run)
    cohort = project.cohort(fold)
    alone, ways, refused = _readers(model, _mirrored_in_training(run.plan), names)
    if not ways:
        return {}, refused
    subject = _subject(project, cohort, model, alone)
    _warm_up(alone, subject)
    plain = contender(ALONE, project.question, score(subject, read_under(subject, None, progress, ALONE), None))
    check_defined(plain, endpoint, limited=False)
    others = []
    for name, reader in ways.items():
        other = replace(subject, predictor=reader)
        others.append(contender(name, project.question, score(other, read_under(other, None, progress, READING[name]), None)))
    level, cases = project.settings.evaluation.interval_level, len(subject.cases)
    rows = []
    for gain in gains(plain, others, endpoint, level, one_model=True):
        rows.append(_row(gain, ways[gain.name].seconds / cases, alone.seconds / cases))
    read = {
        "run": run_name,
        "model": model.card.sha256,
        "n_cases": cases,
        "n_patients": len({case.patient_id for case in subject.cases}),
        "rows": rows,
    }
    return read, refused


def _warm_up(reader: OneByOne, subject: Subject) -> None:
    """The first answer of a process takes longer than all that follow; it is given here, and not counted."""
    reader.answer(reader.prepare(load_image(subject.cohort, subject.cases[0])))
    reader.seconds = 0.0


def _row(gain: Any, seconds: float, plain_seconds: float) -> dict[str, Any]:
    """`gains` has the base first: here that is the plain reading, so that what the ways add has the other sign."""
    ends = gain.gain.as_dict()
    turned = {**ends, "estimate": _minus(ends["estimate"]), "low": _minus(ends["high"]), "high": _minus(ends["low"])}
    return {
        "switch": gain.name,
        "title": READING[gain.name],
        "with": gain.without,
        "without": gain.with_it,
        "gain": turned,
        "p": gain.p,
        "p_holm": gain.p_holm,
        "verdict": {"helps": "harms", "harms": "helps"}.get(gain.verdict, gain.verdict),
        "seconds_with": round(seconds, 6),
        "seconds_without": round(plain_seconds, 6),
        "remark": gain.remark,
    }


def _minus(value: float | None) -> float | None:
    return None if value is None else 0.0 - value


def _mirrored_in_training(plan_path: Any) -> tuple[int, ...]:
    """Axes over which training mirrored; none where the plan is not there, as of an ensemble."""
    return tuple(read_plan(plan_path).augmentation.mirror) if plan_path.exists() else ()


def _readers(
    model: Model, mirrored: tuple[int, ...], names: Sequence[str]
) -> tuple[OneByOne, dict[str, OneByOne], dict[str, str]]:
    """The plain reader, one for each way, and why there is none."""
    reader = model.predictor
    if not isinstance(reader, Predictor):
        raise OverreadError(
            "This run is an ensemble: its members read as each of them was frozen.", "name one of its members with --run"
        )
    plain = replace(reader, mirror=())
    ways: dict[str, OneByOne] = {}
    refused: dict[str, str] = {}
    for name in names:
        axes = reader.mirror or mirrored
        if name == "test_mirror" and not axes:
            refused[name] = "training mirrored no image, so a mirrored one is strange to this model"
        elif name == "test_mirror":
            ways[name] = OneByOne(replace(plain, mirror=axes))
        elif reader.task.question.is_of_objects:
            refused[name] = "lists of objects found in several readings are fused for mirrored images only"
        else:
            ways[name] = OneByOne(plain, Ways((CHANGES,), PASSES))
    return OneByOne(plain), ways, refused


def _subject(project: Project, cohort: Cohort, model: Model, reader: OneByOne) -> Subject:
    settings, cases = project.settings, tuple(cohort.of("tuning"))
    if not cases:
        raise OverreadError("There are no tuning cases in this project.", "look at cohort/splits.json")
    tolerance, matching = settings.evaluation.surface_tolerance_mm, settings.evaluation.matching
    return Subject(reader, model.card.decisions, cohort, cases, settings.question.aggregation, tolerance, matching)
