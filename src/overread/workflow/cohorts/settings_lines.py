"""The settings of a new project, from what was found, and the reason for each inferred line."""

from __future__ import annotations

import os
from pathlib import Path

from overread.cohort.gather import Gathered
from overread.cohort.names import NAME_RULES
from overread.cohort.partition import Division, Wish
from overread.cohort.request import Request
from overread.cohort.rules import Rule
from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.metrics.objects.criterion import Criterion
from overread.workflow.settings import (
    CohortSection,
    EvaluationSection,
    ImagesSection,
    ProjectSection,
    QuestionSection,
    RegionSection,
    Settings,
    SplitSection,
    TruthSection,
)


def draft_settings(
    folder: Path, request: Request, gathered: Gathered, division: Division, wish: Wish, splits: str | Path | None
) -> tuple[Settings, dict[str, str]]:
    """Settings and "section.key" -> reason."""
    question, roles = gathered.question, gathered.roles
    reasons = dict(gathered.reasons)
    reasons["images.folder"] = gathered.layout.form
    reasons |= division.reasons
    if gathered.chosen:
        where = "images.channels" if gathered.channels else "images.series"
        reasons[where] = f"you said so; {len(gathered.drafts)} exams have what it asks for"
    images = ImagesSection(
        folder=_relative(request.images, folder),
        channels={name: _shortest(rule) for name, rule in gathered.channels.items()},
        series=dict(gathered.series),
        missing=gathered.missing,  # type: ignore[arg-type]
        gaps=request.gaps,  # type: ignore[arg-type]
        tilt=request.tilt,  # type: ignore[arg-type]
    )
    sheet = gathered.joined.sheet.path if gathered.joined else None
    truth = TruthSection(
        path=_relative(gathered.truth_folder, folder) if gathered.truth_folder else None,
        sheet=_relative(_sheet_of(request, sheet), folder) if sheet else None,
        id_column=gathered.joined.column if gathered.joined else None,
        label_columns=gathered.label_columns,
        names=dict(request.said.names),
        reader=request.how.reader,
        method=request.how.method,
        date=request.how.date,
    )
    if gathered.joined:
        reasons["truth.id_column"] = gathered.joined.reason
    asked = QuestionSection(
        task=question.task,  # type: ignore[arg-type]
        classes=question.classes,
        values=question.values,
        others=gathered.others,
        positive=question.positive,
        exclusive=question.exclusive,
        ordered=question.ordered,
        units=question.units,
        unit=question.unit,  # type: ignore[arg-type]
        aggregation=request.aggregation,  # type: ignore[arg-type]
        index_exam=request.index_exam,
        sided=question.sided,
        objects=question.objects,  # type: ignore[arg-type]
        given=question.given,
        degradation=question.degradation,
        conditions=question.conditions,
        guides=question.guides,
    )
    if gathered.others:
        reasons["question.others"] = "you asked for the others alone: these are background"
    if request.said.unit is None:
        reasons["question.unit"] = "one answer per image; the split stays by patient"
    reasons["question.sided"] = _sided(question)
    cohort = CohortSection(
        group_by=request.group_by if request.group_by in NAME_RULES else roles.patient if roles else None,
        site=roles.site if roles else None,
        scanner=roles.scanner if roles else None,
        date=roles.date if roles else None,
        side=roles.side if roles else None,
        covariates=tuple(request.covariates),
    )
    reasons["cohort.covariates"] = _covariates(gathered)
    reasons["cohort.group_by"] = gathered.patient_reason
    for key, column in (("site", cohort.site), ("scanner", cohort.scanner), ("date", cohort.date)):
        if column and roles:
            reasons[f"cohort.{key}"] = roles.reasons.get(column, "")
    split = SplitSection(
        scheme=division.scheme,  # type: ignore[arg-type]
        given=_given(splits, folder),
        tuning=wish.tuning,
        internal=wish.internal,
        folds=len(division.tuning) if division.scheme == "folds" else SplitSection.model_fields["folds"].default,
        stratify_by=wish.stratify_by,
        seed=wish.seed,
        leak_override=wish.leak_override,
    )
    settings = Settings(
        project=ProjectSection(name=folder.name),
        images=images,
        truth=truth,
        question=asked,
        cohort=cohort,
        split=split,
        evaluation=EvaluationSection(),
    )
    reasons |= _judged(gathered)
    return settings, {k: v for k, v in reasons.items() if v}


def _sided(question: Question) -> str:
    if question.is_of_images:
        return "an image mirrored left to right is another patient" if question.sided else "you said so"
    return "left and right are named" if question.sided else "no answer names a side"


def with_region(settings: Settings, model: Path, folder: Path) -> Settings:
    """The settings with a first model, which says what part of every image is read; it is opened when the first plan is made."""
    if not model.is_file():
        raise OverreadError(f"There is no first model at {model}.", "give a .overread file with --region")
    return settings.model_copy(update={"region": RegionSection(model=_relative(model, folder))})


def _judged(gathered: Gathered) -> dict[str, str]:
    """Of objects: when an answer finds one, and how many false ones are borne; both can be changed before the test is opened."""
    if not gathered.question.is_of_objects:
        return {}
    is_planar = all(s.grid is not None and s.grid.is_planar for s in gathered.seen)
    criterion = Criterion.parse("auto", is_planar=is_planar)
    what = "voxels" if gathered.question.task == "instances" else "boxes"
    why = "the usual limit in 2D" if is_planar else "in 3D a small shift costs much overlap"
    return {
        "evaluation.matching": f"{criterion.text} of {what}, {why}; or 'distance 10 mm' (px), or 'hit' (centre inside)",
        "evaluation.false_positives": "of each class per image, at most: thresholds are chosen so on tuning cases",
    }


def _shortest(rule: Rule) -> str | dict[str, str]:
    """A rule of the file's name alone as its pattern."""
    return rule["file"] if set(rule) == {"file"} else dict(rule)


def _given(splits: str | Path | None, folder: Path) -> str | None:
    if splits is None or str(splits).casefold() == "none":
        return None if splits is None else "none"
    return _relative(Path(splits), folder) if Path(splits).is_file() else str(splits)


def _covariates(gathered: Gathered) -> str:
    names = sorted({name for d in gathered.drafts for name in d.covariates})
    return f"found and kept: {', '.join(names)}" if names else ""


def _sheet_of(request: Request, path: Path) -> Path:
    """The sheet as the user wrote it, worksheet and all."""
    given = request.sheet or request.truth
    return given if given is not None else path


def _relative(path: Path, folder: Path) -> str:
    """Relative to the project where both lie near each other, so that the two can move together; else absolute."""
    path = Path(os.path.abspath(path))
    relative = os.path.relpath(path, folder)
    return relative if relative.count("..") <= 2 else str(path)
