"""Muon: the step is orthogonal, of AdamW's size, and AdamW teaches the rest."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from overread.training.muon import EPSILON, Muon, is_matrix, orthogonal


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(8, 8), (16, 432), (128, 3456), (300, 40)])
def test_singular_values_come_near_one(shape: tuple[int, int], dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonal(torch.randn(shape), dtype))
    assert float(values.min()) > 0.6
    assert float(values.max()) < 1.3


def test_the_directions_are_those_of_the_matrix() -> None:
    """U V^T of the singular value decomposition is the nearest orthogonal matrix."""
    torch.manual_seed(1)
    matrix = torch.randn(12, 40)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonal(matrix)
    nearest = left @ right
    assert float((found * nearest).sum() / (found.norm() * nearest.norm())) > 0.97


def test_weights_that_read_the_image_or_answer_are_no_matrices() -> None:
    network = nn.Sequential(nn.Conv3d(1, 16, 3), nn.Conv3d(16, 32, 3), nn.BatchNorm3d(32), nn.Conv3d(32, 3, 1))
    assert [name for name, weight in network.named_parameters() if is_matrix(weight)] == ["1.weight"]


def test_a_step_has_the_size_that_adamw_takes() -> None:
    torch.manual_seed(2)
    layer = nn.Conv2d(32, 64, 3, bias=False)
    before = layer.weight.detach().clone()
    optimizer = Muon(layer, lr=1e-3, weight_decay=0.0)
    layer(torch.randn(2, 32, 8, 8)).square().sum().backward()
    optimizer.step()
    moved = (layer.weight.detach() - before).square().mean().sqrt()
    assert float(moved) == pytest.approx(0.2e-3, rel=0.2)


def test_what_is_no_matrix_follows_adamw() -> None:
    torch.manual_seed(3)
    ours, theirs = nn.Linear(5, 3), nn.Linear(5, 3)
    theirs.load_state_dict(ours.state_dict())
    reference = torch.optim.AdamW(
        [{"params": [theirs.weight], "weight_decay": 0.05}, {"params": [theirs.bias], "weight_decay": 0.0}],
        lr=1e-2,
        betas=(0.9, 0.99),
        eps=EPSILON,
    )
    optimizer = Muon(ours, lr=1e-2, weight_decay=0.05)
    for _ in range(20):
        images = torch.randn(7, 5)
        for network, teacher in ((ours, optimizer), (theirs, reference)):
            teacher.zero_grad()
            network(images).square().sum().backward()
            teacher.step()
    assert torch.allclose(ours.weight, theirs.weight, atol=1e-6)
    assert torch.allclose(ours.bias, theirs.bias, atol=1e-6)
