"""The networks that find objects: how each is built, and its row in the table."""

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from overread.networks.architecture import BOTH, CENTRES, OBJECTS, PLANE, Architecture
from overread.networks.dense.u_shape import divisor_of_options
from overread.networks.objects.centre_detector import DUPLICATES, CentreDetector, coarsest_stride
from overread.networks.objects.centre_offset_unet import CentreOffsetUNet
from overread.networks.objects.pyramid import Pyramid
from overread.networks.stages import BASE_FEATURES, stages_of

_CENTRE_PAPER = "Zhou 2019, arXiv:1904.07850; taught as in Liu 2020, arXiv:1909.00700"
OF_TORCHVISION = {
    "faster_rcnn": "Ren 2015, arXiv:1506.01497",
    "mask_rcnn": "He 2017, arXiv:1703.06870",
    "retinanet": "Lin 2017, arXiv:1708.02002",
    "fcos": "Tian 2019, arXiv:1904.01355",
    "ssd": "Liu 2016, arXiv:1512.02325",
}


def _centre_detector(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    patch: Any = None,
    spacing: Any = None,
    base_features: int = BASE_FEATURES,
    features: Any = None,
    kernels: Any = None,
    strides: Any = None,
    coarsest: Any = None,
    segmentation: bool = True,
    duplicates: str = DUPLICATES[0],
    norm: str = "group",
    dropout: float = 0.0,
) -> nn.Module:
    """Stages as of the U-Net; normalised in groups of channels, which leaves an image without an object cold.

    coarsest      largest step of the answer in voxels, one number or one per axis; 4 in 2D and 2 in 3D where left out
    segmentation  taught beside the boxes, where the truth has voxels
    duplicates    nms, or soft_nms, which keeps boxes that overlap and lowers the scores of the worse ones
    """
    stages = stages_of(dimensions, patch, spacing, base_features, features, kernels, strides)
    steps = coarsest_stride(coarsest, dimensions)
    pyramid = Pyramid(in_channels, *stages, coarsest=steps, norm=norm, dropout=dropout)
    return CentreDetector(pyramid, out_channels, dimensions, segmentation=segmentation, duplicates=duplicates)


def _centre_offset_unet(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    patch: Any = None,
    spacing: Any = None,
    base_features: int = BASE_FEATURES,
    features: Any = None,
    kernels: Any = None,
    strides: Any = None,
    norm: str = "group",
    dropout: float = 0.0,
    residual: bool = False,
) -> nn.Module:
    """Stages as of the U-Net."""
    stages = stages_of(dimensions, patch, spacing, base_features, features, kernels, strides)
    return CentreOffsetUNet(in_channels, out_channels, *stages, norm=norm, dropout=dropout, residual=residual)


class _OfTorchvision:
    """A builder of torchvision's detectors, imported when it is asked for: torchvision takes as long to import as torch."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *question: int, **options: Any) -> nn.Module:
        network: nn.Module = self._builder()(*question, **options)
        return network

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self._builder())

    def _builder(self) -> Callable[..., nn.Module]:
        from overread.networks.torchvision_objects import builders

        return getattr(builders, self.name)


ROWS = (
    Architecture("centre_detector", OBJECTS, BOTH, _CENTRE_PAPER, "Apache-2.0", _centre_detector, divisor_of_options),
    Architecture(
        "centre_offset_unet",
        CENTRES,
        BOTH,
        "Cheng 2020, arXiv:1911.10194",
        "Apache-2.0",
        _centre_offset_unet,
        divisor_of_options,
    ),
    *(Architecture(name, OBJECTS, PLANE, paper, "BSD-3-Clause", _OfTorchvision(name)) for name, paper in OF_TORCHVISION.items()),
)
