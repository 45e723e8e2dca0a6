"""The part of a network that computes maps and logits, without the listing of objects, which hangs on what it sees."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from overread.networks.generative.parts import OfParts
from overread.networks.objects.centre_detector import CentreDetector
from overread.networks.torchvision_objects.adapter import ObjectsAdapter


class CentreBody(nn.Module):
    """Maps of a detector by centres, under the names that its layers have there."""

    def __init__(self, network: CentreDetector) -> None:
        super().__init__()
        self.divisor = network.divisor
        self.pyramid, self.heat, self.box, self.segmentation = network.pyramid, network.heat, network.box, network.segmentation

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, [Z,] Y, X) -> (B, classes, [Z,] Y, X by the stride): logits of the heat."""
        maps = self.pyramid(images)
        heat: Tensor = self.heat(maps)
        self.box(maps)
        if self.segmentation is not None:
            self.segmentation(maps)
        return heat


class PyramidBody(nn.Module):
    """Maps of a detector of torchvision, and one proposed region through the heads that read regions."""

    def __init__(self, network: ObjectsAdapter) -> None:
        super().__init__()
        self.divisor, self.inner = network.divisor, network.inner

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, Y, X) -> the coarsest map of the pyramid."""
        inner: Any = self.inner
        levels = list(inner.backbone(images).values())
        if not hasattr(inner, "roi_heads"):
            inner.head(levels)
            return levels[-1]
        inner.rpn.head(levels)
        heads = inner.roi_heads
        inner_maps = heads.box_head(_region(levels[0], heads.box_roi_pool))
        heads.box_predictor(inner_maps)
        if heads.has_mask():
            heads.mask_predictor(heads.mask_head(_region(levels[0], heads.mask_roi_pool)))
        return levels[-1]


class WholeBody(nn.Module):
    """All parts of a network that answers with some of them: makers and critics of images."""

    def __init__(self, network: OfParts) -> None:
        super().__init__()
        self.inner = network
        if (divisor := getattr(network, "divisor", None)) is not None:
            self.divisor = divisor

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, [Z,] Y, X) -> what the last part answers."""
        return self.inner.whole(images)


def body_of(network: nn.Module) -> nn.Module:
    """What can be run on shapes alone: the network itself, of one that lists objects the part before the list, of one that
    answers with some of its parts all of them."""
    if isinstance(network, OfParts):
        return WholeBody(network)
    if isinstance(network, CentreDetector):
        return CentreBody(network)
    if isinstance(network, ObjectsAdapter):
        return PyramidBody(network)
    return network


def _region(maps: Tensor, pool: Any) -> Tensor:
    """(B, C, Y, X) -> (B, C, edge, edge): what is cut out where a proposal points to, without its values."""
    return maps.new_zeros((*maps.shape[:2], *pool.output_size))
