"""The tasks by name."""

from __future__ import annotations

from typing import Any

from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.tasks.base import UNSCALED, Scaling, Task
from overread.tasks.classification import Classification
from overread.tasks.detection import Detection
from overread.tasks.instances import InstanceSegmentation
from overread.tasks.regression import Regression
from overread.tasks.segmentation import Segmentation

Kinds = type[Classification] | type[Regression] | type[Segmentation] | type[Detection] | type[InstanceSegmentation]
TASKS: dict[str, Kinds] = {t.name: t for t in (Classification, Regression, Segmentation, Detection, InstanceSegmentation)}


def routes_of(task: str) -> tuple[str, ...]:
    """What a task can ask of a network; the first is the default."""
    kind: Any = TASKS[task]
    return tuple(kind.losses_by_route)


def losses_of(task: str, route: str = "") -> tuple[str, ...]:
    """The losses by which a task can be taught on a route; the first is the default."""
    kind: Any = TASKS[task]
    return kind.losses_by_route[route or routes_of(task)[0]]


def make(
    question: Question,
    *,
    loss: str = "auto",
    weights: tuple[float, ...] = (),
    scaling: Scaling = UNSCALED,
    deep_supervision: bool = False,
    route: str = "",
) -> Task:
    """The task of a question, with its loss by name; an unknown loss is refused with the list of known ones.

    route  what is asked of the network, one of `routes_of`; "" is the task's first
    """
    kind: Any = TASKS[question.task]
    route = route or routes_of(question.task)[0]
    if route not in routes_of(question.task):
        raise OverreadError(
            f"{question.task} cannot be asked of a network that answers by '{route}'.",
            f"choose one of {', '.join(routes_of(question.task))}",
        )
    known = losses_of(question.task, route)
    name = known[0] if loss == "auto" else loss
    if name not in known:
        raise OverreadError(
            f"'{loss}' is no loss for {question.task}{_by(question, route)}.",
            f"choose one of {', '.join(known)} in [training] loss",
        )
    options: dict[str, Any] = {"deep_supervision": deep_supervision} if kind is Segmentation else {}
    if question.is_of_objects:
        options["route"] = route
    return kind(question, name, weights, scaling, **options)


def _by(question: Question, route: str) -> str:
    return f" by a network of {route}" if question.is_of_objects else ""
