"""Parameters and multiplications against fvcore, which counts them in its own way: from a trace of the graph."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from overread import networks
from overread.networks.anatomy.body import PyramidBody, body_of
from overread.networks.count import cost

PRODUCTS = ("conv", "linear", "matmul", "bmm", "addmm", "baddbmm", "einsum")  # fvcore also counts norms and resampling
QUICK = [
    ("unet", 3, "dense", {"base_features": 4}, 32),
    ("resnet18", 2, "image", {"width": 8}, 64),
    ("densenet40", 2, "image", {}, 32),
    ("mobilenet_v2", 2, "image", {}, 32),
]
ALL = [
    ("residual_unet", 2, "dense", {"base_features": 4}, 64),
    ("attention_unet", 2, "dense", {"base_features": 4}, 64),
    ("unet_plus_plus", 2, "dense", {"base_features": 4}, 64),
    ("vnet", 3, "dense", {"base_features": 4}, 32),
    ("segnet", 2, "dense", {"base_features": 4}, 64),
    ("fcn", 2, "dense", {}, 64),
    ("deeplab_v3_plus", 2, "dense", {}, 64),
    ("segresnet", 3, "dense", {}, 32),
    ("lenet", 2, "image", {"image_size": [32, 32]}, 32),
    ("vgg11", 2, "image", {"image_size": [64, 64]}, 64),
    ("googlenet", 2, "image", {}, 64),
    ("resnext50", 2, "image", {}, 64),
    ("se_resnet18", 3, "image", {"width": 8}, 32),
    ("efficientnet_b0", 2, "image", {}, 64),
    ("convnext_tiny", 2, "image", {}, 64),
    ("retinanet", 2, "objects", {}, 64),
    ("fcos", 2, "objects", {}, 64),
    ("centre_detector", 3, "objects", {"base_features": 4}, 32),
    ("monai:DynUNet", 3, "dense", {}, 32),
]


class AllAnswers(nn.Module):
    """Of a detector every answer, as a trace drops what is not given back."""

    def __init__(self, body: PyramidBody) -> None:
        super().__init__()
        self.inner = body.inner

    def forward(self, images: Tensor) -> Any:
        levels = list(self.inner.backbone(images).values())  # type: ignore[operator]
        return tuple(self.inner.head(levels).values())  # type: ignore[operator]


def check(name: str, dimensions: int, serves: str, options: dict[str, Any], edge: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fvcore.nn import FlopCountAnalysis, parameter_count

    network = networks.build(name, in_channels=1, out_channels=2, dimensions=dimensions, serves=serves, options=options).eval()
    body = body_of(network)
    shape = (1, 1, *(edge,) * dimensions)
    counted = cost(body, shape)
    whole = _Every(body) if name == "centre_detector" else AllAnswers(body) if isinstance(body, PyramidBody) else body
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        analysis = FlopCountAnalysis(whole, torch.zeros(shape)).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        theirs = analysis.by_operator()
    assert counted.macs == sum(theirs[key] for key in PRODUCTS)
    assert counted.parameters <= parameter_count(network)[""] == sum(p.numel() for p in network.parameters())


class _Every(nn.Module):
    """Of the detector by centres heat, boxes and segmentation."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        maps = self.body.pyramid(images)  # type: ignore[operator]
        return self.body.heat(maps), self.body.box(maps), self.body.segmentation(maps)  # type: ignore[operator]


@pytest.mark.parametrize("row", QUICK, ids=[row[0] for row in QUICK])
def test_counts_are_those_of_fvcore(row: tuple[Any, ...]) -> None:
    check(*row)


@pytest.mark.every_row
@pytest.mark.parametrize("row", ALL, ids=[row[0] for row in ALL])
def test_counts_are_those_of_fvcore_for_all(row: tuple[Any, ...]) -> None:
    check(*row)
