"""Which cases are explained: tuning cases chosen by rule or by name, or studies that were given. Sealed truths are not read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from overread.cohort.index import Cohort
from overread.cohort.load import load_image, load_truth, open_channels
from overread.cohort.some_cases import some_of
from overread.core.case import Case, ImageReference
from overread.core.errors import OverreadError, Refused
from overread.core.image import Image
from overread.core.kinds import Kind
from overread.core.question import Question
from overread.reading.model import Model
from overread.record.files import read_json
from overread.record.run import RunFolder
from overread.workflow.learning.panels import SEED, caption
from overread.workflow.read import as_trained
from overread.workflow.readings.clinical import Given, remarks, variables_of, with_clinical_values
from overread.workflow.readings.exams import Exam, exams_in
from overread.workflow.readings.refusing import Refusing

EACH = 2  # cases of each kind
USUAL = 3 * EACH
WORST, BEST, RANDOM, NAMED = "largest error", "surest right", "at random", "asked for"


@dataclass(frozen=True)
class Picked:
    """A case to be explained.

    name       pseudonym of a case, or name of a study
    why        how it came to be chosen
    told       truth and answer in words, where they are known
    open       its pixels
    doubts     what is to be said of these pixels; a study that the model refuses to read raises
    truth      what was drawn or said of it; None where nothing is known
    reference  its first image, whose files lie in `folder`
    """

    name: str
    why: str
    told: str
    open: Callable[[], Image]
    doubts: Callable[[Image], tuple[str, ...]]
    truth: Callable[[], Kind | None]
    reference: ImageReference
    folder: Path


def tuning_cases(
    cohort: Cohort, run: RunFolder, model: str, wanted: Sequence[str], limit: int | None
) -> tuple[list[Picked], list[str]]:
    """The cases named, or some chosen by rule; and what is to be said of the choice.

    model  digest of the model whose errors are looked at
    """
    rows = _scored(run, model)
    if wanted:
        named = [(NAMED, _named(cohort, name)) for name in dict.fromkeys(wanted)]
        return [_picked(cohort, case, why, rows.get(case.case_id)) for why, case in named[:limit]], []
    chosen, notes = _by_rule(cohort, rows, USUAL if limit is None else limit)
    return [_picked(cohort, case, why, rows.get(case.case_id)) for why, case in chosen], notes


def studies(
    paths: Sequence[Path], model: Model, series: Mapping[str, str] | None = None, clinical: Given | None = None
) -> Iterator[Picked]:
    """Studies as `overread read` takes them; one that cannot be opened, or that the model refuses to read, raises when it is.

    series    rules for series that are called otherwise than in training
    clinical  values that the model reads beside the image
    """
    exams = with_clinical_values(list(exams_in(paths, model.card, series)), model.card, clinical)
    if not exams:
        raise OverreadError("There is no study here that the model could be shown.", "give DICOM, NIfTI, PNG, JPEG, TIFF or .npz")
    refusing = Refusing.of(model, None)
    for exam in exams:
        reference = exam.references[0] if exam.references else ImageReference("image", "missing", ())
        opened, looked = partial(_open_exam, exam, model), partial(_look, model, refusing)
        yield Picked(exam.name, "given", "", opened, looked, lambda: None, reference, exam.folder)


def _open_exam(exam: Exam, model: Model) -> Image:
    if exam.refusal is not None:
        raise exam.refusal
    image = open_channels(exam.name, exam.references, exam.folder, gaps=exam.gaps, tilt=exam.tilt)
    return as_trained(replace(image, clinical=exam.clinical), model.card)[0]


def _look(model: Model, refusing: Refusing, image: Image) -> tuple[str, ...]:
    verdict, why, doubts = refusing.look(model, image, model.predictor.prepare(image))
    if why:
        raise Refused(verdict.code, f"the model refuses to read it: {why}")
    return (*doubts, *remarks(image.clinical, variables_of(model.card)))


def _picked(cohort: Cohort, case: Case, why: str, row: Mapping[str, Any] | None) -> Picked:
    told = "" if row is None else caption(dict(row))
    return Picked(
        case.case_id,
        why,
        told,
        lambda: load_image(cohort, case),
        lambda image: (),
        lambda: None if case.truth is None else load_truth(cohort, case),
        case.images[0],
        cohort.images_folder,
    )


def _scored(run: RunFolder, model: str) -> dict[str, dict[str, Any]]:
    """The rows of the tuning evaluation by case, where it is of this very model."""
    path = run.evaluation("tuning")
    if not path.exists():
        return {}
    scored = read_json(path)
    return {row["case_id"]: row for row in scored["cases"]} if scored.get("model") == model else {}


def _by_rule(cohort: Cohort, rows: Mapping[str, Mapping[str, Any]], limit: int) -> tuple[list[tuple[str, Case]], list[str]]:
    """The most confident errors, the surest right answers, some at random; without scores all by the hash of their names."""
    tuning = cohort.of("tuning")
    known = {case.case_id: case for case in tuning if rows.get(case.case_id, {}).get("error") is not None}
    if not known:
        drawn = some_of(tuning, cohort.question, limit)
        note = "The tuning cases have not been scored for this model, so these were drawn by the hash of their pseudonyms."
        return [(RANDOM, case) for case in drawn], [note]
    by_error = sorted(known, key=lambda name: (-rows[name]["error"], name))
    shuffled = [list(known)[k] for k in np.random.default_rng(SEED).permutation(len(known))]
    lists = {WORST: iter(by_error), BEST: iter(reversed(by_error)), RANDOM: iter(shuffled)}
    chosen: dict[str, str] = {}
    while len(chosen) < min(limit, len(known)):
        for why, waiting in lists.items():
            name = next((each for each in waiting if each not in chosen), None)
            if name is not None and len(chosen) < limit:
                chosen[name] = why
    order = list(lists)
    ranked = sorted(chosen.items(), key=lambda item: order.index(item[1]))
    return [(_said(why, cohort.question, rows[name]), known[name]) for name, why in ranked], []


def _said(why: str, question: Question, row: Mapping[str, Any]) -> str:
    """An error of a finding is said to be one, or not."""
    if question.task != "classification" or "called" not in row or not isinstance(row["truth"], str):
        return why
    is_wrong = [row["truth"]] != list(row["called"])
    if why == WORST:
        return "most confident error" if is_wrong else "right, and least sure"
    if why == BEST:
        return "wrong, and least so" if is_wrong else BEST
    return f"{why}, {'wrong' if is_wrong else 'right'}"


def _named(cohort: Cohort, name: str) -> Case:
    tuning = {case.case_id: case for case in cohort.of("tuning")}
    if name in tuning:
        return tuning[name]
    if any(case.case_id == name for case in cohort.of("internal")):
        raise OverreadError(
            f"Case {name} belongs to the internal test, which is sealed: to look at its maps, and then mend the model, would "
            "spend it.",
            f"name tuning cases, such as {', '.join(list(tuning)[:3])}",
        )
    if any(case.case_id == name for case in cohort.cases):
        raise OverreadError(
            f"Case {name} is a training case; its answer shows what was learned by heart.",
            f"name tuning cases, such as {', '.join(list(tuning)[:3])}",
        )
    near = get_close_matches(name, tuning, n=3, cutoff=0.4)
    raise OverreadError(
        f"There is no case '{name}' in this project.",
        f"did you mean {', '.join(near)}?" if near else f"tuning cases are {', '.join(list(tuning)[:3])} ...",
    )
