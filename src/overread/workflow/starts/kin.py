"""Weights that were learned from patients by whom this run is judged would flatter it; where that can be known, it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overread.audit.audited import called
from overread.cohort.index import Cohort, read_index, versions
from overread.core.errors import OverreadError
from overread.reading.card import ModelCard
from overread.record.files import read_json
from overread.record.run import RunFolder
from overread.workflow.project import Project

JUDGED = ("tuning", "internal")
MODELS = [f"{'*/' * depth}model/model.json" for depth in (1, 2, 3)]  # of a run, of its folds, of a part, of a part's folds


def refuse_kin(
    project: Project, source: RunFolder, cohort: Cohort, fold: int | None, pretraining: Mapping[str, Any] | None
) -> None:
    """Refuse a run of this project that learned from tuning or internal test patients of the run that begins.

    cohort       as the run that begins sees it
    pretraining  the record of a pretraining, which may have seen images of elsewhere
    """
    of_fold = pretraining.get("fold") if pretraining else source.fold
    taught = project.cohort_of(source, of_fold if project.folds else None, check=False)
    learned = {case.patient_id for case in taught.of("training")}
    for partition in JUDGED:
        shared = learned & {case.patient_id for case in cohort.of(partition)}
        if shared:
            raise OverreadError(
                f"Run '{source.name}' learned from {len(shared)} patients that are {called(partition)} patients here: scores "
                "on them would flatter.",
                "begin from a run of the same fold or partitions, or from other weights",
            )
    if pretraining and pretraining["images"]["digests"]:
        _refuse_images(project, source, cohort, frozenset(pretraining["images"]["digests"]))


def _refuse_images(project: Project, source: RunFolder, cohort: Cohort, digests: frozenset[str]) -> None:
    """Images of elsewhere that a later version of the cohort took in as tuning or internal test."""
    judged = {case.case_id for partition in JUDGED for case in cohort.of(partition)}
    shared = [row for row in read_index(project.path) if row.case.case_id in judged and row.digest in digests]
    if shared:
        raise OverreadError(
            f"The pretraining '{source.name}' saw {len(shared)} images that are tuning or internal test images now.",
            "pretrain again under another name: such images are left out",
        )


def run_of_a_model(project: Project, card: ModelCard) -> RunFolder | None:
    """The run of this project that made a model file, wherever the file lies; None where no run holds this very model."""
    for pattern in MODELS:
        for path in sorted((project.path / "runs").glob(pattern)):
            if read_json(path).get("sha256") == card.sha256:
                return RunFolder(path.parent.parent)
    return None


def note_of_a_model(project: Project, card: ModelCard, cohort: Cohort, name: str) -> str:
    """What is known of the patients of a model file of no run here; a fold or a part of this very cohort is refused."""
    theirs = card.training.get("cohort")
    if theirs not in {version["digest"] for version in versions(project.path)}:
        return (
            f"{name} was trained in another project. A model file names no patients: if some of its training patients are among "
            "the tuning or internal test patients here, scores there flatter."
        )
    part = card.training.get("part_of")
    if part:
        raise OverreadError(
            f"{name} is one training of {part['what']} on this very cohort, and the run is not here any more: it may have "
            "learned from tuning patients.",
            'begin from a run of its own with weights = "run:NAME", or from other weights',
        )
    if project.folds:
        raise OverreadError(
            f"{name} was trained on a fold of this very cohort, and its run is not here any more to say which: "
            "another fold's model has learned from the patients held out here.",
            'begin from a run that is here with weights = "run:NAME": its fold of the same number is taken',
        )
    return f"{name} was trained on training patients of this cohort."
