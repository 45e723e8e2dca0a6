"""The adversarial step goes where calculus says it should, and covers all of a volume."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from overread.core.question import Decisions
from overread.reading.adversarial import Attacked
from overread.reading.predictor import Predictor
from toys import question, toy_preparation, toy_task


class Weighted(nn.Module):
    """One logit is a weighted sum of the voxels, the other 0; so the gradient is known."""

    def __init__(self, weights: np.ndarray, outputs: int) -> None:
        super().__init__()
        self.weights = torch.from_numpy(weights.astype(np.float32))
        self.outputs = outputs

    def forward(self, images: Tensor) -> Tensor:
        score = (images * self.weights).flatten(1).sum(1)
        return torch.stack([score, *[torch.zeros_like(score)] * (self.outputs - 1)], 1)


class Voxelwise(nn.Module):
    """Background below 0, the first structure above, the second never."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([-images, images, torch.full_like(images, -9.0)], 1)


def predictor(task: str, network: nn.Module, dimensions: int = 2, **more: bool) -> Predictor:
    asked = question(task, **more)
    preparation = toy_preparation(dimensions, dense=task == "segmentation")
    return Predictor(network, toy_task(asked), preparation, Decisions())


def test_a_case_goes_against_its_own_class() -> None:
    random = np.random.default_rng(0)
    weights = random.normal(size=(1, 32, 32))
    plain = predictor("classification", Weighted(weights, 2))
    attacked = Attacked.of(plain, 0.01)
    for _ in range(4):
        array = random.normal(size=(1, 1, 32, 32)).astype(np.float32) / 30
        own = int(plain.raw(array).argmax())
        expected = array + 0.01 * np.sign(weights)[None] * (-1 if own == 0 else 1)
        np.testing.assert_allclose(attacked.stepped(array), expected, atol=1e-6)
        assert attacked.raw(array)[own] < plain.raw(array)[own]
        np.testing.assert_allclose(attacked.raw_several([array], 8)[0], attacked.raw(array), atol=1e-6)


def test_findings_that_may_occur_together_and_grades() -> None:
    random = np.random.default_rng(1)
    weights = random.normal(size=(1, 32, 32))
    array = random.normal(size=(1, 1, 32, 32)).astype(np.float32) / 30
    for more, outputs in (({"exclusive": False}, 3), ({"ordered": True}, 2)):
        plain = predictor("classification", Weighted(weights, outputs), **more)
        moved = Attacked.of(plain, 0.02).stepped(array) - array
        np.testing.assert_allclose(np.abs(moved), 0.02, atol=1e-6)


def test_a_number_is_pushed_up_or_down_and_the_same_way_again() -> None:
    random = np.random.default_rng(2)
    weights = random.normal(size=(1, 32, 32))
    attacked = Attacked.of(predictor("regression", Weighted(weights, 1)), 0.01)
    directions = set()
    for _ in range(12):
        array = random.normal(size=(1, 1, 32, 32)).astype(np.float32)
        moved = attacked.stepped(array) - array
        sign = np.sign(moved / np.sign(weights)[None])
        assert abs(sign.mean()) == 1
        directions.add(float(sign.mean()))
        np.testing.assert_array_equal(attacked.stepped(array) - array, moved)
    assert directions == {-1.0, 1.0}


@pytest.mark.parametrize("shape", [(16, 16, 16), (37, 20, 16), (9, 40, 11)])
def test_every_voxel_of_a_volume_goes_towards_the_other_side(shape: tuple[int, int, int]) -> None:
    array = np.random.default_rng(3).normal(size=(1, *shape)).astype(np.float32)
    attacked = Attacked.of(predictor("segmentation", Voxelwise(), 3), 0.05)
    np.testing.assert_allclose(attacked.stepped(array), array - 0.05 * np.sign(array), atol=1e-6)
    before, after = (p.argmax(0) for p in (Predictor.raw(attacked, array), attacked.raw(array)))
    changed = before != after
    assert changed.any()
    assert (np.abs(array[0][changed]) <= 0.05 + 1e-6).all()
