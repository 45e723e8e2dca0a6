"""A classifier before a detector: a case in which it sees no disease is answered with no object."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from overread.cohort.identity import read_links
from overread.cohort.index import Cohort, partition_of_run, places_of, read_index, read_splits
from overread.cohort.match import tokens
from overread.core.errors import OverreadError, Refused
from overread.reading.card import ModelCard
from overread.reading.model import load_network
from overread.record.run import RunFolder
from overread.workflow.ensembles.members import Chosen, kind_of
from overread.workflow.ensembles.record import is_over_folds
from overread.workflow.project import Project


@dataclass(frozen=True)
class GateModel:
    """A frozen classifier of another project.

    network             with its weights
    threshold           frozen operating point of the finding
    learned_from_tuning how many tuning cases of this project it learned from: decisions fitted on them flatter
    """

    project: str
    run: str
    finding: str
    threshold: float
    learned_from_tuning: int
    card: ModelCard
    network: nn.Module

    def as_dict(self) -> dict[str, Any]:
        names = ("project", "run", "finding", "threshold", "learned_from_tuning")
        return {"model": self.card.sha256, **{name: getattr(self, name) for name in names}}


def open_gate(project: Project, text: str, member: Chosen, cohorts: Sequence[Cohort]) -> GateModel:
    """The classifier named by "PROJECT" or "PROJECT:RUN"; refused where it does not fit, or has learned from a test case.

    cohorts  as the ensemble sees them, one for each fold; none for an ensemble over folds, which has no test
    """
    if not project.question.is_of_objects:
        raise OverreadError(
            f"A gate stands before detection and instances; this project asks for {project.question.task}.", "leave --gate out"
        )
    other, run = _place(text)
    if not (run.model / "model.json").exists():
        known = ", ".join(other.runs()) or "none yet"
        raise OverreadError(
            f"The gate's project '{other.name}' has no model in run '{run.name}' (runs: {known}).",
            "name one with --gate PROJECT:RUN; of a project of folds, one made by `overread ensemble PROJECT --over folds`",
        )
    card, network = load_network(run.model)
    _check(card, run, member)
    question = card.question
    finding = question.positive if question.is_binary else question.classes[0]
    assert finding is not None
    learned = _learned_from(other, run)
    shared = _shared(project, (case for cohort in cohorts for case in _ids(cohort, "internal")), other, learned)
    if shared:
        raise Refused(
            "leak",
            f"{len(shared)} cases of the internal test, {shared[0]} for example, are in the gate's project '{other.name}' too, "
            "as the same images or patients, and the gate learned from them. A score on them would flatter.",
            "train a gate on other patients, or make its project with --splits so that both hold out the same patients",
        )
    tuned = _shared(project, (case for cohort in cohorts for case in _ids(cohort, "tuning")), other, learned)
    return GateModel(other.name, run.name, finding, card.decisions.threshold(finding), len(tuned), card, network)


def _place(text: str) -> tuple[Project, RunFolder]:
    """The last colon parts the run from the project, unless there is a folder of the whole name."""
    path, _, name = text.rpartition(":")
    if not path or Path(text).is_dir():
        path, name = text, ""
    project = Project.open(Path(path))
    return project, project.run(name or None)


def _check(card: ModelCard, run: RunFolder, member: Chosen) -> None:
    question = card.question
    if card.state != "frozen":
        raise OverreadError(f"The gate, run '{run.name}', is a snapshot of unfinished training.", "finish its training first")
    is_one = not question.exclusive and len(question.classes) == 1
    if question.task != "classification" or not ((question.is_binary and question.positive) or is_one):
        raise OverreadError(
            f"The gate, run '{run.name}', answers {question.task} of {', '.join(question.classes)}.",
            "a gate is a classification into two classes, one of them positive, or of one finding",
        )
    if card.reading.get("aggregation", "none") != "none":
        raise OverreadError(
            f"The gate's operating point holds for all images of one {question.unit} together, and a gate sees one image.",
            'train it with question.aggregation = "none"',
        )
    if card.first is not None:
        raise OverreadError(
            f"The gate, run '{run.name}', reads the part of an image that a first model finds.",
            "a gate has to read whole images",
        )
    if kind_of(card.preparation) != kind_of(member.card.preparation):
        raise OverreadError(
            f"The gate reads {_kind(card)}; run '{member.title}' reads {_kind(member.card)}.",
            "a gate has to read the images that the detector reads",
        )


def _kind(card: ModelCard) -> str:
    made = card.preparation
    return f"{'planar images' if made.is_planar else 'volumes'} in {made.units} with the channels {', '.join(made.channels)}"


def _ids(cohort: Cohort, partition: str) -> list[str]:
    return [case.case_id for case in cohort.of(partition)]


def _learned_from(other: Project, run: RunFolder) -> set[str]:
    """The cases of the gate's project that its model was trained or tuned on; those that were taken out since, too."""
    splits = read_splits(other.path)
    retired = {case for case, place in splits.get("retired", {}).items() if place != "internal"}
    if is_over_folds(run):
        return set(places_of(splits))
    return {case for case, place in partition_of_run(splits, None).items() if place != "internal"} | retired


def _shared(project: Project, cases: Iterable[str], other: Project, learned: set[str]) -> list[str]:
    """Of these cases of the project, those whose image or patient is among cases of another project."""
    asked = set(cases)
    seen = {row.digest for row in read_index(other.path) if row.case.case_id in learned}
    found = {row.case.case_id for row in read_index(project.path) if row.case.case_id in asked and row.digest in seen}
    if all(read_splits(one.path)["grouped_by"] == "patient" for one in (project, other)):
        people = {tokens(link.original_patient) for link in read_links(other.path) if link.case_id in learned}
        found |= {x.case_id for x in read_links(project.path) if x.case_id in asked and tokens(x.original_patient) in people}
    return sorted(found)
