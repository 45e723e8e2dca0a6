"""Questions to toy networks: one for every task, route and number of dimensions that explanations must serve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from overread import networks
from overread.batches.prepare import prepare_image
from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.preparation import Normalisation, Preparation
from overread.core.question import Decisions, OperatingPoint, Question
from overread.explanation.asked import Asked, ask
from overread.explanation.targets import targets_of
from overread.reading.predictor import Predictor
from overread.tasks import Scaling, make

SHAPES = {2: (1, 64, 64), 3: (32, 32, 32)}


@dataclass(frozen=True)
class Way:
    """A task as it is answered by one network.

    serves  what the network is asked for
    """

    task: str
    dimensions: int
    network: str
    serves: str
    options: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.task}-{self.dimensions}d-{self.network}"


_RESNET, _UNET = {"width": 4}, {"base_features": 4}
WAYS = [
    Way("classification", 2, "resnet10", "image", _RESNET),
    Way("classification", 3, "resnet10", "image", _RESNET),
    Way("regression", 2, "resnet10", "image", _RESNET),
    Way("segmentation", 2, "unet", "dense", _UNET),
    Way("segmentation", 3, "unet", "dense", _UNET),
    Way("detection", 2, "centre_detector", "objects", _UNET),
    Way("detection", 3, "centre_detector", "objects", _UNET),
    Way("detection", 2, "unet", "dense", _UNET),
    Way("detection", 2, "retinanet", "objects", {}),
    Way("instances", 2, "centre_offset_unet", "centres", _UNET),
    Way("instances", 3, "centre_offset_unet", "centres", _UNET),
    Way("instances", 2, "mask_rcnn", "objects", {}),
]


def question_of(task: str) -> Question:
    if task == "classification":
        return Question(task, ("absent", "present"), positive="present")
    if task == "regression":
        return Question(task, ("burden",), units=("ml",))
    return Question(task, ("ball", "core"), (1, 2))


def predictor_of(way: Way, seed: int = 0) -> Predictor:
    """A network with random weights, and all that it needs to read; every object that it lists is called."""
    asked, dense = question_of(way.task), way.serves != "image"
    scaling = Scaling((5.0,), (2.0,)) if way.task == "regression" else Scaling()
    more = {"route": way.serves} if asked.is_of_objects else {}
    task = make(asked, scaling=scaling, **more)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = networks.build(
            way.network,
            in_channels=1,
            out_channels=task.outputs,
            dimensions=way.dimensions,
            serves=way.serves,
            options=way.options,
        )
    shape = SHAPES[way.dimensions]
    preparation = Preparation(
        ("image",),
        "a.u.",
        way.dimensions,
        None if way.dimensions == 2 else (1.0, 1.0, 1.0),
        None if dense else shape,
        shape,
        way.dimensions == 2,
        (Normalisation("per-image"),),
    )
    called = tuple(OperatingPoint(name, 0.0, "all") for name in asked.classes)
    return Predictor(network.eval(), task, preparation, Decisions(called if asked.is_of_objects else ()))


def image_of(way: Way, seed: int = 0) -> Image:
    """A bright ball on noise, a little larger than the window where the network reads by windows."""
    shape = SHAPES[way.dimensions]
    if way.serves != "image":
        shape = tuple(n + 8 if n > 1 else 1 for n in shape)  # type: ignore[assignment]
    random = np.random.default_rng(seed)
    middle = [(n - 1) / 2 + 4 * (n > 1) for n in shape]
    distance = np.sqrt(sum((g - m) ** 2 for g, m in zip(np.indices(shape), middle, strict=True)))
    array = (random.normal(size=shape) * 0.3 + 2.0 * (distance < 6))[None].astype(np.float32)
    grid = Grid.from_spacing(shape, spacing_known=way.dimensions == 3, is_planar=way.dimensions == 2)
    return Image(array, grid, "a.u.", ("image",))


def asked_of(way: Way, seed: int = 0) -> Asked:
    """The first question that can be asked of a toy network about a toy case."""
    predictor = predictor_of(way, seed)
    prepared = prepare_image(image_of(way), predictor.preparation)
    return ask(predictor, prepared, targets_of(predictor, prepared)[0])
