"""Networks that read clinical values beside an image, whatever reads the image."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from overread.core.errors import OverreadError
from overread.networks.count import cost
from overread.networks.fusion.fused import SUMMARY, WAYS, Fused, about, fused
from overread.networks.table import build
from overread.reading.model import build_network

pytestmark = pytest.mark.usefixtures("as_in_training")

VALUES = 5
OF_IMAGES = [("resnet10", 2, {"width": 8}), ("resnet10", 3, {"width": 8}), ("timm:resnet10t", 2, {})]


def made(name: str, dimensions: int, options: dict[str, int], by: str = "concatenation") -> Fused:
    torch.manual_seed(0)
    row = {"name": name, "in_channels": 2, "out_channels": 3, "dimensions": dimensions, "serves": "image", "options": options}
    network = build_network({**row, "fusion": {"by": by, "values": VALUES, "summary": SUMMARY}})
    assert isinstance(network, Fused)
    return network


def told(images: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    return torch.cat([images, values.reshape(*values.shape, *[1] * (images.ndim - 2)).expand(-1, -1, *images.shape[2:])], 1)


@pytest.mark.parametrize(("name", "dimensions", "options"), OF_IMAGES)
@pytest.mark.parametrize("by", WAYS)
def test_any_network_of_images_reads_values_too(name: str, dimensions: int, options: dict[str, int], by: str) -> None:
    network = made(name, dimensions, options, by)
    images, values = torch.randn(2, 2, *(16,) * dimensions), torch.randn(2, VALUES)
    answer = network(told(images, values))
    assert answer.shape == (2, 3)
    answer.square().sum().backward()
    lost = [key for key, weight in network.named_parameters() if weight.grad is None]
    assert not lost
    network.eval()
    assert not torch.allclose(network(told(images, values)), network(told(images, values + 1)))
    one = network(told(images[:1], values[:1]))
    assert torch.allclose(one, network(told(images, values))[:1], atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert network(told(images, values)).dtype == torch.float32


def test_values_reach_the_head_unchanged() -> None:
    network = made("resnet10", 2, {"width": 8}).eval()
    images, values = torch.randn(3, 2, 16, 16), torch.randn(3, VALUES)
    for given in (told(images, values), told(images, values).contiguous(memory_format=torch.channels_last)):
        picture, seen = network.split(given)
        assert seen is not None
        assert torch.equal(seen, values)
        assert torch.equal(picture, images)


def test_a_patient_may_be_fixed_and_features_are_of_the_image_alone() -> None:
    network = made("resnet10", 2, {"width": 8}).eval()
    images, values = torch.randn(4, 2, 16, 16), torch.randn(VALUES)
    of_one = about(network, values.numpy())
    assert torch.equal(of_one(images), network(told(images, values.expand(4, -1))))
    assert torch.equal(copy.deepcopy(of_one)(images), of_one(images))
    assert torch.equal(network.features(images), network.features(told(images, values.expand(4, -1))))  # type: ignore[operator]
    assert list(of_one.state_dict()) == list(network.state_dict())
    with pytest.raises(ValueError, match="5 clinical values beside the image, and none came"):
        network(images)
    with pytest.raises(ValueError, match="2 channels and 5 values were expected, and 4 came"):
        network(torch.zeros(1, 4, 16, 16))


def test_a_network_of_images_alone_is_about_nobody() -> None:
    plain = build("resnet10", in_channels=1, out_channels=2, dimensions=2, serves="image", options={"width": 8})
    assert about(plain, np.zeros(3, np.float32)) is plain
    network = made("resnet10", 2, {"width": 8})
    assert about(network, None) is network


def test_work_is_counted_on_shapes_alone() -> None:
    network = made("resnet10", 2, {"width": 8})
    assert cost(network, (1, 2 + VALUES, 16, 16)).parameters == sum(p.numel() for p in network.parameters())


def test_an_unknown_way_is_refused() -> None:
    with pytest.raises(OverreadError, match="cannot be fused by 'sum'") as refused:
        fused(
            nn.Identity(),
            {"in_channels": 1, "out_channels": 1, "dimensions": 2, "fusion": {"by": "sum", "values": 1, "summary": 4}},
        )
    assert "concatenation, modulation" in refused.value.next
