"""`overread robustness`: how far a frozen model's score falls when its images get worse, by known amounts.

Only tuning cases are read. The internal test stays sealed: to read it in twenty ways, and then mend the model by what was seen,
would spend it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from overread.cohort.index import Cohort
from overread.cohort.load import load_image
from overread.cohort.progress import Progress
from overread.cohort.some_cases import some_of
from overread.core.errors import OverreadError
from overread.evaluation.comparing.compared import Contender, line_up
from overread.evaluation.robustness.rows import contender
from overread.evaluation.robustness.verdicts import drops, rule_words
from overread.reading.model import Model
from overread.record.files import write_bytes, write_json
from overread.workflow.frozen import model_of, run_of
from overread.workflow.project import Project
from overread.workflow.robust.objects import fitting
from overread.workflow.robust.pictures import picture_of
from overread.workflow.robust.readings import Subject, read_otherwise, read_under, score
from overread.workflow.robust.record import FILE, PICTURE
from overread.workflow.robust.results import at_threshold, check_defined, endpoint_of, row
from overread.workflow.robust.suite import Condition, chosen_names, conditions, what_was_done
from overread.workflow.unfit import refuse_images

FORMAT = 1
CLEAN = "as they are"
SEAL = (
    "Read were tuning cases only. The internal test stays sealed: a suite like this one is looked at more than once, and whoever "
    "mends a model by what it shows has chosen by these cases."
)
FROZEN = (
    "Threshold, calibration and clean-up stay as they were frozen in the model. They were fitted on these very cases, so the "
    "score on the images as they are flatters."
)
ANSWERED = "No degraded image was refused: limits of refusal in the model are not applied here, so that every drop is seen."
TURNED = (
    "Rotation: outlines are turned back onto the image before they are scored, which by itself costs small structures some "
    "overlap; what was turned out of the field of view counts as missed."
)


def robustness(
    project: Project,
    run_name: str | None = None,
    fold: int | None = None,
    only: Sequence[str] = (),
    limit: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Read the tuning cases as they are and under every degradation; write `robustness.json` and a picture into the run.

    only   names of degradations; all where none is given
    limit  the most cases to read, the same ones every time
    """
    refuse_images(project)
    names = chosen_names(only)
    run = run_of(project, run_name, fold)
    model = model_of(project, run)
    cohort = project.cohort(fold)
    level = project.settings.evaluation.interval_level
    subject = _subject(project, cohort, model, limit)
    endpoint, notes = endpoint_of(project)
    tried, not_run = conditions(names, load_image(cohort, subject.cases[0]))
    if project.question.is_of_objects:
        tried, unfit = fitting(tried, str(model.card.task.get("route", "")))
        not_run += unfit
    if not tried:
        why = "; ".join(f"{one['title']}: {one['reason']}" for one in not_run)
        raise OverreadError(f"Nothing of this can be tried on these images. {why}.", "name others with --only, or leave it out")
    clean = read_under(subject, None, progress, "Reading the tuning cases as they are")
    otherwise = read_otherwise(subject, clean, run.predictions / "tuning")
    first = contender(CLEAN, project.question, score(subject, clean, None))
    check_defined(first, endpoint, limited=len(subject.cases) < len(cohort.of("tuning")))
    others = [_contender(subject, condition, progress, f"({k} of {len(tried)})") for k, condition in enumerate(tried, 1)]
    tolerance, found = drops(line_up([first, *others]), endpoint, level)
    also = at_threshold(project.question, [first, *others], level)
    rows = [row(condition, drop, more) for condition, drop, more in zip(tried, found, also, strict=True)]
    drawn = picture_of(subject, tried, is_phantom=cohort.is_phantom)
    result = {
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "run": project.run(run_name).name,
        "fold": fold,
        "model": model.card.sha256,
        "is_phantom": cohort.is_phantom,
        "partition": "tuning",
        "n_cases": len(subject.cases),
        "n_patients": len({case.patient_id for case in subject.cases}),
        "of_cases": len(cohort.of("tuning")),
        "endpoint": endpoint.as_dict(),
        "level": level,
        "tolerance": tolerance,
        "rule": rule_words(endpoint, tolerance, level),
        "rows": rows,
        "not_run": not_run,
        "done": what_was_done(tried),
        "picture": None if drawn is None else {"file": PICTURE, **drawn[1]},
        "notes": [
            SEAL,
            FROZEN,
            *([ANSWERED] if model.guard is not None else []),
            *notes,
            *_notes(subject, cohort, tried, otherwise),
        ],
    }
    if drawn is None:
        (run.path / PICTURE).unlink(missing_ok=True)  # that of an earlier call
    else:
        write_bytes(run.path / PICTURE, drawn[0])
    write_json(run.path / FILE, result)
    return result


def _subject(project: Project, cohort: Cohort, model: Model, limit: int | None) -> Subject:
    cases = some_of(cohort.of("tuning"), project.question, limit)
    if not cases:
        raise OverreadError("There are no tuning cases in this project.", "look at cohort/splits.json")
    settings = project.settings
    decisions, tolerance = model.card.decisions, settings.evaluation.surface_tolerance_mm
    aggregation, matching = settings.question.aggregation, settings.evaluation.matching
    return Subject(model.predictor, decisions, cohort, cases, aggregation, tolerance, matching)


def _contender(subject: Subject, condition: Condition, progress: Progress | None, number: str) -> Contender:
    answers = read_under(subject, condition, progress, f"{condition.words} {number}")
    return contender(condition.words, subject.cohort.question, score(subject, answers, condition))


def _notes(subject: Subject, cohort: Cohort, tried: Sequence[Condition], otherwise: int | None) -> list[str]:
    notes = []
    if len(subject.cases) < len(cohort.of("tuning")):
        notes.append(
            f"Read were {len(subject.cases)} of {len(cohort.of('tuning'))} tuning cases, as --limit asked; drawn by the hash of "
            "their pseudonyms, classes in turn, other patients before second cases."
        )
    if otherwise:
        notes.append(
            f"{otherwise} of {len(subject.cases)} cases, as they are, are answered otherwise now than when the model was frozen "
            "(another machine, or another precision). Drops are against the answers of now."
        )
    if cohort.question.task == "segmentation" and any(c.degradation and c.degradation.turn_back for c in tried):
        notes.append(TURNED)
    return notes
