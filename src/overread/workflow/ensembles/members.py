"""Which models answer together: frozen, of one question and one version of the project, each once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from overread.cohort.index import Cohort, current_digest
from overread.core.errors import OverreadError
from overread.core.preparation import Preparation
from overread.core.question import Decisions, Question
from overread.reading.card import Member, ModelCard, card_of
from overread.record.files import read_json
from overread.record.provenance import machine, versions
from overread.record.run import RunFolder
from overread.workflow.ensembles.record import FILE
from overread.workflow.project import Project


@dataclass(frozen=True)
class Chosen:
    """A model of an ensemble.

    title   "first", or "first, fold 2"
    weight  as it was asked for
    """

    title: str
    run: RunFolder
    weight: float
    card: ModelCard

    def as_dict(self, share: float) -> dict[str, Any]:
        return {"run": self.title, "model": self.card.sha256, "weight": self.weight, "share": share}


def weights_of(names: Sequence[str], weights: Sequence[float] | None) -> tuple[float, ...]:
    """One weight per run; all alike where none are given."""
    if weights is None:
        return (1.0,) * len(names)
    if len(weights) != len(names):
        raise OverreadError(
            f"{len(weights)} weights for {len(names)} runs.", f"give one weight for each of {', '.join(names)}, in that order"
        )
    wrong = [weight for weight in weights if not (math.isfinite(weight) and weight > 0)]
    if wrong:
        raise OverreadError(f"A weight of {wrong[0]:g}: weights are numbers above 0.", "leave that run out of --runs")
    return tuple(weights)


def choose(project: Project, names: Sequence[str], fold: int | None, weights: Sequence[float]) -> list[Chosen]:
    """The members of the ensemble of one fold, or of a project of partitions; refused by name where they do not go together."""
    found = [chosen(project, name, fold, weight) for name, weight in zip(names, weights, strict=True)]
    check_together(found)
    return found


def chosen(project: Project, name: str, fold: int | None, weight: float) -> Chosen:
    """One model, as far as it can be judged by itself."""
    run = project.run(name, fold)
    title = name if fold is None else f"{name}, fold {fold}"
    card = _frozen_card(project, run, title)
    if run.subdivision.exists():
        raise OverreadError(
            f"Run '{title}' is one training of a learning curve or a selection; it was made to be compared.",
            f"train a run of its own: `{project.command('train')}`",
        )
    if card.question != project.question:
        raise OverreadError(
            f"Run '{title}' answers another question than the project asks now ({_asked(card.question)}, not "
            f"{_asked(project.question)}).",
            "ask it again in [question] of project.toml, or train the run anew",
        )
    if card.training.get("cohort") != current_digest(project.path):
        raise OverreadError(
            f"Run '{title}' learned from another version of the cohort, in which other cases may have been tuning or test cases.",
            f"train it again: `{project.command('train', '--name', 'NAME')}`",
        )
    return Chosen(title, run, weight, card)


def _frozen_card(project: Project, run: RunFolder, title: str) -> ModelCard:
    path = run.model / "model.json"
    if not run.path.is_dir():
        known = ", ".join(project.runs()) or "none yet"
        raise OverreadError(
            f"There is no run '{title}' in this project (runs: {known}).", f"train it: `{project.command('train')}`"
        )
    if (run.path / FILE).exists():
        raise OverreadError(f"Run '{title}' is an ensemble itself.", "name its members in its place")
    if not path.exists():
        is_baseline = (run.path / "baseline.json").exists()
        why = "is a baseline of hand-made features and has no network" if is_baseline else "has no model"
        raise OverreadError(f"Run '{title}' {why}.", "leave it out of --runs, or train it")
    card = card_of(read_json(path))
    if card.state != "frozen":
        raise OverreadError(
            f"The model of run '{title}' is a snapshot of unfinished training.", f"finish it: `{project.resume_command(run)}`"
        )
    return card


def _asked(question: Question) -> str:
    return f"{question.task} of {', '.join(question.classes)}"


def check_together(members: Sequence[Chosen]) -> None:
    """Each model once, and all for images of one kind."""
    by_model: dict[str, str] = {}
    for member in members:
        other = by_model.setdefault(member.card.sha256, member.title)
        if other != member.title:
            raise OverreadError(
                f"Runs '{other}' and '{member.title}' hold the same model.", "name one of them; --weights lets it count for more"
            )
    for member in members:
        if member.card.first is not None:
            raise OverreadError(
                f"Run '{member.title}' reads the part of an image that a first model finds; such runs are not combined.",
                "leave it out of --runs",
            )
    first = members[0]
    for member in members[1:]:
        if kind_of(member.card.preparation) != kind_of(first.card.preparation):
            raise OverreadError(
                f"Runs '{first.title}' and '{member.title}' read images of different kinds.",
                "combine runs that read the same ones",
            )


def kind_of(preparation: Preparation) -> tuple[object, ...]:
    """What must be the same for two models to read the same images."""
    return preparation.channels, preparation.units, preparation.is_planar


def joint_card(
    project: Project, cohort: Cohort, members: Sequence[Chosen], gate: ModelCard | None, counts: dict[str, dict[str, int]]
) -> ModelCard:
    """The card of the ensemble before its decisions.

    counts  "cases" and "patients", each by partition
    """
    first, settings = members[0].card, project.settings
    whole = sum(member.weight for member in members)
    reading = {**first.reading, "aggregation": settings.question.aggregation, "codes": dict(settings.codes)}
    seeds = list(dict.fromkeys(str(member.card.training.get("seed", "")) for member in members))
    return replace(
        first,
        decisions=Decisions(),
        network={**first.network, "name": _name(members, gate), "options": {}},
        reading=reading,
        training={
            **counts,
            "cohort": cohort.digest,
            "seed": ", ".join(seeds),
            "versions": versions(),
            "machine": machine(),
            "licences": first.training.get("licences", {}),
        },
        state="frozen",
        weights="",
        sha256="",
        members=tuple(Member(member.title, member.weight / whole, member.card) for member in members),
        gate=gate,
    )


def _name(members: Sequence[Chosen], gate: ModelCard | None) -> str:
    """What the network is called in reports."""
    kinds = ", ".join(dict.fromkeys(str(member.card.network["name"]) for member in members))
    behind = "" if gate is None else " behind a gate"
    return f"{kinds}{behind}" if len(members) == 1 else f"an ensemble of {len(members)} networks ({kinds}){behind}"
