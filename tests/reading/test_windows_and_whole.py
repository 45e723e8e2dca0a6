"""How far reading by overlapping windows lies from one pass over the whole image, with trained U-Nets in 2D and 3D.

What a network answers in a window differs from its answer in the whole image for two reasons: near the rim it lacks what
lies outside, and instance normalisation takes mean and spread from the window. The Gaussian weights are for the first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pytest
import torch

from overread.batches import windows
from overread.core.preparation import Normalisation, Preparation
from overread.core.question import Decisions
from overread.metrics.overlap import count, dice
from overread.networks.dense.unet import UNet
from overread.reading.predictor import Predictor
from toys import question, toy_task

LEVELS = np.array([0.0, 2.0, 3.0])  # of background, ball and core, in noise of 0.3


@dataclass(frozen=True)
class Setting:
    """window and image (Z, Y, X); one ball in so many voxels; channels of the network; steps of training."""

    window: tuple[int, int, int]
    image: tuple[int, int, int]
    every: int
    features: tuple[int, ...]
    steps: int


SETTINGS = {
    2: Setting((1, 32, 32), (1, 80, 64), 300, (4, 8, 16), 60),
    3: Setting((16, 16, 16), (24, 32, 24), 2500, (4, 8), 40),
}


def scene(seed: int, setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    """Balls anywhere on noise: (1, Z, Y, X) float32, and the class (Z, Y, X) of each voxel."""
    random, shape = np.random.default_rng(seed), setting.image
    classes = np.zeros(shape, np.uint8)
    for _ in range(round(np.prod(shape) / setting.every)):
        middle = [random.uniform(0, n) if n > 1 else 0 for n in shape]
        distance = np.sqrt(sum((g - m) ** 2 for g, m in zip(np.indices(shape), middle, strict=True)))
        radius = random.uniform(3, 5)
        classes = np.maximum(classes, (distance < radius).astype(np.uint8) + (distance < radius / 2))
    return (LEVELS[classes] + random.normal(size=shape) * 0.3).astype(np.float32)[None], classes


@lru_cache
def trained(dimensions: int, norm: str) -> Predictor:
    """Taught for some steps on windows cut anywhere from six scenes."""
    setting = SETTINGS[dimensions]
    torch.manual_seed(0)
    random, scenes = np.random.default_rng(0), [scene(seed, setting) for seed in range(6)]
    stages = len(setting.features)
    strides = [(1,) * dimensions] + [(2,) * dimensions] * (stages - 1)
    network = UNet(1, 3, setting.features, [(3,) * dimensions] * stages, strides, norm=norm)
    task = replace(toy_task(question("segmentation")), deep_supervision=False)  # type: ignore[type-var]
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for _ in range(setting.steps):
        cut = []
        for image, classes in (scenes[k] for k in random.integers(6, size=2)):
            start = [int(random.integers(0, n - w + 1)) for n, w in zip(setting.image, setting.window, strict=True)]
            place = tuple(slice(s, s + w) for s, w in zip(start, setting.window, strict=True))
            cut.append((image[(slice(None), *place)], classes[place][None]))
        images, targets = (torch.from_numpy(np.stack(parts)) for parts in zip(*cut, strict=True))
        if dimensions == 2:
            images, targets = images[:, :, 0], targets[:, :, 0]
        loss = torch.stack(list(task.losses(network, images, targets).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    spacing = None if dimensions == 2 else (1.0, 1.0, 1.0)
    per_image = (Normalisation("per-image"),)
    preparation = Preparation(("image",), "a.u.", dimensions, spacing, None, setting.window, dimensions == 2, per_image)
    return Predictor(network.eval(), task, preparation, Decisions())


def in_one_pass(predictor: Predictor, image: np.ndarray) -> np.ndarray:
    """(K, Z, Y, X), straight from the network: no code of the windows takes part."""
    given = torch.from_numpy(image[None])
    with torch.inference_mode():
        answer = predictor.task.respond(predictor.network, given[:, :, 0] if image.shape[1] == 1 else given)
    return answer.numpy().reshape(-1, *image.shape[1:])


@dataclass(frozen=True)
class Difference:
    """Mean over voxels and classes of the change of probability, Dice of the two answers, Dice against the truth of each."""

    probability: float
    dice: float
    truth: tuple[float, float]


def difference(dimensions: int, norm: str, overlap: float = 0.5) -> Difference:
    predictor = replace(trained(dimensions, norm), overlap=overlap)
    image, classes = scene(9, SETTINGS[dimensions])
    whole, merged = in_one_pass(predictor, image), predictor.raw(image)
    called, other = whole.argmax(0) > 0, merged.argmax(0) > 0
    scores = [dice(count(one, two)).value for one, two in ((called, other), (classes > 0, called), (classes > 0, other))]
    between, in_one, by_windows = (score for score in scores if score is not None)
    return Difference(float(np.abs(merged - whole).mean()), between, (in_one, by_windows))


@pytest.mark.parametrize("dimensions", [2, 3])
def test_with_fixed_statistics_only_the_rim_of_a_window_differs(dimensions: int) -> None:
    found = difference(dimensions, "batch")
    assert found.truth[0] > 0.5, "the network has learned something"
    assert 0 < found.probability < 0.008
    assert found.dice > 0.97


@pytest.mark.parametrize("dimensions", [2, 3])
def test_statistics_of_each_window_cost_more_and_stay_in_bounds(dimensions: int) -> None:
    """Instance normalisation, as the plan chooses it."""
    found = difference(dimensions, "instance")
    assert found.truth[0] > 0.5
    assert found.probability < 0.03
    assert found.dice > 0.85
    assert found.truth[1] > found.truth[0] - 0.06


@pytest.mark.parametrize("dimensions", [2, 3])
def test_overlap_and_gaussian_weights_each_bring_it_nearer_to_one_pass(dimensions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    merged = difference(dimensions, "batch").probability
    assert merged < 0.85 * difference(dimensions, "batch", overlap=0.0).probability
    monkeypatch.setattr(windows, "gaussian_weight", lambda patch: np.ones(patch, np.float32))
    assert merged < 0.7 * difference(dimensions, "batch").probability


@pytest.mark.parametrize("dimensions", [2, 3])
def test_an_image_of_one_window_is_read_in_one_pass(dimensions: int) -> None:
    predictor = trained(dimensions, "instance")
    image, _ = scene(9, replace(SETTINGS[dimensions], image=SETTINGS[dimensions].window))
    np.testing.assert_allclose(predictor.raw(image), in_one_pass(predictor, image), atol=1e-6)
