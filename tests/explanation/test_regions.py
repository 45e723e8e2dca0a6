"""Shapley values of regions: they add up, they equal the exact ones and captum's, and regions follow the image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.attr import KernelShap, ShapleyValueSampling
from torch import Tensor, nn

from asked_toys import WAYS, Way, asked_of
from overread.core.errors import OverreadError
from overread.explanation.asked import Asked
from overread.explanation.methods.regions import Regions

FLAT = next(way for way in WAYS if str(way) == "classification-2d-resnet10")
DEEP = next(way for way in WAYS if str(way) == "classification-3d-resnet10")


class Pairs(nn.Module):
    """Sums of quarters of the image, and a product of two of them: what each quarter brings is known."""

    def forward(self, images: Tensor) -> Tensor:
        a, b, c, d = (images[..., y : y + 32, x : x + 32].mean(dim=(1, 2, 3)) for y in (0, 32) for x in (0, 32))
        score = 2 * a - b + 4 * c * d
        return torch.stack([torch.zeros_like(score), score], 1)


def quarters() -> tuple[Asked, np.ndarray]:
    """Four quarters of different brightness, and which is which."""
    asked = asked_of(FLAT).with_network(Pairs())
    labels = np.kron(np.arange(4).reshape(2, 2), np.ones((32, 32), int))
    values = np.array([1.0, 2.0, -1.0, -2.0])[labels]
    return asked.with_images(torch.from_numpy(values[None, None]).float()), labels[None]


def test_few_regions_are_exact() -> None:
    asked, labels = quarters()
    found = Regions().shapley(asked, labels)
    assert np.allclose(found.values, [2, -2, 4, 4], atol=1e-5)  # the product of two is halved between them
    assert found.standard_error is None
    assert found.everyone - found.none == pytest.approx(8)


def test_regions_follow_the_image_and_the_map_adds_up() -> None:
    asked, truth = quarters()
    method = Regions(regions=4)
    labels = method.labels(asked)
    assert labels.max() + 1 == 4
    for k in range(4):
        assert np.bincount(labels[truth == k]).max() > 0.9 * 1024  # noise is smoothed over, which costs a pixel at an edge
    values = method(asked)
    assert values.shape == asked.patch
    assert values.sum() == pytest.approx(8, abs=1e-3)
    assert [values[truth == k].sum() for k in range(4)] == pytest.approx([2, -2, 4, 4], abs=0.5)


@pytest.mark.parametrize("way", [FLAT, DEEP], ids=str)
def test_values_add_up_to_the_score_exactly(way: Way) -> None:
    asked = asked_of(way)
    method = Regions(regions=20, permutations=4)
    labels = method.labels(asked)
    found = method.shapley(asked, labels)
    assert labels.max() + 1 > 8
    with torch.no_grad():
        whole, nothing = float(asked.score(asked.images)), float(asked.score(torch.zeros_like(asked.images)))
    assert found.values.sum() == pytest.approx(whole - nothing, abs=1e-5)
    assert found.standard_error is not None
    assert (found.standard_error >= 0).all()
    values = method(asked)
    assert values.sum(dtype=np.float64) == pytest.approx(whole - nothing, abs=1e-3)
    assert np.array_equal(values, method(asked))


def test_a_network_of_its_own_against_captum() -> None:
    asked = asked_of(FLAT)
    labels = np.kron(np.arange(6).reshape(2, 3), np.ones((32, 22), int))[:, :64][None]
    mask = torch.from_numpy(np.ascontiguousarray(labels))[None]
    found = Regions().shapley(asked, labels).values

    def score(images: Tensor) -> Tensor:
        with torch.no_grad():
            return asked.score(images)

    torch.manual_seed(0)
    np.random.seed(0)
    drawn = ShapleyValueSampling(score).attribute(asked.images, feature_mask=mask, n_samples=60, perturbations_per_eval=7)
    fitted = KernelShap(score).attribute(asked.images, feature_mask=mask, n_samples=250, perturbations_per_eval=20)
    scale = np.abs(found).max()
    for reference in (drawn, fitted):
        by_region = [float(reference[0, 0].numpy()[labels[0] == k].mean()) for k in range(6)]
        assert np.allclose(found, by_region, atol=0.1 * scale)


def test_too_few_are_refused() -> None:
    asked = asked_of(FLAT)
    for wrong in (Regions(regions=1), Regions(permutations=1)):
        with pytest.raises(OverreadError, match="cannot be computed") as refusal:
            wrong(asked)
        assert "2 or more" in refusal.value.next
