"""The options of a network per voxel and the window that it can read: asked of the network's row, by no network's name."""

from __future__ import annotations

import math
from typing import Any

from overread.core.errors import OverreadError
from overread.networks import needs
from overread.networks.stages import Stages
from overread.training.wishes import Budget, Shape, Wishes


def base_features(wishes: Wishes, budget: Budget) -> int:
    """Channels at full resolution: as set, else what the machine allows."""
    width = wishes.network.get("base_features", budget.base_features)
    if isinstance(width, bool) or not isinstance(width, int) or width < 1:
        raise OverreadError(
            f"[training.network] base_features = {width} is no number of channels.",
            f"set {budget.base_features}, or leave it out",
        )
    return width


def fit_network(
    name: str, dimensions: int, stages: Stages, patch: Shape, wishes: Wishes, device: str, reasons: dict[str, str]
) -> tuple[dict[str, Any], Shape]:
    """Options of the network, those of the settings among them, and the window in voxels, made a multiple of what it needs.

    stages  laid out for the window, for networks that take them
    """
    own = wishes.network
    options: dict[str, Any] = dict(needs.on_processor(name)) if device == "cpu" else {}
    if needs.takes_stages(name) and "strides" not in own:  # with strides of one's own go widths and kernels of one's own
        options |= {
            "features": list(stages.features),
            "kernels": [list(kernel) for kernel in stages.kernels],
            "strides": [list(stride) for stride in stages.strides],
        }
    elif needs.takes_stages(name):
        options["base_features"] = stages.features[0]
    if wishes.dropout:
        options["dropout"] = wishes.dropout
    options |= own
    window = _fit(name, dimensions, options, patch, reasons)
    seen = list(window[3 - dimensions :])
    taken = needs.options_taken(name)
    if "image_size" in taken and "image_size" not in own:
        options["image_size"] = seen
    if "img_size" in taken:
        if list(own.get("img_size", seen)) != seen:
            raise OverreadError(
                f"[training.network] img_size = {own['img_size']}, but the window that {name} reads has {seen} voxels.",
                "leave img_size out, and set [training] patch",
            )
        options["img_size"] = seen
    return options, window


def _fit(name: str, dimensions: int, options: dict[str, Any], patch: Shape, reasons: dict[str, str]) -> Shape:
    divisor = (1,) * (3 - dimensions) + needs.divisor_of(name, dimensions, options)
    window = tuple(math.ceil(voxels / by) * by for voxels, by in zip(patch, divisor, strict=True))
    if window != tuple(patch):
        steps = " x ".join(str(by) for by in divisor[3 - dimensions :])
        reasons["patch"] += f"; rounded up to a multiple of {steps}, as {name} needs"
    return window  # type: ignore[return-value]
