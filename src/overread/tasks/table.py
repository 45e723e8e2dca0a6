"""The tasks by name."""

from __future__ import annotations

from typing import Any

from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.tasks.base import UNSCALED, Scaling, Task
from overread.tasks.classification import Classification
from overread.tasks.regression import Regression
from overread.tasks.segmentation import Segmentation

TASKS: dict[str, type[Classification] | type[Regression] | type[Segmentation]] = {
    t.name: t for t in (Classification, Regression, Segmentation)
}


def make(
    question: Question,
    *,
    loss: str = "auto",
    weights: tuple[float, ...] = (),
    scaling: Scaling = UNSCALED,
    deep_supervision: bool = False,
) -> Task:
    """The task of a question, with its loss by name; an unknown loss is refused with the list of known ones."""
    kind: Any = TASKS[question.task]
    name = kind.losses_by_name[0] if loss == "auto" else loss
    if name not in kind.losses_by_name:
        raise OverreadError(
            f"'{loss}' is no loss for {question.task}.", f"choose one of {', '.join(kind.losses_by_name)} in [training] loss"
        )
    options = {"deep_supervision": deep_supervision} if kind is Segmentation else {}
    return kind(question, name, weights, scaling, **options)
