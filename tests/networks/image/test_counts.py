"""Learned numbers of every network against those published, or counted by torchvision and timm. Nothing is computed."""

from __future__ import annotations

import pytest
import torch

from overread import networks
from overread.networks.count import count_parameters
from overread.networks.image.rows import ROWS

PUBLISHED = {  # 3 channels, 1000 classes, 224 pixels
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "alexnet": 61_100_840,
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "resnext50": 25_028_904,
    "se_resnet18": 11_778_592,  # timm:legacy_seresnet18
    "se_resnet50": 28_088_024,  # timm:legacy_seresnet50
    "densenet121": 7_978_856,
    "mobilenet_v2": 3_504_872,
    "mobilenet_v3_small": 2_542_856,
    "efficientnet_b0": 5_288_548,
    "efficientnet_b1": 7_794_184,
    "efficientnet_b2": 9_109_994,
    "efficientnet_b3": 12_233_232,
    "convnext_tiny": 28_589_128,
    "vit_tiny": 5_717_416,
    "vit_small": 22_050_664,
    "swin_tiny": 28_288_354,
}


def counted(name: str, *, channels: int = 3, classes: int = 1000, edge: int = 224, **options: object) -> int:
    with torch.device("meta"):
        network = networks.build(
            name,
            in_channels=channels,
            out_channels=classes,
            dimensions=2,
            serves="image",
            options={"image_size": (edge, edge), **options},
        )
    return count_parameters(network)


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.every_row) if n == "swin_tiny" else n for n in PUBLISHED])
def test_as_many_learned_numbers_as_published(name: str) -> None:
    assert counted(name) == PUBLISHED[name]


def test_vgg_with_batch_normalisation() -> None:
    needless_biases = 64 + 128 + 2 * 256 + 4 * 512  # of convolutions before a normalisation, which torchvision keeps
    assert counted("vgg11", norm="batch") == 132_868_840 - needless_biases  # torchvision:vgg11_bn


def test_lenet_of_the_paper() -> None:
    assert counted("lenet", channels=1, classes=10, edge=32) == 61_706


def test_a_perceptron_has_a_weight_per_pixel_and_a_bias() -> None:
    assert counted("perceptron", channels=1, classes=1, edge=28) == 28 * 28 + 1
    assert counted("mlp", channels=1, classes=10, edge=28, hidden=(300,)) == 28 * 28 * 300 + 300 + 300 * 10 + 10


def test_a_plain_network_is_the_residual_one_without_its_projections() -> None:
    projections = sum(before * after + 2 * after for before, after in ((64, 128), (128, 256), (256, 512)))
    assert counted("resnet18") - counted("plain18") == projections
    assert counted("resnet34") - counted("plain34") == projections


def test_attention_adds_two_small_layers_per_block() -> None:
    small_layers = sum(2 * (2 * c * c // 16 + c // 16 + c) for c in (64, 128, 256, 512))
    assert counted("se_resnet18") - counted("resnet18") == small_layers
    assert counted("cbam_resnet18") - counted("resnet18") == small_layers + 8 * 2 * 7 * 7


def test_googlenet_has_filters_of_5_pixels_where_torchvision_has_3() -> None:
    pairs = ((16, 32), (32, 96), (16, 48), (24, 64), (24, 64), (32, 64), (32, 128), (32, 128), (48, 128))
    assert counted("googlenet") - 6_624_904 == sum(before * after * (25 - 9) for before, after in pairs)


def test_densenet_of_40_layers() -> None:
    """As bamos/densenet.pytorch, whose stem has no normalisation."""
    assert counted("densenet40", classes=10, edge=32) == 176_122 + 2 * 24


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_names_its_paper_and_takes_the_size_of_the_image(row: object) -> None:
    assert "image_size" in row.options  # type: ignore[attr-defined]
    assert any(place in row.paper for place in ("arXiv:", "doi:"))  # type: ignore[attr-defined]
