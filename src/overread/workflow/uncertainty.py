"""`overread uncertainty`: the frozen model answers each case several times; does what it is unsure of tell where it is wrong?

Tuning cases by default. Of the internal test the images are read, and its errors are taken from the evaluation that opened it:
nothing is opened here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from overread.cohort.progress import Progress
from overread.cohort.some_cases import some_of
from overread.core.errors import OverreadError
from overread.evaluation.rules import Rules
from overread.evaluation.uncertainty.limit import apply_limit, fit_limit
from overread.evaluation.uncertainty.relation import Judged, relation
from overread.reading.answering import Answering
from overread.reading.model import Model
from overread.reading.uncertain import SOURCES, Ways, possible
from overread.reading.uncertain_passes import count_of
from overread.reading.uncertain_ways import CHANGES, PASSES, check, refusal
from overread.record.files import write_text
from overread.record.run import RunFolder
from overread.workflow.explanations.record import beside_of, part_of, put_in_place, write_page, write_part
from overread.workflow.explanations.uncertainty.judged import PLAIN, evaluated_rows, judged_cases, judged_objects
from overread.workflow.explanations.uncertainty.readings import Readings, drawn, read_several, table
from overread.workflow.frozen import model_of, run_of
from overread.workflow.learning.plan_file import read_plan
from overread.workflow.project import Project
from overread.workflow.unfit import refuse_images

PART, MAPS = "uncertainty", "uncertainty-maps"
PARTITIONS = ("tuning", "internal")
MEASURES = {  # the first is the one that pictures and limit go by; said beforehand
    "classification": ("entropy", "mutual_information", "expected_entropy", "sd"),
    "regression": ("sd",),
    "segmentation": ("entropy", "mutual_information", "volume_cv", "dice_loss"),
    "detection": ("disagreement", "score_sd"),
    "instances": ("disagreement", "score_sd"),
}
OF_OBJECTS = ("not found again", "score_sd")
TUNING = (
    "These are tuning cases: threshold, calibration and the best moment of training were chosen by them, so the errors are fewer "
    "than on new cases. The internal test stays sealed."
)
INTERNAL = "The errors are those of the evaluation that opened the internal test; nothing more was opened."
FITTED = "The limit was fitted on these very cases, so what it lets pass here flatters."


def uncertainty(
    project: Project,
    run_name: str | None = None,
    fold: int | None = None,
    by: Sequence[str] = (),
    on: str = "tuning",
    passes: int = PASSES,
    seed: int = 0,
    limit: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write the part "uncertainty" of a run, a table and the maps of voxels beside it, and the page.

    by      ways to answer several times; without any, all that the model has; small changes of the image where it has none
    on      "tuning", or "internal" after that was opened
    passes  of each network, where dropout or changes draw at random
    limit   the most cases to read, the same ones every time
    returns the record, with "page", "table" and "maps": where they lie
    """
    if on not in PARTITIONS:
        raise OverreadError(f"There is no partition '{on}' to look at.", "say tuning or internal")
    refuse_images(project)
    run = run_of(project, run_name, fold)
    model = model_of(project, run)
    name = project.run(run_name).name
    ways, not_used = _ways(model.predictor, run, by, passes, seed)
    cohort = project.cohort_of(run, fold)
    every = evaluated_rows(project, name, run, fold, on, model.card.sha256)
    rows = [row for row in every if "refused" not in row]
    cases = some_of(cohort.of(on), project.question, limit)
    if not cases:
        raise OverreadError(f"There are no {on} cases in this project.", "look at cohort/splits.json")
    question, measures = project.question, MEASURES[project.question.task]
    folder = run.path / "explanation" / MAPS / on
    beside = beside_of(folder)
    matching = project.settings.evaluation.matching
    readings = read_several(model, cohort, cases, ways, matching, measures[0], beside, progress)
    judged = judged_cases(question, rows, readings.found, cohort.of(on), project.settings.question.aggregation)
    pictures = drawn(model, cohort, readings, measures[0], on)
    before = part_of(run, PART)
    earlier = {} if before is None else {key: part for key, part in before.record["partitions"].items() if key != on}
    kept = {} if before is None else {key: png for key, png in before.pictures.items() if not key.startswith(f"{on}-")}
    told: dict[str, Any] = {
        "ways": _as_dict(ways, model.predictor),
        "not_used": not_used,
        "n_cases": len(readings.found),
        "n_patients": len({case.patient_id for case in cases if case.case_id in readings.found}),
        "of_cases": len(cohort.of(on)),
        "n_judged": len(judged),
        "refused": readings.refused,
        "pictures": [{"file": file, "caption": caption} for file, (_, caption) in pictures.items()],
        **_relations(project, model, rows, readings, judged, on, earlier, ways),
        "cases": [_case(one, measures) for one in judged],
    }
    told["notes"] = _notes(told, readings, on, len(every) - len(rows))
    record = {
        "model": model.card.sha256,
        "cohort": cohort.digest,
        "run": name,
        "fold": fold,
        "is_phantom": cohort.is_phantom,
        "task": question.task,
        "level": project.settings.evaluation.interval_level,
        "partitions": {key: part for key in PARTITIONS if (part := {**earlier, on: told}.get(key)) is not None},
    }
    patients = {case.case_id: case.patient_id for case in cases}
    tables = _tables(run, earlier) | {f"{on}.csv": table(readings, judged, patients)}
    put_in_place(beside, folder)
    place = write_part(run, PART, record, kept | {file: png for file, (png, _) in pictures.items()})
    for file, text in tables.items():
        write_text(place / file, text)
    page = write_page(project, run, is_phantom=cohort.is_phantom)
    maps = str(folder) if any(folder.iterdir()) else None
    return {**record, "on": on, "page": str(page), "table": str(place / f"{on}.csv"), "maps": maps}


def _ways(answering: Answering, run: RunFolder, by: Sequence[str], passes: int, seed: int) -> tuple[Ways, list[dict[str, str]]]:
    """What was asked for, or all that the model has; and of the rest why not."""
    mirror = read_plan(run.plan).augmentation.mirror if run.plan.exists() else None
    offered = possible(answering, mirror)
    ways = Ways(tuple(by) or tuple(way for way in offered if way != CHANGES) or (CHANGES,), passes, seed, mirror)
    check(answering, ways)
    others = [(way, refusal(answering, ways, way)) for way in SOURCES if way not in ways.by]
    return ways, [{"way": way, "reason": error.what, "next": error.next} for way, error in others if error is not None]


def _as_dict(ways: Ways, answering: Answering) -> dict[str, Any]:
    return {"by": list(ways.by), "passes": ways.passes, "seed": ways.seed, "readings": count_of(answering, ways)}


def _relations(
    project: Project,
    model: Model,
    rows: Sequence[dict[str, Any]],
    readings: Readings,
    judged: Sequence[Judged],
    on: str,
    earlier: dict[str, Any],
    ways: Ways,
) -> dict[str, Any]:
    """Uncertainty against error, of cases and of objects; the limit, fitted on tuning cases alone."""
    question, settings = project.question, project.settings.evaluation
    measures = MEASURES[question.task]
    rules = Rules(
        resamples=settings.resamples,
        level=settings.interval_level,
        sampling=settings.sampling if question.task == "classification" else "unknown",
    )
    found: dict[str, Any] = {
        "measures": relation(judged, measures, None if question.task == "regression" else PLAIN, rules),
        "objects": None,
        "limit": None,
    }
    if question.is_of_objects:
        objects, lost = judged_objects(rows, readings.found)
        table = relation(objects, OF_OBJECTS, PLAIN, Rules(resamples=settings.resamples, level=settings.interval_level))
        found["objects"] = {"measures": table, "n_objects": len(objects), "n_lost": lost}
    limit = fit_limit(judged, measures[0]) if on == "tuning" else None
    tuned = earlier.get("tuning")
    if limit is None and tuned is not None and tuned["ways"] == _as_dict(ways, model.predictor):
        limit = {key: value for key, value in tuned["limit"].items() if key != "told"}
    if limit is not None:
        found["limit"] = limit | {"told": apply_limit(limit, judged, rules)}
    return found


def _case(one: Judged, measures: Sequence[str]) -> dict[str, Any]:
    unsure = {name: one.unsure.get(name) for name in (*measures, PLAIN) if name in one.unsure}
    return {"case_id": one.case_id, "error": one.error, "wrong": one.is_wrong, "unsure": unsure}


def _notes(told: dict[str, Any], readings: Readings, on: str, unanswered: int) -> list[str]:
    notes = [TUNING if on == "tuning" else INTERNAL]
    if unanswered:
        notes.append(
            f"Cases without an answer in the evaluation, refused or not to be read: {unanswered}. There they count as errors; "
            "here, where answers are judged, they are left out."
        )
    if told["n_cases"] + len(readings.refused) < told["of_cases"]:
        notes.append(
            f"Read were {told['n_cases']} of {told['of_cases']} cases, as --limit asked; drawn by the hash of their pseudonyms."
        )
    if readings.refused:
        notes.append(f"{len(readings.refused)} cases could not be read: {', '.join(sorted(set(readings.refused.values())))}.")
    if told["limit"] is None and on == "internal":
        notes.append(
            "No limit is shown: none was fitted on the tuning cases by the same ways and passes. Run this verb on them first."
        )
    elif on == "tuning":
        notes.append(FITTED)
    if told["objects"] and told["objects"]["n_lost"]:
        notes.append(f"{told['objects']['n_lost']} objects are answered otherwise now than when the model was frozen; left out.")
    return notes


def _tables(run: RunFolder, earlier: dict[str, Any]) -> dict[str, str]:
    """Tables of the partitions that stay as they are."""
    folder = run.path / "explanation" / PART
    return {f"{key}.csv": (folder / f"{key}.csv").read_text(encoding="utf-8") for key in earlier}
