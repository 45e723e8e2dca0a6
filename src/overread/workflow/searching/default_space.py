"""What is searched where nothing was named: a handful of lines that matter, around what the plan would choose."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.networks.architecture import Architecture
from overread.networks.table import ARCHITECTURES
from overread.training.plan import Plan
from overread.workflow.learning.outline import outline
from overread.workflow.searching.space import Choice, Range, Space

TENFOLD = 10.0
DECAYS = (1e-5, 1e-1)  # where the plan has none
# Networks that learn something in minutes, from small to large; of these the ones that fit are searched.
ARCHITECTURES_TRIED = {
    "image": ("resnet10", "resnet18", "resnet34", "densenet121", "mobilenet_v2", "efficientnet_b0", "convnext_tiny"),
    "dense": ("unet", "residual_unet", "attention_unet", "unet_plus_plus"),
}
LOSSES_TRIED = ("dice_ce", "cross_entropy", "tversky")  # of masks
AUGMENTATION = {
    "training.augmentation.intensity": 1.5,
    "training.augmentation.rotation_degrees": 30.0,
    "training.augmentation.scale": 0.3,
}


def default_space(question: Question, plan: Plan, set_already: Sequence[str], rates: tuple[float, float] | None = None) -> Space:
    """The space for a task.

    plan         as it would be without a search: its values lie in the middle of the ranges
    set_already  keys that --set gives a value: what is set is not searched
    rates        lowest and highest learning rate, where a range test has found them
    """
    low, high = rates or _around(plan.learning_rate)
    decays = _around(plan.weight_decay) if plan.weight_decay else DECAYS
    axes: list[Range | Choice] = [
        Range("training.learning_rate", low, high, log=True),
        Range("training.weight_decay", *decays, log=True),
    ]
    names = fitting_architectures(plan)
    if len(names) > 1 and plan.weights == "random":
        axes.append(Choice("training.architecture", names))
    if question.task == "segmentation":
        axes.append(Choice("training.loss", LOSSES_TRIED))
    axes += [Range(key, 0.0, top) for key, top in AUGMENTATION.items()]
    return tuple(axis for axis in axes if axis.key not in set_already)


def fitting_architectures(plan: Plan) -> tuple[str, ...]:
    """Names of the table that answer as the plan's network does, in as many dimensions."""
    serves, dimensions = plan.network["serves"], plan.network["dimensions"]
    rows = [ARCHITECTURES[name] for name in ARCHITECTURES_TRIED.get(serves, ()) if name in ARCHITECTURES]
    return tuple(row.name for row in rows if dimensions in row.dimensions and _reads(row, plan))


def _reads(row: Architecture, plan: Plan) -> bool:
    """Whether a network reads images as small as these; asked without memory for its weights."""
    seen = plan.preparation.patch[3 - plan.network["dimensions"] :]
    options = {"image_size": list(seen)} if "image_size" in row.options else {}
    try:
        network = outline({**plan.network, "name": row.name, "options": options})
        device = next(network.parameters()).device
        with torch.no_grad():
            network(torch.zeros(2, plan.network["in_channels"], *seen, device=device))
    except OverreadError:
        return False
    return True


def _around(value: float) -> tuple[float, float]:
    return float(f"{value / TENFOLD:.3g}"), float(f"{value * TENFOLD:.3g}")
