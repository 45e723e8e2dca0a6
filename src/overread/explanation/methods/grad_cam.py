"""Grad-CAM and Grad-CAM++: the maps of a layer, weighted by how the score changes with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from overread.core.errors import OverreadError
from overread.explanation.asked import Asked
from overread.explanation.methods.layers import chosen_layer, layers_of, watched

Weigh = Callable[[Tensor, Tensor], Tensor]  # maps and slopes (C, [Z,] Y, X) to a weight per channel (C,)
_OF_TOKENS = (
    "{} needs maps that lie over the image, and the last layers of this network read tokens; "
    "ask for attention_rollout, or name a layer"
)
_NO_MAPS = "{} needs maps that lie over the image, and no layer of this network gives any; ask for saliency or occlusion"


@dataclass(frozen=True)
class GradCam:
    """The maps of a layer added with the mean slope of the score over each as its weight; below 0 is cut.

    layer  by name; None: see `layers.chosen_layer`
    A pyramid's maps are weighted stride by stride and added on the window. A weight holds for a whole channel: what looks like
    the target elsewhere in the window lights too.
    """

    layer: str | None = None

    name: ClassVar[str] = "grad_cam"
    title: ClassVar[str] = "Grad-CAM"
    source: ClassVar[str] = "Selvaraju, ICCV 2017, arXiv:1610.02391"
    is_signed: ClassVar[bool] = False

    def refusal(self, asked: Asked) -> str | None:
        return refusal_without_layer(asked, self.layer, self.title)

    def __call__(self, asked: Asked) -> np.ndarray:
        return asked.volume(upsampled(layer_maps(asked, self.layer, mean_slope), asked.images))


@dataclass(frozen=True)
class GradCamPlusPlus:
    """As Grad-CAM, but places weigh by the second and third power of their slope, so that several objects count alike.

    layer  by name; None: see `layers.chosen_layer`
    The powers stand for higher derivatives of the exponential of the score (equations 10, 11 and 19).
    """

    layer: str | None = None

    name: ClassVar[str] = "grad_cam_plus_plus"
    title: ClassVar[str] = "Grad-CAM++"
    source: ClassVar[str] = "Chattopadhay, WACV 2018, arXiv:1710.11063"
    is_signed: ClassVar[bool] = False

    def refusal(self, asked: Asked) -> str | None:
        return refusal_without_layer(asked, self.layer, self.title)

    def __call__(self, asked: Asked) -> np.ndarray:
        return asked.volume(upsampled(layer_maps(asked, self.layer, positive_slope), asked.images))


def refusal_without_layer(asked: Asked, layer: str | None, title: str) -> str | None:
    """Why no layer can be asked where none is named; None where one can."""
    if chosen_layer(asked, layer) is not None:
        return None
    return (_OF_TOKENS if layers_of(asked) else _NO_MAPS).format(title)


def mean_slope(maps: Tensor, slopes: Tensor) -> Tensor:
    """(C,): the mean slope of each channel."""
    return slopes.flatten(1).mean(1)


def positive_slope(maps: Tensor, slopes: Tensor) -> Tensor:
    """(C,): the slopes above 0 of each channel, weighted place by place as in equation 19.

    Slopes are taken relative to the largest, which changes weights of all channels alike and keeps powers within float32.
    """
    scale = slopes.abs().max()
    if not scale > 0:
        return torch.zeros_like(slopes[:, 0].flatten(1)[:, 0])
    slopes = slopes / scale
    square, sums = slopes**2, maps.flatten(1).sum(1).reshape(-1, *[1] * (maps.ndim - 1))
    below = 2 * square + sums * scale * slopes**3
    shares = torch.where(below != 0, square / torch.where(below != 0, below, 1), 0)
    return (shares * slopes.clamp_min(0)).flatten(1).sum(1)


def layer_maps(asked: Asked, layer: str | None, weigh: Weigh) -> list[Tensor]:
    """The weighted sum of a layer's maps, cut below 0: ([Z,] Y, X) for each stride and call of the layer."""
    name = chosen_layer(asked, layer)
    assert name is not None, "refused"
    maps, slopes = maps_and_slopes(asked, name)
    return [torch.einsum("c,c...->...", weigh(m, s), m).clamp_min(0) for m, s in zip(maps, slopes, strict=True)]


def maps_and_slopes(asked: Asked, layer: str) -> tuple[list[Tensor], list[Tensor]]:
    """What a layer gave, and how the score changes with it: (C, [Z,] Y, X) for each stride and call of the layer."""
    with torch.enable_grad(), watched(asked.network, layer, asked.images) as maps:
        given = asked.images.detach().clone().requires_grad_()
        score = asked.score(given).sum()
        slopes = torch.autograd.grad(score, maps, allow_unused=True)
    if all(slope is None for slope in slopes):
        raise OverreadError(f"The layer '{layer}' has no part in this answer.", "name a layer that the answer goes through")
    filled = [torch.zeros_like(m) if s is None else s for m, s in zip(maps, slopes, strict=True)]
    return [m.detach()[0] for m in maps], [s.detach()[0] for s in filled]


def upsampled(maps: list[Tensor], images: Tensor) -> Tensor:
    """Maps ([Z,] Y, X) of any size on the window, added."""
    mode, size = "trilinear" if images.ndim == 5 else "bilinear", list(images.shape[2:])
    return torch.stack([F.interpolate(each[None, None], size, mode=mode, align_corners=False)[0, 0] for each in maps]).sum(0)
