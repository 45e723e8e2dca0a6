"""What a model file says of itself: `model.json`, plain values only, nothing that points to a patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from overread.core.preparation import Preparation
from overread.core.question import Decisions, Question
from overread.reading.refusal.record import Refusal

FORMAT = 1
FORMAT_OF_SEVERAL = 2  # of ensembles, which older programs cannot read
FORMAT_THAT_REFUSES = 3  # of models that refuse images unlike those of training: an older program would answer them all
FORMAT_OF_TWO = 4  # of models that read the part of an image that a first one finds: an older program would read all of it


@dataclass(frozen=True)
class Member:
    """A model of an ensemble.

    run    name of the run that it comes from, with its fold where there are folds
    share  of the answer; those of all members make 1
    """

    run: str
    share: float
    card: ModelCard

    def as_dict(self) -> dict[str, Any]:
        return {"run": self.run, "share": self.share, "card": self.card.as_dict()}


@dataclass(frozen=True)
class ModelCard:
    """What `model.json` says.

    network      name, in_channels, out_channels, dimensions, serves, options: enough to build it
    task         loss, centre and scale of a regression, and of objects the route by which they are found
    reading      overlap, mirrorings, precision, and how images of one unit of analysis are combined
    training     population (counts), seed, steps, minutes, versions, machine
    intended_use what it may be used for
    state        "frozen", or "in training" for the snapshot of an unfinished run
    members      of an ensemble: the models that answer together; preparation, task and reading are then those of the first
    gate         of an ensemble of detectors: the classifier without whose call nothing is answered
    refusal      when an image is refused or warned of; None in models of earlier versions, and where it was switched off
    first        the model that says which part of an image this one reads; None where it reads all of it
    """

    question: Question
    preparation: Preparation
    decisions: Decisions
    network: dict[str, Any]
    task: dict[str, Any]
    reading: dict[str, Any]
    training: dict[str, Any]
    intended_use: str
    is_phantom: bool
    state: str
    weights: str = ""  # digest of the tensors
    sha256: str = ""  # digest of weights and card together: the model's name in the ledger
    members: tuple[Member, ...] = ()
    gate: ModelCard | None = None
    refusal: Refusal | None = None
    first: ModelCard | None = None

    @property
    def format(self) -> int:
        if self.first is not None:
            return FORMAT_OF_TWO
        return FORMAT_THAT_REFUSES if self.refusal else FORMAT_OF_SEVERAL if self.members else FORMAT

    def as_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = {
            "format": self.format,
            "state": self.state,
            "is_phantom": self.is_phantom,
            "intended_use": self.intended_use,
            "question": self.question.as_dict(),
            "preparation": self.preparation.as_dict(),
            "decisions": self.decisions.as_dict(),
            "network": self.network,
            "task": self.task,
            "reading": self.reading,
            "training": self.training,
            "weights": self.weights,
            "sha256": self.sha256,
        }
        if self.members:
            values |= {"members": [member.as_dict() for member in self.members]}
        if self.gate is not None:
            values |= {"gate": self.gate.as_dict()}
        if self.refusal is not None:
            values |= {"refusal": self.refusal.as_dict()}
        if self.first is not None:
            values |= {"first": self.first.as_dict()}
        return values


def card_of(values: dict[str, Any]) -> ModelCard:
    return ModelCard(
        question=Question.from_dict(values["question"]),
        preparation=Preparation.from_dict(values["preparation"]),
        decisions=Decisions.from_dict(values["decisions"]),
        network=values["network"],
        task=values["task"],
        reading=values["reading"],
        training=values["training"],
        intended_use=values["intended_use"],
        is_phantom=values["is_phantom"],
        state=values["state"],
        weights=values["weights"],
        sha256=values["sha256"],
        members=tuple(Member(m["run"], m["share"], card_of(m["card"])) for m in values.get("members", ())),
        gate=card_of(values["gate"]) if "gate" in values else None,
        refusal=Refusal.from_dict(values["refusal"]) if "refusal" in values else None,
        first=card_of(values["first"]) if "first" in values else None,
    )
