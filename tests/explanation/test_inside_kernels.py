"""Kernels of the first layer are those that read the image."""

from __future__ import annotations

import pytest
import torch

from overread import networks
from overread.core.errors import OverreadError
from overread.explanation.inside.kernels import first_kernels
from overread.networks.anatomy.layers import layer_table


def test_first_kernels_are_those_that_read_the_image() -> None:
    network = networks.build("unet", in_channels=2, out_channels=2, dimensions=3, serves="dense", options={"base_features": 4})
    kernels = first_kernels(network, 2, layer_table(network, (2, 32, 32, 32)))
    assert kernels.layer == "encoder.0.0.conv"
    assert kernels.weights.shape == (4, 2, 3, 3, 3)
    assert (kernels.weights == network.get_submodule(kernels.layer).weight.detach().numpy()).all()  # type: ignore[union-attr, operator]


def test_a_network_without_kernels_is_refused_in_words() -> None:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
    with pytest.raises(OverreadError, match="first layer of this network is no convolution") as refusal:
        first_kernels(network, 1, layer_table(network, (1, 8, 8)))
    assert "--part" in refusal.value.next
