"""What every network that answers per image does, in 2D and 3D: shapes, features, precision, layout, gradients, refusals."""

from __future__ import annotations

import pytest
import torch

from overread import networks
from overread.core.errors import OverreadError
from overread.networks.layout import memory_format, to_channels_last
from tiny_image_networks import COVER, NAMES, REST, SLOW, images_for, options_for, size_for, tiny

pytestmark = pytest.mark.usefixtures("as_in_training")

EVERY = [*COVER, *(pytest.param(*way, marks=pytest.mark.every_row) for way in REST)]
SMALLEST = {"lenet": 16, "alexnet": 63, "vgg11": 32, "convnext_tiny": 32, "inception_v3": 75, "swin_tiny": 32}
FIXED = ("perceptron", "mlp", "vit_tiny", "swin_tiny")


@pytest.mark.parametrize(("name", "dimensions"), EVERY)
def test_an_answer_per_image_is_the_head_of_its_features(name: str, dimensions: int) -> None:
    network, images = tiny(name, dimensions, channels=2), images_for(name, dimensions, channels=2)
    with torch.no_grad():
        answer, features = network(images), network.features(images)
        alone = network(images[:1])
    assert answer.shape == (2, 3)
    assert network.dimensions == dimensions
    assert features.shape[0] == 2
    assert features.ndim == 2
    torch.testing.assert_close(alone, answer[:1], rtol=1e-3, atol=1e-4)
    if hasattr(network, "head"):
        torch.testing.assert_close(network.head(features), answer)


@pytest.mark.parametrize(("name", "dimensions"), EVERY)
def test_gradients_reach_every_parameter_in_bfloat16_and_channels_last(name: str, dimensions: int) -> None:
    network, images = tiny(name, dimensions), images_for(name, dimensions)
    with torch.no_grad():
        before = network(images)
        images = images.contiguous(memory_format=memory_format(images.ndim))
        to_channels_last(network)
        torch.testing.assert_close(network(images), before, rtol=1e-3, atol=1e-4)
    network.train()
    with torch.autocast("cpu", torch.bfloat16):
        answer = network(torch.cat((images, images.flip(0) + 1)))
    assert answer.isfinite().all()
    answer.float().square().sum().backward()
    silent = [parameter_name for parameter_name, p in network.named_parameters() if p.grad is None]
    assert silent == []


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.every_row) if n in SLOW else n for n in NAMES])
def test_an_image_of_other_axes_is_refused(name: str) -> None:
    network = tiny(name, 2)
    with pytest.raises(OverreadError, match=r"2D images, and got one of size \(8, 40, 40\)"):
        network(torch.zeros(1, 1, 8, 40, 40))


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.every_row) if n in SLOW else n for n in SMALLEST])
def test_an_image_that_is_too_small_is_refused_before_and_after_it_is_built(name: str) -> None:
    edge = SMALLEST[name] - 1
    options = {**options_for(name, 2), "image_size": (edge, 96)}
    words = rf"an image of \({edge}, 96\) does not fit {name}: each axis must have at least {SMALLEST[name]} pixels"
    with pytest.raises(OverreadError, match=rf"{words}(?s:.*)patch = \[1, {SMALLEST[name]}, 96\]"):
        networks.build(name, in_channels=1, out_channels=2, dimensions=2, serves="image", options=options)
    if name in ("inception_v3", "swin_tiny"):
        return
    network = tiny(name, 2)
    with pytest.raises(OverreadError, match=words):
        network(torch.zeros(1, 1, edge, 96))
    smallest = torch.zeros(2, 1, SMALLEST[name], SMALLEST[name])
    assert network(smallest).shape == (2, 3)


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.every_row) if n in SLOW else n for n in FIXED])
def test_a_network_with_weights_for_every_place_must_know_the_size(name: str) -> None:
    options = {key: value for key, value in options_for(name, 2).items() if key != "image_size"}
    with pytest.raises(OverreadError, match=rf"{name} has weights for every place(?s:.*)image_size = \[height, width\]"):
        networks.build(name, in_channels=1, out_channels=2, dimensions=2, serves="image", options=options)
    if name == "swin_tiny":
        return
    network, size = tiny(name, 2), size_for(name, 2)
    with pytest.raises(OverreadError, match=rf"{name} was built for images of \({size[0]}, {size[1]}\), and got one of size"):
        network(torch.zeros(1, 1, size[0] + 1, size[1]))


@pytest.mark.parametrize("name", ["googlenet", "densenet40", "mobilenet_v2", "efficientnet_b0", "se_resnet18"])
def test_a_small_image_keeps_its_resolution_in_the_stem(name: str) -> None:
    images = images_for(name, 2)
    kept = tiny(name, 2).stages[0](images)
    assert kept.shape[2] == images.shape[2] // (2 if name == "googlenet" else 1)
    if name != "densenet40":
        assert tiny(name, 2, keeps_size=False).stages[0](images).shape[2] < kept.shape[2]


def test_a_multilayer_perceptron_without_hidden_layers_is_refused() -> None:
    with pytest.raises(OverreadError, match=r"has no layer between pixels and answer(?s:.*)perceptron"):
        tiny("mlp", 2, hidden=())


@pytest.mark.parametrize("name", ["vgg11", "se_resnet18", "mobilenet_v2"])
@pytest.mark.parametrize("norm", ["group", "instance"])
def test_the_normalisation_goes_by_name(name: str, norm: str) -> None:
    network = tiny(name, 2, norm=norm)
    assert not [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert network(images_for(name, 2)).isfinite().all()


@pytest.mark.parametrize("name", ["vgg11", "resnet18"])
def test_an_unknown_normalisation_is_refused(name: str) -> None:
    with pytest.raises(OverreadError, match=r"no normalisation is called 'bach'\n  Next: choose one of .*none"):
        tiny(name, 2, norm="bach")


@pytest.mark.parametrize("norm", ["layer", "none"])
@pytest.mark.parametrize("name", ["resnet10", "resnet50", "plain18"])
def test_a_resnet_takes_every_normalisation_or_none(name: str, norm: str) -> None:
    network = tiny(name, 2, norm=norm)
    answers = network(images_for(name, 2))
    assert answers.isfinite().all()
    assert answers.abs().max() > 0
    has_bias = [layer.bias is not None for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)]
    assert all(has_bias) if norm == "none" else not any(has_bias)


def test_groups_of_a_resnet_share_its_channels_out_evenly() -> None:
    network = networks.build(
        "resnet10", in_channels=1, out_channels=2, dimensions=2, serves="image", options={"width": 24, "norm": "group"}
    )
    groups = {layer.num_channels: layer.num_groups for layer in network.modules() if isinstance(layer, torch.nn.GroupNorm)}
    assert groups == {24: 24, 48: 16, 96: 32, 192: 32}


@pytest.mark.parametrize("layers", [18, 34])
def test_a_plain_network_draws_its_weights_as_its_residual_twin(layers: int) -> None:
    def spreads(name: str) -> dict[tuple[int, ...], float]:
        torch.manual_seed(0)
        network = networks.build(name, in_channels=1, out_channels=2, dimensions=2, serves="image", options={"width": 32})
        found: dict[tuple[int, ...], list[torch.Tensor]] = {}
        for layer in network.modules():
            if isinstance(layer, torch.nn.Conv2d) and layer.kernel_size != (1, 1):
                found.setdefault(tuple(layer.weight.shape), []).append(layer.weight.detach().flatten())
        return {shape: torch.cat(weights).std().item() for shape, weights in found.items()}

    assert spreads(f"plain{layers}") == pytest.approx(spreads(f"resnet{layers}"), rel=0.06)
