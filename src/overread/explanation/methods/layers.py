"""The layers of a network by name: which can be asked for a map, which one is asked where none is named, what they gave."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from overread.core.errors import OverreadError
from overread.explanation.asked import Asked
from overread.explanation.methods.method import Method, parameters_of
from overread.networks.dense.unet import UNet
from overread.networks.image.network import ImageNetwork
from overread.networks.objects.centre_detector import CentreDetector

_BOXES = "inner.roi_heads"  # of torchvision's detectors: what lies in it sees single boxes, not the window
_PYRAMID = "inner.backbone"  # of torchvision's detectors: gives the maps of every stride
_TOKEN_AXES = 3  # (B, tokens, C)


def layers_of(asked: Asked) -> dict[str, tuple[int, ...]]:
    """Every layer that gives maps of the window, in the order in which they end, with (C, [Z,] Y, X) of the finest it gives."""
    shapes, _ = _look(asked)
    return shapes


def chosen_layer(asked: Asked, layer: str | None) -> str | None:
    """The layer of this name, else the usual one; None where the network has no usual one.

    A name that the network does not have is refused with the nearest that it has.
    """
    shapes, is_of_tokens = _look(asked)
    if layer is None:
        return _usual(asked, shapes, is_of_tokens)
    if layer not in shapes:
        _refuse(asked.network, layer, list(shapes))
    return layer


def parameters_used(method: Method, asked: Asked) -> dict[str, Any]:
    """The parameters of a method as plain values, with the layer that is asked where none was named."""
    parameters = parameters_of(method)
    if parameters.get("layer", "") is None:
        parameters["layer"] = chosen_layer(asked, None)
    return parameters


@contextmanager
def watched(network: nn.Module, layer: str, images: Tensor) -> Iterator[list[Tensor]]:
    """The maps (B, C, [Z,] Y, X) that a layer gives while the network runs, one for each stride and call.

    What follows gets a copy, so that an activation in place changes no kept map; a gradient goes through the kept ones.
    """
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _entry: object, output: object) -> object:
        return _handed_on(output, lambda values: as_maps(values, images, is_ours(layer)), kept)

    hook = network.get_submodule(layer).register_forward_hook(keep)
    try:
        yield kept
    finally:
        hook.remove()


def _handed_on(output: Any, read: Callable[[Tensor], Tensor | None], kept: list[Tensor]) -> Any:
    """A copy of what a layer gave, made of its maps, which are kept."""
    if isinstance(output, Mapping):
        return type(output)((key, _handed_on(value, read, kept)) for key, value in output.items())  # type: ignore[call-arg]
    if isinstance(output, list | tuple):
        return type(output)(_handed_on(value, read, kept) for value in output)
    if not isinstance(output, Tensor):
        return output
    maps = read(output)
    if maps is None:
        return output.clone()
    kept.append(maps)
    return (maps if maps is output else maps.movedim(1, -1)).clone()


def _maps_in(output: object, images: Tensor, is_ours: bool) -> list[Tensor]:
    if isinstance(output, Mapping):
        return [each for value in output.values() for each in _maps_in(value, images, is_ours)]
    if isinstance(output, list | tuple):
        return [each for value in output for each in _maps_in(value, images, is_ours)]
    maps = as_maps(output, images, is_ours) if isinstance(output, Tensor) else None
    return [] if maps is None else [maps]


def as_maps(output: Tensor, images: Tensor, is_ours: bool) -> Tensor | None:
    """What a layer gave as maps of the images (B, C, [Z,] Y, X); None where it is of something else, or of a single voxel.

    is_ours  channels come first; in networks of other libraries they may come last, which the strides of the axes tell
    """
    if output.ndim != images.ndim or len(output) != len(images):
        return None
    readings = [output] if is_ours else [output, output.movedim(-1, 1)]
    maps = min(readings, key=lambda each: _unevenness(each, images))
    return maps if maps[0, 0].numel() > 1 and _unevenness(maps, images) < math.inf else None


def is_ours(layer: str) -> bool:
    """Whether a layer is one of our networks, which the adapters keep apart from those of other libraries."""
    return layer.partition(".")[0] != "inner"


def _unevenness(maps: Tensor, images: Tensor) -> float:
    """How much the strides of the axes differ; infinite where maps are larger than images."""
    strides = [math.log(n / m) for n, m in zip(images.shape[2:], maps.shape[2:], strict=True)]
    return math.inf if min(strides) < 0 else max(strides) - min(strides)


def _look(asked: Asked) -> tuple[dict[str, tuple[int, ...]], bool]:
    """The layers that give maps, and whether the network goes on with tokens after the last of them."""
    shapes: dict[str, tuple[int, ...]] = {}
    is_of_tokens = False

    def note(name: str) -> Callable[..., None]:
        def look(_module: nn.Module, _entry: object, output: object) -> None:
            nonlocal is_of_tokens
            maps = _maps_in(output, asked.images, is_ours(name))
            if maps:
                shapes.pop(name, None)  # a layer that runs again ends again
                shapes[name] = tuple(max(maps, key=lambda each: each[0, 0].numel()).shape[1:])
                is_of_tokens = False
            elif isinstance(output, Tensor) and output.ndim == _TOKEN_AXES:
                is_of_tokens = True

        return look

    hooks = [
        layer.register_forward_hook(note(name))
        for name, layer in asked.network.named_modules()
        if name and not name.startswith(_BOXES) and not isinstance(layer, nn.Identity)
    ]
    try:
        with torch.no_grad():
            asked.score(asked.images)
    finally:
        for hook in hooks:
            hook.remove()
    return shapes, is_of_tokens


def _usual(asked: Asked, shapes: Mapping[str, tuple[int, ...]], is_of_tokens: bool) -> str | None:
    """The layer that is asked where none is named: the last maps before the answer, what a detector's heads read.

    Of a U-Net these are the maps of its last decoder stage, and Grad-CAM of them is the answer's own logit once more. Deeper
    ones, such as the bottleneck (Vinogradova 2020), do not serve: after them comes a normalisation that takes the mean away,
    instance by instance or in groups, so that the mean slope of a map is 0 but for its rim.
    """
    if isinstance(asked.network, CentreDetector):
        return "pyramid"
    if isinstance(asked.network, UNet):
        return f"decoder.{len(asked.network.decoder) - 1}"
    if asked.task.serves == "objects":
        return _PYRAMID
    if asked.task.serves == "image":
        return None if is_of_tokens or not shapes else list(_before_neck(asked.network, shapes))[-1]
    inside = [name for name, shape in shapes.items() if shape[0] != asked.task.outputs]
    return inside[-1] if inside else None


def _before_neck(network: nn.Module, shapes: Mapping[str, tuple[int, ...]]) -> Mapping[str, tuple[int, ...]]:
    """The layers of ours that come before maps are averaged to a fixed number of places, which may be more than there were."""
    stages = {name: shape for name, shape in shapes.items() if name.partition(".")[0] == "stages"}
    return stages if stages and isinstance(network, ImageNetwork) else shapes


def _refuse(network: nn.Module, layer: str, known: list[str]) -> None:
    exists = layer in dict(network.named_modules())
    what = f"The layer '{layer}' gives no maps of the image." if exists else f"The network has no layer '{layer}'."
    near = difflib.get_close_matches(layer, known, n=4, cutoff=0.4)
    raise OverreadError(what, f"did you mean {', '.join(near)}?" if near else f"choose one of {', '.join(known[-12:])}")
