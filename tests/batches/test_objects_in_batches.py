"""Boxes move as their voxels do, samples come in the shares that were asked for, and a step is the same whenever asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from overread.batches.augment import NONE, Augmentation
from overread.batches.copy_paste import paste_objects
from overread.batches.motion import draw_motion, move, move_boxes
from overread.batches.object_targets import LEAST_LEFT, object_target
from overread.batches.objects import boxes_of_numbers
from overread.batches.sampler import Batches, Sampling, fixed_patches, is_list
from toy_objects import SHAPES, object_cases

RULES = Augmentation(mirror=(1, 2), rotation_degrees=20, scale=0.2, shift=0.1, chance=1.0, intensity=0.5)
SPACING = (2.0, 1.0, 1.0)
PATCHES = {2: (1, 32, 32), 3: (12, 16, 16)}


def batches(dimensions: int, cases, sampling: Sampling, rules: Augmentation = RULES) -> Batches:
    return Batches(cases, PATCHES[dimensions], sampling, rules, spacing=SPACING, dimensions=dimensions, seed=3)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("elastic", [0.0, 1.0])
def test_boxes_after_motion_are_those_of_the_moved_numbers(dimensions: int, elastic: float) -> None:
    make = batches(dimensions, object_cases(dimensions), Sampling(4), replace(RULES, elastic=elastic))
    met = 0
    for step in range(6):
        images, targets = make(step)
        assert is_list(targets)
        assert images.ndim == 2 + dimensions
        for target in targets:
            numbers = target["numbers"].numpy()
            assert numbers.ndim == 1 + dimensions
            layers = numbers if dimensions == 3 else numbers[:, None]
            assert sorted(set(np.unique(layers)) - {0}) == list(range(1, len(target["boxes"]) + 1))
            np.testing.assert_array_equal(boxes_of_numbers(layers, len(target["boxes"])), target["boxes"].numpy())
            assert target["classes"].dtype == torch.int64
            met += len(target["boxes"])
    assert met > 12


@pytest.mark.parametrize("dimensions", [2, 3])
def test_boxes_without_voxels_follow_the_ellipse_in_them(dimensions: int) -> None:
    """An ellipsoid turned as voxels, against its box turned as a box."""
    shape, patch = ((1, 60, 60), (1, 60, 60)) if dimensions == 2 else ((40, 40, 40), (40, 40, 40))
    axes = np.indices(shape).astype(float)
    middle, half = (np.array(shape) - 1) / 2 + [0, 3, -2], np.array([0.5 if dimensions == 2 else 6, 9, 5])
    inside = sum(((a - m) / h) ** 2 for a, m, h in zip(axes, middle, half, strict=True)) <= 1
    box = torch.tensor([[*(middle - half), *(middle + half)]], dtype=torch.float32)
    rules = replace(RULES, shift=0.03)
    for seed in range(6):
        motion = draw_motion(1, shape, patch, rules, (1.0, 1.0, 1.0), torch.Generator().manual_seed(seed))
        _, moved = move(torch.zeros(1, 1, *shape), torch.from_numpy(inside[None, None].astype(np.int32)), motion)
        assert moved is not None
        seen = boxes_of_numbers(moved[0].numpy(), 1)[0]
        np.testing.assert_allclose(move_boxes(box, motion, 0)[0].numpy()[1:3], seen[1:3], atol=1.1)
        np.testing.assert_allclose(move_boxes(box, motion, 0)[0].numpy()[4:], seen[4:], atol=1.1)


def test_without_motion_boxes_stay() -> None:
    for dimensions in (2, 3):
        cases = object_cases(dimensions, voxels=False, count=3)
        make = Batches(cases, SHAPES[dimensions], Sampling(3), NONE, dimensions=dimensions)
        images, targets = make(0)
        assert is_list(targets)
        assert "numbers" not in targets[0]
        order = [int(c.case_id[2:]) for c in cases]
        found = sorted(tuple(map(tuple, t["boxes"].tolist())) for t in targets)
        assert found == sorted(tuple(map(tuple, cases[k].objects.boxes.tolist())) for k in order)
        assert len(images) == 3


def test_an_object_is_dropped_where_too_little_of_it_is_left() -> None:
    width = 10.0
    for left in (0.1, LEAST_LEFT - 0.02, LEAST_LEFT + 0.02, 0.9):
        box = torch.tensor([[-0.5, 3.0, -0.5 - width * (1 - left), 0.5, 6.0, -0.5 + width * left]])
        target = object_target(box, np.array([0]), None, (1, 20, 20), 2)
        assert len(target["boxes"]) == int(left >= LEAST_LEFT)
        if left >= LEAST_LEFT:
            assert target["boxes"][0, 2] == -0.5
            assert torch.equal(target["whole"], box)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_whole_boxes_go_on_beyond_the_edges_of_a_window_and_nowhere_else(dimensions: int) -> None:
    make = batches(dimensions, object_cases(dimensions), Sampling(4), replace(RULES, elastic=0.0))
    last = np.array(PATCHES[dimensions]) - 0.5
    cut = 0
    for step in range(6):
        for target in make(step)[1]:
            boxes, whole = target["boxes"].numpy(), target["whole"].numpy()
            assert whole.shape == boxes.shape
            at_low, at_high = boxes[:, :3] <= -0.5, boxes[:, 3:] >= last
            np.testing.assert_array_equal(whole[:, :3][~at_low], boxes[:, :3][~at_low])
            np.testing.assert_array_equal(whole[:, 3:][~at_high], boxes[:, 3:][~at_high])
            assert (whole[:, :3] <= boxes[:, :3]).all()
            assert (whole[:, 3:] >= boxes[:, 3:]).all()
            cut += int((whole != boxes).any(axis=1).sum())
    assert cut > 3


def test_the_whole_box_of_a_cut_object_is_the_one_that_a_larger_window_shows() -> None:
    numbers = np.zeros((1, 1, 20, 40), np.int32)
    numbers[0, 0, 4:10, 12:24] = 1
    known = boxes_of_numbers(numbers, 1)
    box, shown = torch.from_numpy(known - [0, 0, 16, 0, 0, 16]).float(), torch.from_numpy(numbers[..., 16:])
    target = object_target(box, np.array([0]), shown, (1, 20, 24), 2)
    np.testing.assert_array_equal(target["boxes"][0], [-0.5, 3.5, -0.5, 0.5, 9.5, 7.5])
    np.testing.assert_array_equal(target["whole"][0], [-0.5, 3.5, -4.5, 0.5, 9.5, 7.5])


def test_a_step_is_the_same_whenever_it_is_asked() -> None:
    for voxels in (True, False):
        rules = replace(RULES, copy_paste=0.5)
        sampling = Sampling(3, 0.5, clean=0.3)
        first, again = (batches(2, object_cases(2, voxels=voxels, clean=3), sampling, rules) for _ in range(2))
        for step in (4, 0, 2):
            (images, targets), (same_images, same_targets) = first(step), again(step)
            assert torch.equal(images, same_images)
            for one, other in zip(targets, same_targets, strict=True):
                assert one.keys() == other.keys()
                assert all(torch.equal(one[name], other[name]) for name in one)


def test_images_without_findings_keep_their_share_and_classes_come_evenly() -> None:
    cases = object_cases(2, count=20, clean=12)
    make = batches(2, cases, Sampling(4, 1.0, clean=0.25))
    picks = [pick for step in range(50) for pick in make._picks(step, np.random.default_rng(step))]
    clean = [pick for pick in picks if not len(cases[pick.case].objects)]
    assert len(clean) == 50
    assert {pick.case for pick in clean} == set(range(8, 20))
    centred = [int(cases[pick.case].objects.classes[pick.row]) for pick in picks if pick.row is not None]
    assert len(centred) == 150
    assert 0.35 < np.mean(centred) < 0.65, "one case in four holds class 1, and half of the windows show it"


def test_naturally_each_case_comes_once_per_pass() -> None:
    make = batches(2, object_cases(2, count=6, clean=2), Sampling(2))
    picks = [pick.case for step in range(6) for pick in make._picks(step, np.random.default_rng(0))]
    assert sorted(picks[:6]) == sorted(picks[6:]) == list(range(6))


def test_a_window_centred_on_an_object_holds_it() -> None:
    make = batches(3, object_cases(3), Sampling(4, 1.0), NONE)
    for step in range(4):
        _, targets = make(step)
        assert all(len(target["boxes"]) for target in targets)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_pasted_objects_bring_their_voxels_and_cover_no_other(dimensions: int) -> None:
    cases = object_cases(dimensions)
    shape = SHAPES[dimensions]
    random = np.random.default_rng(0)
    added = 0
    for target in cases:
        image, numbers, boxes, classes = paste_objects(
            target.image.astype(np.float32), target.target.astype(np.int32), target.objects.boxes, target.objects.classes,
            (0, 0, 0), shape, cases[2], random,
        )  # fmt: skip
        added += len(boxes) - len(target.objects)
        assert len(classes) == len(boxes)
        np.testing.assert_array_equal(boxes_of_numbers(numbers, len(boxes)), boxes)
        before = target.target > 0
        np.testing.assert_array_equal(numbers[before], target.target[before])
        for k in range(len(target.objects), len(boxes)):
            assert image[0][(numbers == k + 1).any(axis=0)].mean() > 1.4, "the bright block came with its number"
    assert added > 8
    assert cases[0].image.dtype == np.float16


def test_fixed_patches_are_targets_of_the_same_form() -> None:
    for dimensions in (2, 3):
        for voxels in (True, False):
            cases = object_cases(dimensions, voxels=voxels, clean=1)
            images, targets = fixed_patches(cases, PATCHES[dimensions], dimensions)
            assert is_list(targets)
            assert len(images) == len(targets) == len(cases)
            assert all(("numbers" in target) == voxels for target in targets)
            assert len(targets[-1]["boxes"]) == 0
            assert targets[0]["boxes"].shape[1] == 6


def test_a_route_per_voxel_gives_a_map() -> None:
    cases = [replace(c, target=(c.target[0] > 0).astype(np.uint8)) for c in object_cases(3)]
    images, targets = batches(3, cases, Sampling(2, 1.0))(0)
    assert isinstance(targets, torch.Tensor)
    assert targets.shape == images.shape
