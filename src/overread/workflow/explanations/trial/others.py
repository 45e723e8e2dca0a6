"""Other models that the maps of a trial are compared with: trainings with other seeds, and one on shuffled truths."""

from __future__ import annotations

from collections.abc import Sequence

from overread.cohort.progress import Progress
from overread.core.errors import OverreadError
from overread.explanation.asked import single
from overread.explanation.trial.labels import LabelRandomisation
from overread.explanation.trial.repeat import Seeds
from overread.reading.model import Model
from overread.reading.predictor import Predictor
from overread.workflow.explanations.subject import Subject
from overread.workflow.explanations.trial.shuffled import shuffled_model
from overread.workflow.frozen import model_of

Members = tuple[tuple[Predictor, float], ...]


def other_trainings(subject: Subject, fold: int | None, names: Sequence[str]) -> Seeds:
    """The networks of other runs; one that is not there, or cannot be compared, is refused."""
    found = []
    for name in dict.fromkeys(names):
        project, known = subject.project, subject.project.runs()
        if name not in known:
            raise OverreadError(
                f"There is no run '{name}' in this project (runs: {', '.join(known)}).",
                f"train one with another seed: `{project.command('train', '--name', name, '--set', 'training.seed=1')}`",
            )
        model = model_of(project, project.run(name, fold))
        if model.card.sha256 == subject.model.card.sha256:
            raise OverreadError(f"Run '{name}' is the one on trial.", "name runs with other seeds with --seeds")
        found.append((model.card.sha256, _members(subject, model, f"run '{name}'")))
    return Seeds(tuple(found))


def on_shuffled_truths(
    subject: Subject, fold: int | None, minutes: float | None, again: str, progress: Progress | None
) -> LabelRandomisation:
    model = shuffled_model(subject, fold, minutes, again, progress)
    return LabelRandomisation(model.card.sha256, _members(subject, model, "the training on shuffled truths"))


def _members(subject: Subject, model: Model, what: str) -> Members:
    """The networks of another model, which must see the images as this one does."""
    own, members = single(subject.model.predictor)[0][0], single(model.predictor)
    if any(_asks(predictor) != _asks(own) for predictor, _ in members):
        raise OverreadError(
            f"{what[:1].upper()}{what[1:]} answers another question than the run on trial.", "compare runs of the same question"
        )
    if any(_weights(predictor) != _weights(own) for predictor, _ in members):
        raise OverreadError(
            f"In {what} the network is another one than in the run on trial, so maps differ for more reasons than chance.",
            "compare trainings of the same architecture",
        )
    if any(predictor.preparation != own.preparation for predictor, _ in members):
        raise OverreadError(
            f"In {what} images are prepared otherwise than in the run on trial, so the maps lie on different grids.",
            "compare trainings with the same [training] settings",
        )
    return members


def _asks(predictor: Predictor) -> tuple[str, tuple[str, ...], bool, bool]:
    """What a target means: its number among the classes, and what kind of number the score is."""
    question = predictor.task.question
    return question.task, question.classes, question.exclusive, question.ordered


def _weights(predictor: Predictor) -> tuple[type, dict[str, tuple[int, ...]]]:
    """What tells architectures apart: the kind of network, and the shapes of its weights by name."""
    network = predictor.network
    return type(network), {name: tuple(values.shape) for name, values in network.state_dict().items()}
