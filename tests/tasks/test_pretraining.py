"""Learning without labels: losses against loops, hidden voxels alone count, one seed gives one series of batches."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from overread.batches.augment import Augmentation
from overread.batches.unlabelled import Unlabelled
from overread.core.errors import OverreadError
from overread.networks import build
from overread.tasks.pretraining import (
    HIDDEN,
    MaskedImages,
    Projecting,
    Reconstructing,
    block_mask,
    block_shape,
    contrastive_batch,
    masked_batch,
    masked_error,
    nt_xent,
)


def test_nt_xent_is_its_definition() -> None:
    torch.manual_seed(0)
    projected, temperature = torch.randn(10, 6, dtype=torch.float64), 0.3
    terms = []
    for i in range(10):
        pair = (i + 5) % 10
        likeness = [torch.cosine_similarity(projected[i], projected[k], dim=0).item() / temperature for k in range(10)]
        below = sum(math.exp(likeness[k]) for k in range(10) if k != i)
        terms.append(-math.log(math.exp(likeness[pair]) / below))
    assert float(nt_xent(projected, temperature)) == pytest.approx(sum(terms) / 10, rel=1e-5)


def test_nt_xent_falls_where_pairs_agree_and_has_a_gradient() -> None:
    views = torch.randn(4, 8)
    alike = torch.cat([views, views + 0.01 * torch.randn(4, 8)]).requires_grad_()
    other = torch.cat([views, views[[1, 2, 3, 0]]])
    assert nt_xent(alike) < nt_xent(other)
    nt_xent(alike).backward()
    assert alike.grad is not None
    assert alike.grad.isfinite().all()


def test_only_hidden_voxels_are_counted() -> None:
    images, answer = torch.randn(2, 3, 6, 6), torch.randn(2, 3, 6, 6, requires_grad=True)
    mask = (torch.rand(2, 1, 6, 6) < 0.4).float()
    error = masked_error(answer, images, mask)
    hidden = mask.expand_as(images).bool()
    assert float(error.detach()) == pytest.approx(float((answer - images).abs()[hidden].mean().detach()), rel=1e-5)
    error.backward()
    assert answer.grad is not None
    assert not answer.grad[~hidden].any()
    assert answer.grad[hidden].all()


@pytest.mark.parametrize("size", [(32, 32), (16, 16, 16), (5, 40), (4, 24, 30)])
def test_blocks_are_hidden_whole_and_so_many(size: tuple[int, ...]) -> None:
    mask = block_mask(3, size, torch.Generator().manual_seed(0))
    assert mask.shape == (3, 1, *size)
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    block = block_shape(size)
    for image in mask[:, 0]:
        for axis, edge in enumerate(block):
            lines = image.movedim(axis, 0)
            for start in range(0, size[axis], edge):
                assert torch.equal(lines[start : start + edge], lines[start : start + 1].expand_as(lines[start : start + edge]))
    if all(voxels % edge == 0 for voxels, edge in zip(size, block, strict=True)):
        assert float(mask.mean()) == pytest.approx(HIDDEN, abs=0.05)


def source(dimensions: int, *, roams: bool = False, edge: int = 20) -> Unlabelled:
    random = np.random.default_rng(0)
    shape = (1, 1, edge, edge) if dimensions == 2 else (1, edge, edge, edge)
    images = [random.normal(size=shape).astype(np.float16) for _ in range(5)]
    patch = (1, 16, 16) if dimensions == 2 else (16, 16, 16)
    return Unlabelled(images, patch, 3, Augmentation(chance=1.0), roams=roams, dimensions=dimensions, seed=7)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_batches_follow_from_seed_and_step(dimensions: int) -> None:
    size = (16,) * dimensions
    for step in (0, 4):
        one, other = masked_batch(source(dimensions, roams=True), step), masked_batch(source(dimensions, roams=True), step)
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    images, targets = one
    assert images.shape == (3, 1, *size)
    assert targets.shape == (3, 2, *size)
    hidden = targets[:, 1:].bool()
    assert not images[hidden].any()
    assert torch.equal(images[~hidden], targets[:, :1][~hidden])


def test_two_views_show_the_same_images_differently() -> None:
    pairs, numbers = contrastive_batch(source(2), 1)
    assert pairs.shape == (6, 1, 16, 16)
    assert numbers.tolist() == [0, 1, 2, 0, 1, 2]
    assert not torch.equal(pairs[:3], pairs[3:])


@pytest.mark.parametrize("dimensions", [2, 3])
def test_two_looks_differ_where_there_is_an_image_and_nowhere_else(dimensions: int) -> None:
    made = source(dimensions, edge=10)  # smaller than the window, so that 0 is put around it
    calm, disturbed = made.looks(2)
    outside = calm == 0
    assert 0.2 < float(outside.float().mean()) < 0.95
    assert not disturbed[outside].any()
    assert (disturbed != calm)[~outside].all()


def image_network(dimensions: int = 2) -> nn.Module:
    torch.manual_seed(0)
    options = {"width": 8}
    return build("resnet10", in_channels=2, out_channels=3, dimensions=dimensions, serves="image", options=options)


@pytest.mark.parametrize(("dimensions", "size"), [(2, (48, 40)), (3, (32, 32, 32))])
def test_a_network_per_image_fills_in_by_its_last_map(dimensions: int, size: tuple[int, ...]) -> None:
    made = Reconstructing(image_network(dimensions), 2, size, is_dense=False)
    images, targets = torch.randn(2, 2, *size), torch.randn(2, 3, *size)
    loss = MaskedImages().losses(made, images, targets.clamp(0, 1).round())["masked L1"]
    loss.backward()
    assert made(images).shape == images.shape
    unused = {name for name, parameter in made.named_parameters() if parameter.grad is None}
    assert unused == {"network.head.weight", "network.head.bias"}


def test_each_place_of_a_map_fills_in_its_own_block() -> None:
    made = Reconstructing(image_network(), 2, (64, 64), is_dense=False)
    with torch.no_grad():
        answer = made(torch.randn(1, 2, 64, 64))
        made.fill.bias.zero_()  # type: ignore[union-attr, operator]
        made.fill.weight.zero_()  # type: ignore[union-attr, operator]
        made.fill.weight[:, 0] = 1.0  # type: ignore[index]
        maps = made._maps(torch.ones(1, 2, 64, 64))
        blocks = made(torch.ones(1, 2, 64, 64))
    assert answer.shape == (1, 2, 64, 64)
    edge = 64 // maps.shape[-1]
    expected = maps[:, :1].repeat_interleave(edge, 2).repeat_interleave(edge, 3).expand(-1, 2, -1, -1)
    torch.testing.assert_close(blocks, expected)


def test_a_network_without_maps_is_refused() -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.line = nn.Linear(16, 4)

        def features(self, images: Tensor) -> Tensor:
            return self.line(images.flatten(1))

    with pytest.raises(OverreadError, match=r"has no maps in which hidden parts(?s:.*)--method contrastive"):
        Reconstructing(Flat(), 1, (4, 4), is_dense=False)


def test_a_projector_stands_behind_the_features() -> None:
    made = Projecting(image_network(), 64)
    assert made(torch.randn(2, 2, 32, 32)).shape == (2, 128)
