"""A patch changed and its surroundings computed again gives the scores of whole windows, for every form of residual network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from asked_toys import WAYS, asked_of
from overread import networks
from overread.explanation.asked import Asked
from overread.explanation.methods.nearby import Changed, Nearby
from overread.explanation.methods.occlusion import Occlusion


def shaken(name: str, dimensions: int, **options: object) -> nn.Module:
    """A network in which every layer counts: normalisations with random weights and statistics."""
    torch.manual_seed(0)
    network = networks.build(
        name, in_channels=2, out_channels=2, dimensions=dimensions, serves="image", options={"width": 4, **options}
    )
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            for values in (module.weight, module.bias, module.running_mean):
                nn.init.normal_(values)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
    return network.eval()


def asked(network: nn.Module, dimensions: int, shape: tuple[int, ...]) -> Asked:
    way = next(way for way in WAYS if way.task == "classification" and way.dimensions == dimensions)
    images = torch.randn(1, 2, *shape, generator=torch.Generator().manual_seed(1))
    return replace(asked_of(way), network=network, images=images, patch=(1, *shape) if dimensions == 2 else shape)


@pytest.mark.parametrize(
    ("name", "shape", "options"),
    [
        ("resnet10", (64, 96), {"keeps_size": True}),
        ("resnet18", (128, 96), {}),
        ("resnet50", (64, 64), {"keeps_size": True}),
        ("resnet10", (32, 48, 40), {"keeps_size": True}),
        ("resnet10", (64, 32, 32), {}),
    ],
)
def test_surroundings_are_enough(name: str, shape: tuple[int, ...], options: dict[str, bool]) -> None:
    question = asked(shaken(name, len(shape), **options), len(shape), shape)
    nearby = Nearby.of(question)
    assert nearby is not None
    random = np.random.default_rng(2)
    width = tuple(int(n) for n in random.integers(2, 9, len(shape)))
    edges = [(0,) * len(shape), tuple(n - w for n, w in zip(shape, width, strict=True))]
    inside = [tuple(int(random.integers(0, n - w + 1)) for n, w in zip(shape, width, strict=True)) for _ in range(6)]
    starts = [*edges, *inside]
    values = torch.randn(len(starts), 2, *width, generator=torch.Generator().manual_seed(3)) * 3
    whole = question.images.repeat(len(starts), *[1] * (len(shape) + 1))
    for window, start, one in zip(whole, starts, values, strict=True):
        window[(slice(None), *(slice(a, a + w) for a, w in zip(start, width, strict=True)))] = one
    with torch.no_grad():
        expected = question.score(whole)
        found = nearby.scores(Changed(values, starts))
    assert expected.std() > 0
    assert torch.allclose(found, expected, atol=1e-4 * float(expected.abs().max()))


def test_other_networks_and_uneven_sizes_are_read_whole() -> None:
    uneven = asked(shaken("resnet10", 2), 2, (60, 90))
    assert Nearby.of(uneven) is None
    assert Nearby.of(asked(shaken("resnet10", 2, norm="group"), 2, (64, 64))) is None  # it reaches the whole image
    assert Nearby.of(asked(shaken("resnet10", 2).train(), 2, (64, 64))) is None
    patches = Occlusion(20, 20)
    plain = patches(uneven)
    assert plain.shape == (1, 60, 90)
    assert np.isfinite(plain).all()
