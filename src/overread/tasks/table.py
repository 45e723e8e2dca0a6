"""The tasks by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from itertools import chain
from typing import Any

from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.tasks.base import UNSCALED, Scaling, Task
from overread.tasks.classification import Classification
from overread.tasks.detection import Detection
from overread.tasks.generative.paired import Restoring, Translating
from overread.tasks.generative.table import GENERATIVE
from overread.tasks.instances import InstanceSegmentation
from overread.tasks.regression import Regression
from overread.tasks.segmentation import Segmentation

# Some questions can be taught in ways that have little in common: the loss says which is meant.
TASKS: dict[str, tuple[Any, ...]] = {
    "classification": (Classification,),
    "regression": (Regression,),
    "segmentation": (Segmentation,),
    "detection": (Detection,),
    "instances": (InstanceSegmentation,),
    **GENERATIVE,
}


COMMON = ("question", "loss", "weights", "scaling", "route", "limits")  # of tasks of images: not for the user to set


def routes_of(task: str) -> tuple[str, ...]:
    """What a task can ask of a network; the first is the default."""
    return tuple(dict.fromkeys(route for way in TASKS[task] for route in way.losses_by_route))


def losses_of(task: str, route: str = "") -> tuple[str, ...]:
    """The losses by which a task can be taught on a route; the first is the default."""
    route = route or routes_of(task)[0]
    return tuple(loss for way in TASKS[task] for loss in way.losses_by_route.get(route, ()))


def make(
    question: Question,
    *,
    loss: str = "auto",
    weights: tuple[float, ...] = (),
    scaling: Scaling = UNSCALED,
    deep_supervision: bool = False,
    route: str = "",
    own: Mapping[str, float | str] | None = None,
) -> Task:
    """The task of a question, with its loss by name; an unknown loss is refused with the list of known ones.

    route  what is asked of the network, one of `routes_of`; "" is the task's first
    own    questions of images: what the task takes beside its loss, by name
    """
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
            f"'{name}' is no loss for {question.task}{_by(question, route)}.",
            f"choose one of {', '.join(known)} in [training] loss",
        )
    kind = next(way for way in TASKS[question.task] if name in way.losses_by_route.get(route, ()))
    options: dict[str, Any] = {"deep_supervision": deep_supervision} if kind is Segmentation else {}
    if question.is_of_objects or kind in (Restoring, Translating):
        options["route"] = route
    made: Task = kind(question, name, weights, scaling, **options, **_checked(kind, own or {}, question))
    return made


def options_of(kind: Any) -> dict[str, Any]:
    """What a task of images takes beside its loss: name -> default."""
    return {f.name: f.default for f in fields(kind) if f.name not in COMMON} if kind in chain(*GENERATIVE.values()) else {}


def _checked(kind: Any, own: Mapping[str, float | str], question: Question) -> dict[str, Any]:
    """The options as the task takes them; unknown ones, and words where numbers belong, are refused."""
    known = options_of(kind)
    for name, value in own.items():
        if name not in known:
            listed = ", ".join(known) or "none"
            raise OverreadError(
                f"{question.task} by this loss takes no option '{name}'.", f"options of [training.task] here: {listed}"
            )
        wants_number = isinstance(known[name], int | float)
        if wants_number != isinstance(value, int | float) or isinstance(value, bool):
            wanted = "a number" if wants_number else "a word"
            raise OverreadError(f"[training.task] {name} = {value!r} is not {wanted}.", f"it is {known[name]!r} where left out")
    return dict(own)


def _by(question: Question, route: str) -> str:
    return f" by a network of {route}" if question.is_of_objects or question.is_of_images else ""
