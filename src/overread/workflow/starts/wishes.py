"""What the weights say of the network that they fit, where the user left it open."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from overread.core.question import Question
from overread.networks.table import ARCHITECTURES
from overread.training.wishes import Wishes
from overread.workflow.starts.start import Start

OF_THE_IMAGES = ("image_size", "patch", "spacing", "dropout")  # options that follow from the images, not from the weights
USUAL = {"classification": "image", "regression": "image", "segmentation": "dense"}
RESNETS = {True: "resnet18", False: "resnet10"}  # what the plan takes where nobody chooses: of films, of volumes


def fitted(wishes: Wishes, start: Start, question: Question, *, is_planar: bool) -> tuple[Wishes, dict[str, str]]:
    """Wishes with the network that the weights were made for, and the reasons; as they are where the user chose.

    is_planar  the training cases are single images
    """
    if start.is_random or question.is_of_objects:
        return wishes, {}
    if not start.network:
        return _of_width(wishes, start, question, is_planar)
    name = str(start.network["name"])
    if start.network.get("serves") != USUAL[question.task] or wishes.architecture not in ("auto", name):
        return _of_width(wishes, start, question, is_planar)
    is_same_space = int(start.network["dimensions"]) == _axes(wishes, is_planar)
    options = {key: value for key, value in dict(start.network["options"]).items() if key not in OF_THE_IMAGES}
    if not is_same_space:
        options = {key: value for key, value in options.items() if isinstance(value, int | str)}
    reasons = {"architecture": f"{name}: what the weights were made for"} if wishes.architecture == "auto" else {}
    if "width" in options and "width" not in wishes.network:
        reasons["width"] = f"{options['width']} channels, as in the weights"
    return replace(wishes, architecture=name, network={**options, **wishes.network}), reasons


def _of_width(wishes: Wishes, start: Start, question: Question, is_planar: bool) -> tuple[Wishes, dict[str, str]]:
    """The width of a network of ours per image: of "hub" as published, of a file that of its first kernel."""
    name = RESNETS[is_planar] if wishes.architecture == "auto" else wishes.architecture
    takes: dict[str, Any] = ARCHITECTURES[name].options if name in ARCHITECTURES else {}
    if USUAL[question.task] != "image" or not isinstance(takes.get("width"), int) or "width" in wishes.network:
        return wishes, {}
    kernel = next((tensor for tensor in start.tensors.values() if tensor.ndim > 3), None)
    width = int(takes["width"]) if start.told == "hub" else None if kernel is None else int(kernel.shape[0])
    if width is None:
        return wishes, {}
    return replace(wishes, network={**wishes.network, "width": width}), {"width": f"{width} channels, as in the weights"}


def _axes(wishes: Wishes, is_planar: bool) -> int:
    """2 or 3: what the network is going to see."""
    return int(wishes.dimensions) if wishes.dimensions != "auto" else 2 if is_planar else 3
