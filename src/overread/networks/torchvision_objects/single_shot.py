"""SSD of torchvision, on its own VGG-16 or on the maps of any backbone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torchvision import models
from torchvision.models.detection.ssd import SSD, SSDHead, _vgg_extractor

from overread.core.errors import OverreadError
from overread.networks.libraries.adapters import replace_entry
from overread.networks.torchvision_objects.adapter import LOWEST_SCORE, MOST_OBJECTS, ObjectsAdapter
from overread.networks.torchvision_objects.generators import PixelBoxes
from overread.networks.torchvision_objects.norms import norm_layer
from overread.networks.torchvision_objects.precision import exact
from overread.networks.torchvision_objects.pyramid import ALL_LAYERS, make_body, refuse_layers

VGG = "vgg16"
VGG_SMALLEST = 300  # pixels that its last layers leave one cell of
VGG_SIZES: tuple[float, ...] = (21, 45, 99, 153, 207, 261, 315)  # pixels, of SSD300: 0.07, 0.15, 0.33 ... of 300
VGG_LONGER: tuple[tuple[float, ...], ...] = (
    (2,),
    (2, 3),
    (2, 3),
    (2, 3),
    (2,),
    (2,),
)  # how much longer than wide, and the reverse
SIZES = (32, 64, 128, 256, 512)
_MAPS = 256  # channels of the maps below the backbone's


class Stairs(nn.Module):
    """The maps of a backbone at strides 8, 16 and 32, and two more by convolution, each half as large as the last."""

    def __init__(self, body: nn.Module, channels: list[int], norm: str) -> None:
        super().__init__()
        self.body, self.extra = body, nn.ModuleList()
        make = norm_layer(norm)
        self.out_channels = [*channels, _MAPS, _MAPS]
        for inputs in self.out_channels[-3:-1]:
            half = [nn.Conv2d(inputs, _MAPS // 2, 1, bias=False), make(_MAPS // 2), nn.ReLU(inplace=True)]
            half += [nn.Conv2d(_MAPS // 2, _MAPS, 3, 2, 1, bias=False), make(_MAPS), nn.ReLU(inplace=True)]
            self.extra.append(nn.Sequential(*half))

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """(B, C, Y, X) to five maps by name, finest first."""
        found = self.body(images)
        maps = list(found.values() if isinstance(found, dict) else found)
        for step in self.extra:
            maps.append(step(maps[-1]))
        return OrderedDict((str(number), level) for number, level in enumerate(maps))


def ssd(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    backbone: str = "resnet18",
    norm: str = "group",
    trainable_layers: int = ALL_LAYERS,
    anchor_sizes: Any = None,
    aspect_ratios: Any = (0.5, 1.0, 2.0),
) -> ObjectsAdapter:
    """One stage from single maps, without a pyramid that joins them (Liu 2016, arXiv:1512.02325).

    On vgg16 it is torchvision's SSD300 and takes images of 300 pixels and more; on other backbones any multiple of 32.
    Unlike torchvision's, images are never resized; default boxes have sizes in pixels.
    """
    if backbone == VGG:
        body: Any = _vgg(in_channels, trainable_layers)
        sizes, longer, source = VGG_SIZES, VGG_LONGER, "ssd on vgg16"
        channels, smallest, divisor = [512, 1024, 512, 256, 256, 256], VGG_SMALLEST, (1, 1)
        if anchor_sizes is not None:  # of five levels, as the plan gives them; its sixth map goes on
            sizes = _with_last([*anchor_sizes, float(anchor_sizes[-1]) * 2])
    else:
        inner, channels, _ = make_body(backbone, in_channels, norm, trainable_layers, finest=8)
        body = Stairs(inner, channels, norm)
        sizes = _with_last(anchor_sizes or SIZES)
        longer = (tuple(sorted({max(ratio, 1 / ratio) for ratio in aspect_ratios} - {1.0})),) * len(SIZES)
        channels, smallest, divisor, source = body.out_channels, 1, (32, 32), "ssd"
    boxes = PixelBoxes(_counted(sizes, len(longer)), longer)
    head = SSDHead(channels, boxes.num_anchors_per_location(), out_channels + 1)
    for part in (head.classification_head, head.regression_head):
        for number, layer in enumerate(part.module_list):
            part.module_list[number] = exact(layer)
    limits = {"score_thresh": LOWEST_SCORE, "detections_per_img": MOST_OBJECTS}
    network = SSD(body, boxes, (1, 1), out_channels + 1, [0.0], [1.0], head, **limits)
    return ObjectsAdapter(network, source, backbone, norm, first_class=1, divisor=divisor, smallest=smallest)


def _vgg(in_channels: int, trainable_layers: int) -> nn.Module:
    refuse_layers(trainable_layers)
    inner = models.vgg16(weights=None)
    replace_entry(inner, in_channels)
    return _vgg_extractor(inner, highres=False, trainable_layers=trainable_layers)


def _with_last(sizes: Sequence[float]) -> tuple[float, ...]:
    """One size more than levels: each level has a second square between its own size and the next."""
    return (*map(float, sizes), float(sizes[-1]) * 2)


def _counted(sizes: Sequence[float], levels: int) -> Sequence[float]:
    if len(sizes) != levels + 1 or min(sizes) <= 0:
        raise OverreadError(
            f"anchor_sizes of ssd wants {levels} sizes in pixels, one per level, finest first; got {len(sizes) - 1}",
            next="leave anchor_sizes out, and the plan chooses them from the objects",
        )
    return sizes
