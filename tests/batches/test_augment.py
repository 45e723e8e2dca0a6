"""Augmentation moves image and truth together, as the resampler of truths would, and repeats by seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from overread.batches.augment import NONE, Augmentation, change_intensity
from overread.batches.cache import PreparedCase
from overread.batches.motion import draw_motion, move, region_shape
from overread.batches.sampler import Batches, Sampling
from overread.core.grid import Grid
from overread.imaging.resample import resample_image, resample_labels

SPACING = (2.0, 1.0, 1.0)
ROTATION = Augmentation(rotation_degrees=20, scale=0.2, chance=1.0, intensity=0)


def moving(images, targets, patch, rules, spacing, random):
    return move(images, targets, draw_motion(len(images), tuple(images.shape[2:]), patch, rules, spacing, random))


def ball(shape=(24, 40, 40), centre=(10, 18, 22), radius=8.0) -> np.ndarray:
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    distance = ((z - centre[0]) * 2.0) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2
    return (distance < radius**2).astype(np.uint8)


def test_truth_moves_with_the_image():
    truth = torch.from_numpy(ball())[None, None]
    image = truth.float() * 4
    random = torch.Generator().manual_seed(1)
    moved, label = moving(image, truth, (24, 40, 40), ROTATION, SPACING, random)
    overlap = ((moved > 2) & (label > 0)).sum() * 2 / ((moved > 2).sum() + (label > 0).sum())
    assert overlap > 0.97
    assert set(label.unique().tolist()) <= {0, 1}


def test_a_motion_agrees_with_the_resampler_of_truths():
    """The same affine by `imaging.resample`, which is the only other place where a truth moves."""
    shape = (24, 40, 40)
    truth, image = ball(shape), np.random.default_rng(0).normal(size=shape).astype(np.float32)
    motion = draw_motion(1, shape, shape, ROTATION, SPACING, torch.Generator().manual_seed(3))
    moved, label = move(torch.from_numpy(image)[None, None], torch.from_numpy(truth)[None, None], motion)
    source = Grid.from_spacing(shape, SPACING)
    middle = (np.array(shape) - 1) / 2
    step = motion.matrices[0].numpy().astype(float)
    affine = np.eye(4)
    affine[:3, :3] = source.affine[:3, :3] @ step
    affine[:3, 3] = source.to_world(middle) - affine[:3, :3] @ middle
    target = Grid(shape, affine)
    by_world = resample_image(image[None], source, target, order=1, fill=0.0)[0]
    inner = (slice(6, -6), slice(10, -10), slice(10, -10))
    if float(np.linalg.norm(step @ np.diag(SPACING), axis=0).max()) < 3.0:  # no smoothing by the resampler
        np.testing.assert_allclose(moved[0, 0].numpy()[inner], by_world[inner], atol=0.02)
    labels = resample_labels(truth[None], source, target)[0]
    both = 2 * ((labels > 0) & (label[0, 0].numpy() > 0)).sum() / ((labels > 0).sum() + (label > 0).sum().item())
    assert both > 0.95


def test_the_region_is_wide_enough_for_every_motion():
    rules = Augmentation(rotation_degrees=30, scale=0.3, chance=1.0, intensity=0)
    patch = (16, 24, 24)
    region = region_shape(patch, rules, SPACING)
    image = torch.ones(64, 1, *region)
    moved, _ = moving(image, None, patch, rules, SPACING, torch.Generator().manual_seed(0))
    corners_lost = (moved < 0.99).float().mean()
    assert corners_lost < 0.02


def test_without_augmentation_nothing_changes():
    image = torch.randn(2, 1, 4, 5, 6)
    moved, _ = moving(image, None, (4, 5, 6), NONE, (1, 1, 1), torch.Generator())
    assert torch.equal(moved, image)
    assert torch.equal(change_intensity(moved, NONE, torch.Generator()), image)


def test_mirroring_is_mirrored_in_the_truth():
    rules = Augmentation(mirror=(2,), chance=0, intensity=0)
    image = torch.arange(6.0).reshape(1, 1, 1, 1, 6).repeat(16, 1, 1, 1, 1)
    moved, label = moving(image, image.to(torch.uint8), (1, 1, 6), rules, (1, 1, 1), torch.Generator().manual_seed(0))
    assert torch.equal(moved, label.float())
    assert 0 < (moved[:, 0, 0, 0, 0] == 5).sum() < 16


@pytest.mark.parametrize("shape", [(1, 20, 20), (12, 14, 16)])
def test_intensity_changes_keep_values_finite_and_shape(shape):
    image = torch.randn(8, 2, *shape)
    changed = change_intensity(image, Augmentation(intensity=1.5), torch.Generator().manual_seed(5))
    assert changed.shape == image.shape
    assert torch.isfinite(changed).all()
    assert not torch.equal(changed, image)


def test_elastic_bends_but_keeps_the_volume_roughly():
    rules = Augmentation(rotation_degrees=0, scale=0, elastic=1.5, chance=1.0, intensity=0)
    truth = torch.from_numpy(ball())[None, None]
    _, label = moving(truth.float(), truth, (24, 40, 40), rules, SPACING, torch.Generator().manual_seed(2))
    assert 0.7 < label.sum() / truth.sum() < 1.4


def cases(dense: bool = True) -> list[PreparedCase]:
    random = np.random.default_rng(0)
    made = []
    for k in range(5):
        image = random.normal(size=(1, 10, 12, 14)).astype(np.float16)
        target = (image[0] > 1.5).astype(np.uint8) if dense else np.array([k % 2, 1 - k % 2], dtype=np.float32)
        points = {1: np.argwhere(target == 1).astype(np.int32)} if dense else {}
        made.append(PreparedCase(f"C-{k}", image, target, points))
    return made


def test_a_step_gives_the_same_batch_whenever_it_is_asked():
    make = lambda: Batches(cases(), (8, 8, 8), Sampling(3, 0.5), ROTATION, seed=7)  # noqa: E731
    first, again = make(), make()
    for step in (5, 0, 3):
        for left, right in zip(first(step), again(step), strict=True):
            assert torch.equal(left, right)
    assert not torch.equal(first(0)[0], first(1)[0])


def test_each_case_comes_once_per_pass():
    batches = Batches(cases(dense=False), (10, 12, 14), Sampling(1), NONE, seed=1)
    seen = [batches._choose(step, np.random.default_rng(0))[0].case for step in range(10)]
    assert sorted(seen[:5]) == sorted(seen[5:]) == list(range(5))


def test_foreground_windows_hold_their_structure():
    batches = Batches(cases(), (6, 6, 6), Sampling(4, foreground=1.0), NONE, seed=0)
    for step in range(5):
        _, targets = batches(step)
        assert (targets.flatten(1).sum(1) > 0).all()


def test_a_planar_batch_has_no_third_direction():
    made = [PreparedCase("C", np.zeros((1, 1, 9, 9), np.float16), np.zeros((1, 9, 9), np.uint8))]
    images, targets = Batches(made, (1, 8, 8), Sampling(2), ROTATION, dimensions=2)(0)
    assert images.shape == (2, 1, 8, 8)
    assert targets.shape == (2, 1, 8, 8)
