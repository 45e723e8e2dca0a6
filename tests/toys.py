"""Toy cases that can pose any task: a bright ball on noise."""

from __future__ import annotations

import numpy as np

from overread.batches.cache import PreparedCase
from overread.core.preparation import Normalisation, Preparation
from overread.core.question import Question
from overread.tasks import Scaling, Task, make

SHAPES = {2: (1, 32, 32), 3: (16, 16, 16)}


def question(task: str, *, exclusive: bool = True, ordered: bool = False) -> Question:
    if task == "classification":
        classes = ("small", "middle", "large") if ordered or not exclusive else ("small", "large")
        positive = "large" if len(classes) == 2 else None
        return Question(task, classes, positive=positive, exclusive=exclusive, ordered=ordered)
    if task == "regression":
        return Question(task, ("radius",), units=("voxels",))
    return Question(task, ("ball", "core"), (3, 7), exclusive=exclusive)


def toy_task(asked: Question, loss: str = "auto") -> Task:
    scaling = Scaling((5.0,), (2.0,)) if asked.task == "regression" else Scaling()
    return make(asked, loss=loss, scaling=scaling, deep_supervision=asked.task == "segmentation")


def toy_preparation(dimensions: int, *, dense: bool, shape: tuple[int, int, int] | None = None) -> Preparation:
    shape = shape or SHAPES[dimensions]
    return Preparation(
        ("image",),
        "a.u.",
        dimensions,
        None if dimensions == 2 else (1.0, 1.0, 1.0),
        None if dense else shape,
        shape,
        dimensions == 2,
        (Normalisation("per-image"),),
    )


def toy_cases(asked: Question, dimensions: int, count: int = 6, shape: tuple[int, int, int] | None = None) -> list[PreparedCase]:
    """Balls of growing radius: the radius is the number, its band the class, the ball and its core the structures."""
    random = np.random.default_rng(0)
    shape = shape or SHAPES[dimensions]
    made = []
    for k in range(count):
        radius = 3.0 + 4.0 * (k % 3) / 2
        grid = np.indices(shape).astype(float)
        middle = [(n - 1) / 2 + random.uniform(-1, 1) * (n > 1) for n in shape]
        distance = np.sqrt(sum((g - m) ** 2 for g, m in zip(grid, middle, strict=True)))
        ball, core = distance < radius, distance < radius / 2
        image = (random.normal(size=shape) * 0.3 + 2.0 * ball + 1.0 * core).astype(np.float16)[None]
        made.append(PreparedCase(f"C-{k}", image, *_target(asked, radius, ball, core)))
    return made


def _target(asked: Question, radius: float, ball: np.ndarray, core: np.ndarray) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    if asked.task == "regression":
        return np.array([(radius - 5.0) / 2.0], dtype=np.float32), {}
    if asked.task == "classification":
        band = round((radius - 3) / 2) if len(asked.classes) == 3 else int(radius > 4)
        target = np.zeros(len(asked.classes), dtype=np.float32)
        target[band] = 1
        return target, {}
    points = {1: np.argwhere(ball).astype(np.int32), 2: np.argwhere(core).astype(np.int32)}
    if asked.exclusive:
        return ball.astype(np.uint8) + core.astype(np.uint8), points
    return np.stack([ball, core]).astype(np.uint8), points
