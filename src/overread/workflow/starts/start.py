"""`[training] weights`: random, published, a file, a model file, a MONAI bundle, or a run of the project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from overread.cohort.index import Cohort
from overread.core.errors import OverreadError
from overread.networks.libraries.bundle import is_bundle, read_bundle
from overread.networks.weights import Loaded, load_tensors, read_weights
from overread.reading.card import ModelCard
from overread.reading.model import build_network, load_network
from overread.training.plan import RUN, told_weights
from overread.training.stages import stages_of
from overread.workflow.project import Project
from overread.workflow.starts.kin import note_of_a_model, refuse_kin, run_of_a_model
from overread.workflow.starts.library import published_parts
from overread.workflow.starts.pretrained import is_pretraining, read_pretrained
from overread.workflow.starts.told import OWN, before_that

BY_NAME = ("random", "hub")
RANDOM = "random"
UNKNOWN = (
    "The file does not say from which patients its weights were learned. Are some of them among your tuning or internal test "
    "patients, scores there flatter."
)


@dataclass(frozen=True)
class Start:
    """What a training begins with.

    told           as the plan says it: "random", "hub", "run:NAME", "file NAME"
    tensors        by name; empty for "random" and "hub"
    network        the row of the network that they come from, as in a model card; empty where nothing says it
    is_pretrained  learned without labels
    leaves_head    another question was asked, so that the last layer is none of ours
    licence        of the weights, "" where nobody said it
    notes          what is known of the patients they were learned from
    """

    told: str
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    network: Mapping[str, Any] = field(default_factory=dict)
    is_pretrained: bool = False
    leaves_head: bool = False
    licence: str = ""
    notes: tuple[str, ...] = ()

    @property
    def is_random(self) -> bool:
        return self.told == RANDOM


def start_of(project: Project, weights: str, cohort: Cohort, fold: int | None = None) -> Start:
    """Find the weights; refused where they were learned from patients that this run tunes on or is tested on.

    cohort  as the run sees it;  fold  that it holds out, None in a project of partitions
    """
    if weights in BY_NAME:
        return Start(weights)
    if weights.startswith(RUN):
        return _of_run(project, weights.removeprefix(RUN), cohort, fold)
    path = project.place_of(weights)
    if is_bundle(path):
        return _of_bundle(path)
    if path.suffix == ".overread" or (path / "model.json").is_file():
        return _of_model(project, path, cohort, fold)
    return Start(told_weights(weights), read_weights(path), notes=(UNKNOWN,))


def begin(values: Mapping[str, Any], start: Start) -> tuple[nn.Module, Loaded | None]:
    """The network of a plan with what it begins with; None where all is random."""
    network = build_network(dict(values), "hub" if start.told == "hub" else RANDOM)
    if start.told == "hub":
        return network, published_parts(network)
    if start.is_random:
        return network, None
    head = stages_of(network)[-1]
    without = {name for name in network.state_dict() if head.holds(name)} if start.leaves_head else set[str]()
    found = load_tensors(network, start.tensors, start.told, without=without)
    return network, replace(found, licence=start.licence)


def _of_run(project: Project, name: str, cohort: Cohort, fold: int | None) -> Start:
    run = project.run(name, fold if (project.path / "runs" / name / f"fold-{fold}").is_dir() else None)
    told = f"{RUN}{name}"
    if is_pretraining(run):
        values, tensors = read_pretrained(run)
        refuse_kin(project, run, cohort, fold, values)
        note = f"Learned without labels from {values['images']['training']} training images"
        note += f" and {values['images']['further']} further ones." if values["images"]["further"] else "."
        return Start(told, tensors, values["network"], is_pretrained=True, leaves_head=True, licence=OWN, notes=(note,))
    if not (run.model / "model.json").is_file():
        raise OverreadError(
            f"There is no run '{name}' with a model to begin from.",
            f"name one of {', '.join(project.runs()) or 'the runs to come'}, or pretrain one: "
            f"`{project.command('pretrain', '--name', 'pretrained')}`",
        )
    refuse_kin(project, run, cohort, fold, None)
    card, network = load_network(run.model)
    _refuse_several(card, told)
    return _of_card(project, told, card, network, "Learned from training patients of this project.", OWN)


def _of_model(project: Project, path: Path, cohort: Cohort, fold: int | None) -> Start:
    card, network = load_network(path)
    told = told_weights(str(path))
    _refuse_several(card, told)
    source = run_of_a_model(project, card)
    if source is None:
        note = note_of_a_model(project, card, cohort, path.name)
    else:
        refuse_kin(project, source, cohort, fold, None)
        note = f"{path.name} was trained on training patients of this cohort."
    return _of_card(project, told, card, network, note, "")


def _of_card(project: Project, told: str, card: ModelCard, network: nn.Module, note: str, unsaid: str) -> Start:
    """A trained model, with the terms and the past of the weights that it had begun with itself.

    unsaid  the licence where the card tells none
    """
    licence = str(card.training.get("licences", {}).get("weights", unsaid))
    return Start(
        told,
        network.state_dict(),
        card.network,
        leaves_head=_asks_otherwise(project, card),
        licence=licence,
        notes=(note, *before_that(card.training)),
    )


def _refuse_several(card: ModelCard, told: str) -> None:
    if card.members:
        raise OverreadError(f"{told} is an ensemble of {len(card.members)} models.", "begin from one of its members")


def _asks_otherwise(project: Project, card: ModelCard) -> bool:
    mine, theirs = project.question, card.question
    return (mine.task, mine.classes, mine.exclusive) != (theirs.task, theirs.classes, theirs.exclusive)


def _of_bundle(path: Path) -> Start:
    bundle = read_bundle(path)
    network = {"name": bundle.network, "options": dict(bundle.options), "dimensions": bundle.dimensions, "serves": bundle.serves}
    return Start(told_weights(str(path)), bundle.tensors, network, leaves_head=True, licence=bundle.licence, notes=(UNKNOWN,))
