"""Networks of other libraries that have a row here, since the papers name them: torchvision's Inception v3, timm's Swin.

Sources: Szegedy et al., Rethinking the Inception architecture, CVPR 2016, arXiv:1512.00567; Liu et al., Swin transformer,
ICCV 2021, arXiv:2103.14030.
"""

from collections.abc import Sequence
from typing import Any

from torch import nn

from overread.networks.image.network import known_size, size_of
from overread.networks.libraries.from_timm import make_timm
from overread.networks.libraries.from_torchvision import make_torchvision

SMALLEST_INCEPTION = 75  # pixels
SWIN = "swin_tiny_patch4_window7_224"
SMALLEST_SWIN = 32


def make_inception_v3(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    image_size: Sequence[int] | None = None,
    dropout: float = 0.5,
) -> nn.Module:
    """torchvision's Inception v3 in 2D, without the answer half-way up; images of any size from 75 pixels fit.

    dropout  share of features dropped before the linear layer
    """
    size_of(image_size, dimensions, SMALLEST_INCEPTION, "inception_v3")
    options: dict[str, Any] = {"init_weights": False, "dropout": dropout}
    question = {"in_channels": in_channels, "out_channels": out_channels, "dimensions": dimensions, "serves": "image"}
    return make_torchvision("inception_v3", **question, options=options, is_pretrained=False)  # type: ignore[arg-type]


def make_swin_tiny(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    image_size: Sequence[int] | None = None,
    dropout: float = 0.0,
) -> nn.Module:
    """timm's Swin in 2D: attention in windows of 7 x 7 patches of 4 pixels, shifted from layer to layer.

    image_size  pixels along Y, X, of which the network reads this size alone
    dropout     share of features dropped before the linear layer
    """
    size = known_size(image_size, dimensions, "swin_tiny")
    size_of(size, dimensions, SMALLEST_SWIN, "swin_tiny")
    options: dict[str, Any] = {"img_size": size, "drop_rate": dropout}
    question = {"in_channels": in_channels, "out_channels": out_channels, "dimensions": dimensions, "serves": "image"}
    return make_timm(SWIN, **question, options=options, is_pretrained=False)  # type: ignore[arg-type]
