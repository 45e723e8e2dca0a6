"""The network without a neighbourhood."""

from __future__ import annotations

import pytest
import torch

from overread.core.errors import OverreadError
from overread.networks.dense.voxelwise import build_voxelwise


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_voxel_is_answered_from_itself_alone(dimensions: int) -> None:
    network = build_voxelwise(2, 1, dimensions, hidden=(8, 8)).eval()
    images = torch.randn(1, 2, *(9,) * dimensions)
    changed = images.clone()
    place = (0, slice(None), *(4,) * dimensions)
    changed[place] += 1
    with torch.no_grad():
        differs = network(images) != network(changed)
    assert differs.sum() == 1
    assert bool(differs[(0, 0, *(4,) * dimensions)])


def test_a_network_without_neurons_is_refused() -> None:
    with pytest.raises(OverreadError, match="needs hidden layers with neurons"):
        build_voxelwise(1, 1, 2, hidden=())
