"""Anchors that fit the objects to be found, and the options that a plan gives torchvision's detectors. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

ASPECT_RATIOS = (0.5, 1.0, 2.0)
STRIDES = {  # pixels between the cells of each level of the pyramid
    "faster_rcnn": (4, 8, 16, 32, 64),
    "mask_rcnn": (4, 8, 16, 32, 64),
    "retinanet": (8, 16, 32, 64, 128),
    "fcos": (8, 16, 32, 64, 128),
    "ssd": (8, 16, 32, 64, 128),
}
_SURE_CELLS = 3  # an anchor of 3 strides meets an object of its size with an overlap of 0.5 wherever the object lies
_SQUARE = 1.5  # objects up to so much longer than wide are served by the usual aspect ratios


@dataclass(frozen=True)
class Anchors:
    """Boxes that a detector begins from.

    sizes          edge of a square anchor in pixels, one per level of the pyramid, finest first
    aspect_ratios  height / width of the anchors at each place
    reason         why, for the plan
    """

    sizes: tuple[float, ...]
    aspect_ratios: tuple[float, ...]
    reason: str


def anchors_for(sizes: Sequence[Sequence[float]], strides: Sequence[int]) -> Anchors:
    """Anchor sizes that run from the small objects to the large ones.

    sizes    percentiles 0, 10, 50, 90, 100 of the objects' extents ([Z,] Y, X) in pixels of the prepared grid, as in
             ``ObjectFacts.sizes``; of several classes one after the other
    strides  pixels between the cells of each level, finest first: ``STRIDES[name]``

    From one level to the next anchors double, as strides do (Lin 2017, arXiv:1612.03144), or grow faster where the objects differ
    by more. An object smaller than three strides can lie between the anchors, which the reason says.
    """
    edges = [math.sqrt(max(row[-2], 1.0) * max(row[-1], 1.0)) for row in sizes]
    blocks = [sizes[first : first + 5] for first in range(0, len(sizes), 5)]
    small = min(edges[5 * k + min(1, len(block) - 1)] for k, block in enumerate(blocks))
    large = max(edges[5 * k + min(3, len(block) - 1)] for k, block in enumerate(blocks))
    first, steps = max(small, float(strides[0])), max(1, len(strides) - 1)
    growth = max(2.0, (large / first) ** (1 / steps))
    chosen = tuple(round(first * growth**level, 1) for level in range(len(strides)))
    middle = [block[len(block) // 2] for block in blocks]
    shape = math.exp(sum(math.log(max(row[-2], 1.0) / max(row[-1], 1.0)) for row in middle) / len(middle))
    is_long = not 1 / _SQUARE <= shape <= _SQUARE
    ratios = tuple(round(ratio * shape, 2) for ratio in ASPECT_RATIOS) if is_long else ASPECT_RATIOS
    reason = f"objects are {small:.0f} to {large:.0f} pixels across (10th to 90th percentile)"
    if is_long:
        reason += f" and {shape:.1f} times as high as wide" if shape > 1 else f" and {1 / shape:.1f} times as wide as high"
    if small < _SURE_CELLS * strides[0]:
        reason += (
            f"; those below {_SURE_CELLS * strides[0]} pixels may lie between the anchors, which stand {strides[0]} pixels apart"
        )
    return Anchors(chosen, ratios, reason)


def options_for(name: str, weights: str, anchors: Anchors | None = None) -> dict[str, Any]:
    """What a plan writes as options of a detector of torchvision, so that its model can be built again without the weights.

    weights  "random": ResNet-18 with group normalisation, which learns from batches of two;
             else ResNet-50 (VGG-16 for SSD) with the statistics of its batch normalisation kept as they were learned
    """
    options: dict[str, Any] = {"backbone": "resnet18", "norm": "group"}
    if weights != "random":
        options = {"backbone": "vgg16" if name == "ssd" else "resnet50", "norm": "frozen", "trainable_layers": 3}
        if name == "ssd":
            options = {"backbone": "vgg16", "norm": "frozen", "trainable_layers": 4}
    if anchors is not None and name != "fcos":  # which asks each place for the distances to the edges, and has no anchors
        options |= {"anchor_sizes": list(anchors.sizes), "aspect_ratios": list(anchors.aspect_ratios)}
    return options
