"""What every network that answers per voxel does, in 2D and 3D: shapes, scales, features, precision, layout, gradients."""

from __future__ import annotations

import pytest
import torch

from overread.core.errors import OverreadError
from overread.networks import needs
from overread.networks.count import cost, count_parameters
from overread.networks.dense.rows import ROWS
from overread.networks.layout import memory_format, to_channels_last
from tiny_voxel_networks import COVER, NAMES, REST, images_for, options_for, tiny

pytestmark = pytest.mark.usefixtures("as_in_training")

EVERY = [*COVER, *(pytest.param(*way, marks=pytest.mark.every_row) for way in REST)]
IN_2D = [name if (name, 2) in COVER else pytest.param(name, marks=pytest.mark.every_row) for name in NAMES]
ROW = {row.name: row for row in ROWS}


@pytest.mark.parametrize(("name", "dimensions"), EVERY)
def test_an_answer_per_voxel_of_one_image_or_two(name: str, dimensions: int) -> None:
    network, images = tiny(name, dimensions, channels=2), images_for(name, dimensions, channels=2)
    with torch.no_grad():
        answer, scales, features = network(images), network.forward_scales(images), network.features(images)
        alone = network(images[:1])
    assert answer.shape == (2, 3, *images.shape[2:])
    torch.testing.assert_close(scales[0], answer)
    assert features.shape[0] == 2
    assert features.ndim == 2
    torch.testing.assert_close(alone, answer[:1], rtol=1e-3, atol=1e-4)
    assert network.dimensions == dimensions


@pytest.mark.parametrize(("name", "dimensions"), EVERY)
def test_gradients_reach_every_parameter_in_bfloat16_and_channels_last(name: str, dimensions: int) -> None:
    network, images = tiny(name, dimensions), images_for(name, dimensions)
    with torch.no_grad():
        before = network(images)
        to_channels_last(network)
        images = images.contiguous(memory_format=memory_format(images.ndim))
        torch.testing.assert_close(network(images), before, rtol=1e-3, atol=1e-4)
    network.train()
    with torch.autocast("cpu", torch.bfloat16):
        answers = network.forward_scales(torch.cat((images, images.flip(0) + 1)))
    assert all(answer.isfinite().all() for answer in answers)
    sum(answer.float().square().sum() for answer in answers).backward()
    assert [part for part, p in network.named_parameters() if p.requires_grad and p.grad is None] == []


@pytest.mark.parametrize(("name", "dimensions"), EVERY)
def test_the_row_knows_what_the_network_needs_before_it_is_built(name: str, dimensions: int) -> None:
    network, images = tiny(name, dimensions), images_for(name, dimensions)
    assert needs.divisor_of(name, dimensions, options_for(name, dimensions)) == tuple(network.divisor)
    assert all(size % by == 0 for size, by in zip(images.shape[2:], network.divisor, strict=True))
    with torch.no_grad():
        assert needs.has_scales(name) == (len(network.forward_scales(images)) > 1)
    assert set(ROW[name].on_processor) <= set(ROW[name].options)


@pytest.mark.parametrize("name", IN_2D)
def test_an_image_of_other_axes_is_refused(name: str) -> None:
    with pytest.raises(OverreadError, match=r"2D images, and got one of size \(8, 40, 40\)"):
        tiny(name, 2)(torch.zeros(1, 1, 8, 40, 40))


@pytest.mark.parametrize("name", IN_2D)
def test_an_image_that_does_not_survive_the_strides_is_refused_with_sizes(name: str) -> None:
    if needs.divisor_of(name, 2, options_for(name, 2)) == (1, 1):
        return  # on an encoder: any size, as tested below
    with pytest.raises(OverreadError, match=r"an image of \(33, 32\) does not fit (?s:.*)pad the image to \(\d+, 32\)"):
        tiny(name, 2)(torch.zeros(1, 1, 33, 32))


@pytest.mark.parametrize("name", ["fcn", "deeplab_v3_plus", "pspnet"])
def test_networks_on_an_encoder_read_any_size(name: str) -> None:
    network = tiny(name, 2)
    with torch.no_grad():
        assert network(torch.randn(1, 1, 19, 33)).shape == (1, 3, 19, 33)


@pytest.mark.parametrize("name", [name for name in NAMES if "norm" in ROW[name].options])
def test_the_normalisation_goes_by_name(name: str) -> None:
    with torch.no_grad():
        for norm in ("group", "none"):
            assert tiny(name, 2, norm=norm)(images_for(name, 2)).isfinite().all()
    with pytest.raises(OverreadError, match="no normalisation is called 'spectral'\n  Next: choose one of"):
        tiny(name, 2, norm="spectral")


@pytest.mark.parametrize("name", [name for name in NAMES if "activation" in ROW[name].options])
def test_the_activation_goes_by_name(name: str) -> None:
    images = images_for(name, 2)
    with torch.no_grad():
        answers = [tiny(name, 2, activation=activation)(images) for activation in ("leaky_relu", "silu")]
    assert not torch.allclose(*answers)
    with pytest.raises(OverreadError, match="no activation is called 'relo'"):
        tiny(name, 2, activation="relo")


@pytest.mark.parametrize(("name", "dimensions"), EVERY)
def test_what_it_costs_is_known_before_it_runs(name: str, dimensions: int) -> None:
    network = tiny(name, dimensions)
    counted = cost(network, images_for(name, dimensions).shape, deep_supervision=True)
    assert counted.parameters == count_parameters(network)
    assert counted.macs > 0
    assert counted.activation_bytes > 0
