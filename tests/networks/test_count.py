"""Counts of parameters, operations and memory against torch's own and by hand."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from overread.networks import build
from overread.networks.count import cost, count_parameters

NETWORKS = [
    ("unet", 3, "dense", {"base_features": 4}),
    ("residual_unet", 2, "dense", {"base_features": 4}),
    ("resnet18", 2, "image", {"width": 8}),
]


@pytest.mark.parametrize(("name", "axes", "kind", "options"), NETWORKS)
def test_operations_agree_with_torch_and_with_the_layers(name, axes, kind, options):
    network = build(name, in_channels=1, out_channels=2, dimensions=axes, serves=kind, options=options)
    shape = (1, 1, *(32,) * axes)
    counted = cost(network, shape)
    with FlopCounterMode(display=False) as torch_counts, torch.no_grad():
        network.eval()(torch.zeros(shape))
    assert counted.macs * 2 == torch_counts.get_total_flops()
    assert counted.macs == sum(layer.macs for layer in counted.layers)
    assert counted.parameters == sum(parameter.numel() for parameter in network.parameters())


def test_one_convolution_by_hand():
    layer = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU())
    counted = cost(layer, (1, 3, 10, 10))
    assert counted.parameters == 8 * 3 * 9 + 8
    assert counted.macs == 100 * 8 * 3 * 9
    assert counted.layers[0].output == (1, 8, 10, 10)
    assert counted.activation_bytes == 4 * (3 * 100 + 8 * 100)  # the input for the weights, the output for the ReLU


def test_the_memory_of_a_step_is_what_autograd_keeps():
    network = build("unet", in_channels=1, out_channels=2, dimensions=3, serves="dense", options={"base_features": 4})
    images = torch.zeros(2, 1, 32, 32, 32)
    own = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    kept = {}

    def note(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor  # the value keeps the memory alive
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        network.forward_scales(images)
    measured = sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in own)
    estimated = cost(network, images.shape, deep_supervision=True).activation_bytes
    assert measured <= estimated <= 1.15 * measured  # a processor lays no skips together, the estimate does
    assert cost(network, images.shape, bytes_per_value=2, deep_supervision=True).activation_bytes == estimated // 2


def test_frozen_parameters_are_not_counted():
    layer = torch.nn.Linear(4, 2)
    layer.bias.requires_grad_(False)
    assert count_parameters(layer) == 8
