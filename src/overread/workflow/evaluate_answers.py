"""`overread evaluate --truth A --answers B --task T`: anybody's predictions, with no project, no model and no torch."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from overread.cohort.progress import Progress
from overread.core.errors import OverreadError
from overread.core.question import PICTURES, TASKS, Decisions, OperatingPoint, Question
from overread.evaluation.answered import NO_FOLD, answered
from overread.evaluation.objects.found_case import found_case
from overread.evaluation.pictures.scoring import score_pictures
from overread.evaluation.result import Result
from overread.evaluation.results import About, evaluate
from overread.evaluation.rules import SAMPLINGS, Rules
from overread.evaluation.scoring import score_pairs
from overread.evaluation.sources.foreign import ForeignCases, no_patients_note, read_foreign, read_patients
from overread.evaluation.sources.foreign_masks import ForeignPair, match_folders, structures
from overread.evaluation.sources.foreign_objects import ForeignObjects, read_foreign_objects
from overread.evaluation.sources.foreign_pictures import ForeignPictures, read_foreign_pictures
from overread.evaluation.voxels.maps import find_maps
from overread.metrics.table import positive_class
from overread.record.files import write_json, write_text

OBJECTS = ("detection", "instances")


def evaluate_answers(
    truth: Path | str,
    answers: Path | str,
    task: str,
    *,
    patients: Path | str | None = None,
    positive: str | None = None,
    threshold: float = 0.5,
    classes: Mapping[str, int] | Sequence[str] | None = None,
    ordered: bool = False,
    id_column: str | None = None,
    spacing: tuple[float, float, float] | None = None,
    tolerance_mm: float = 2.0,
    matching: str = "auto",
    read: Path | str | None = None,
    resamples: int = 2000,
    sampling: str = "unknown",
    prevalence: float | Mapping[str, float] | None = None,
    out: Path | str | None = None,
    keep_ids: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Evaluate anybody's predictions; no project and no torch are needed.

    truth, answers  two sheets (classification, regression), or two folders of masks with the same file names; detection and
                    instances also COCO truth and results, YOLO and other label files, and two sheets of boxes; tasks that
                    answer with an image two folders of images with the same file names
    patients        column of the truth sheet that names the patient, or a sheet of id and patient
    positive        the class that counts as disease where there are two
    threshold       of every finding, chosen by you beforehand
    classes         segmentation: structure -> label value; images: names of their channels; otherwise of the columns to evaluate
    ordered         the classes are grades, named from low to high in `classes`: kappa with linear and quadratic weights is added
    spacing         (Z, Y, X) mm, for files that carry none
    matching        detection and instances: when an answer finds an object, "iou 0.5", "distance 10 mm" (or px), "hit" or "auto"
    read            translate and restore: a folder of the images that the model was given, scored beside the answers
    sampling        "consecutive", "enriched" or "unknown": how the cases were gathered; an enriched sample cannot tell what
                    depends on the share of positives
    prevalence      share of positives where the model is to be used: one number, or by class
    out             file to write; ids in it are pseudonyms, and `<out>-link.csv` beside it, readable by you alone, names
                    the originals (`keep_ids` writes your ids instead)
    """
    truth, answers = Path(truth), Path(answers)
    if task not in TASKS:
        raise OverreadError(f"The task '{task}' is not known.", f"say {', '.join(TASKS)}")
    if task == "synthesize":
        raise OverreadError(
            "Images that show nobody have no truth, so they are not scored case by case.",
            "compare them with real ones as a whole: `overread fidelity` in a project of --task synthesize",
        )
    if read is not None and task not in ("translate", "restore"):
        raise OverreadError(f"What was read means nothing to the task {task}.", "leave --read out")
    if sampling not in SAMPLINGS:
        raise OverreadError(f"The sampling '{sampling}' is not known.", f"say {', '.join(SAMPLINGS)}")
    if task != "classification" and (ordered or sampling != "unknown" or prevalence is not None):
        raise OverreadError(f"Grades, sampling and prevalence mean nothing to a {task}.", "leave them out")
    if not 0 <= threshold <= 1:
        raise OverreadError(f"The threshold {threshold:g} is no probability.", "give one between 0 and 1")
    if spacing is not None and not all(0 < step < math.inf for step in spacing):
        raise OverreadError(
            f"The spacing {' '.join(f'{step:g}' for step in spacing)} is no distance in mm.", "give three numbers above 0: Z Y X"
        )
    if not 0 <= tolerance_mm < math.inf:
        raise OverreadError(f"The tolerance {tolerance_mm:g} mm is no distance.", "give 0 or more")
    rules = Rules(str(threshold), tolerance_mm, resamples=resamples, sampling=sampling, prevalence=prevalence, matching=matching)
    hide = out is not None and not keep_ids
    if task == "segmentation":
        named = {str(k): int(v) for k, v in classes.items()} if isinstance(classes, Mapping) else None
        understood: tuple[str, ...] = ()
        result, names = _masks(truth, answers, named, patients, spacing, rules, hide, progress)
    elif task in PICTURES:
        pictures = read_foreign_pictures(
            truth,
            answers,
            task,
            classes=list(classes) if classes is not None else None,
            given=None if read is None else Path(read),
            patients=None if patients is None else Path(patients),
        )
        understood = ()
        result, names = _pictures(pictures, rules, hide, progress)
    elif task in OBJECTS:
        objects = read_foreign_objects(truth, answers, task, classes=classes, patients=patients, spacing=spacing)
        understood = ()
        result, names = _objects(objects, threshold, rules, hide)
    else:
        columns = list(classes) if classes is not None else None
        sheets = read_foreign(
            truth, answers, task, id_column=id_column, patients=patients, positive=positive, classes=columns, ordered=ordered
        )
        result, names = _sheets(sheets, threshold, rules, hide)
        understood = sheets.understood
    if out is not None:
        write_json(Path(out), result)
    if out is not None and hide:
        _write_link(Path(out), names)
    result["notes"] += understood  # for the one who asked; not for the file, which may be shared
    return result


def _sheets(sheets: ForeignCases, threshold: float, rules: Rules, hide: bool) -> tuple[Result, _Names]:
    names = _Names.of(sheets.ids, sheets.patients, hide)
    decisions = _fixed(sheets.question, threshold)
    cases = answered(sheets.question, names.cases, names.patients, sheets.truths, sheets.answers, decisions)
    return evaluate(sheets.question, cases, {NO_FOLD: decisions}, rules, About("answers", notes=sheets.notes)), names


def _objects(objects: ForeignObjects, threshold: float, rules: Rules, hide: bool) -> tuple[Result, _Names]:
    question, names = objects.question, _Names.of(objects.ids, objects.patients, hide)
    decisions = _fixed(question, threshold)
    cases = [
        found_case(question, case, patient, truth, answer, decisions, rules.matching)
        for case, patient, truth, answer in zip(names.cases, names.patients, objects.truths, objects.answers, strict=True)
    ]
    return evaluate(question, cases, {NO_FOLD: decisions}, rules, About("answers", notes=objects.notes)), names


def _pictures(pictures: ForeignPictures, rules: Rules, hide: bool, progress: Progress | None) -> tuple[Result, _Names]:
    question, pairs = pictures.question, pictures.pairs
    names = _Names.of([pair.case_id for pair in pairs], [pair.patient_id for pair in pairs], hide)
    scored = score_pictures(pairs, question.classes, progress)
    cases = [
        replace(case, case_id=name, patient_id=patient)
        for case, name, patient in zip(scored, names.cases, names.patients, strict=True)
    ]
    about = About("answers", pictures.is_phantom, notes=pictures.notes)
    return evaluate(question, cases, {NO_FOLD: Decisions()}, rules, about), names


def _masks(
    truth: Path,
    answers: Path,
    classes: Mapping[str, int] | None,
    patients: Path | str | None,
    spacing: tuple[float, float, float] | None,
    rules: Rules,
    hide: bool,
    progress: Progress | None,
) -> tuple[Result, _Names]:
    files, notes = match_folders(truth, answers)
    question = structures(truth, files, classes)
    who = read_patients(Path(patients), list(files)) if patients is not None else {}
    names = _Names.of(list(files), [who.get(i, i) for i in files], hide)
    maps = find_maps(answers, question, list(files))
    pairs = [
        ForeignPair(case, patient, true, answer, question, spacing, maps=maps.by_case.get(original, maps.missing))
        for case, patient, (original, (true, answer)) in zip(names.cases, names.patients, files.items(), strict=True)
    ]
    cases = score_pairs(pairs, question.classes, rules.surface_tolerance_mm, progress)
    notes = notes if who else (*notes, no_patients_note(len(files)))
    return evaluate(question, cases, {NO_FOLD: Decisions()}, rules, About("answers", notes=notes)), names


@dataclass(frozen=True)
class _Names:
    """What cases and patients are called in the result, and what they were called before."""

    cases: tuple[str, ...]
    patients: tuple[str, ...]
    original_cases: tuple[str, ...]
    original_patients: tuple[str, ...]

    @classmethod
    def of(cls, cases: Sequence[str], patients: Sequence[str], hide: bool) -> _Names:
        shown = (_pseudonyms("case", cases), _pseudonyms("patient", patients)) if hide else (cases, patients)
        return cls(tuple(shown[0]), tuple(shown[1]), tuple(cases), tuple(patients))


def _fixed(question: Question, threshold: float) -> Decisions:
    is_called = question.is_of_objects or (question.task == "classification" and (question.is_binary or not question.exclusive))
    if not is_called:
        return Decisions()
    names = [positive_class(question)] if question.is_binary else question.classes
    rule = f"{threshold:g} (given)"
    return Decisions(tuple(OperatingPoint(name, threshold, rule, "nothing: chosen beforehand") for name in names))


def _pseudonyms(kind: str, originals: Sequence[str]) -> list[str]:
    numbers = {name: k for k, name in enumerate(sorted(set(originals)), 1)}
    return [f"{kind}-{numbers[name]:04d}" for name in originals]


def _write_link(out: Path, names: _Names) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case_id", "patient_id", "original_id", "original_patient"])
    writer.writerows(zip(names.cases, names.patients, names.original_cases, names.original_patients, strict=True))
    link = out.with_name(f"{out.stem}-link.csv")
    write_text(link, text.getvalue())
    os.chmod(link, 0o600)
