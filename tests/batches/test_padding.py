"""Slices with which a volume was padded stay slices of one value in batches of networks over slices, and in no others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from overread.batches.augment import NONE, Augmentation
from overread.batches.cache import PreparedCase
from overread.batches.motion import draw_motion, move, region_shape
from overread.batches.padding import put_back
from overread.batches.sampler import Batches, Sampling
from overread.networks.exam.slices import present

USUAL = Augmentation(rotation_degrees=10.0, scale=0.1, shift=0.06, chance=0.8, intensity=1.0, in_plane=True)
STILL = replace(NONE, intensity=1.0)
SHAPE, PADDED = (12, 16, 16), 2  # slices of padding at each end


def cases(axis: int = 0, padded: int = PADDED, count: int = 8) -> list[PreparedCase]:
    """Noise, and as preparation pads, the smallest value of the image where it ends along an axis."""
    random = np.random.default_rng(0)
    made = []
    for k in range(count):
        image = np.full((1, *SHAPE), -0.7, np.float16)
        inner = random.normal(size=(1, SHAPE[0] - 2 * padded, *SHAPE[1:])).astype(np.float16)
        image[:, padded : SHAPE[0] - padded] = np.maximum(inner, -0.7)
        made.append(
            PreparedCase(str(k), np.ascontiguousarray(np.moveaxis(image, 1, 1 + axis)), np.float32([k % 2, 1 - k % 2]), {})
        )
    return made


def shown(made: list[PreparedCase], rules: Augmentation, slices: int | None, axis: int = 0) -> torch.Tensor:
    """The volumes of eight steps, slices along the first axis."""
    shape = tuple(made[0].image.shape[1:])
    spacing = tuple(4.0 if k == axis else 1.0 for k in range(3))
    batches = Batches(made, shape, Sampling(8), rules, seed=1, spacing=spacing, slices=slices)
    return torch.cat([batches(step)[0] for step in range(8)]).movedim(2 + axis, 2)


@pytest.mark.parametrize("axis", [0, 2])
def test_changed_intensities_leave_padding_as_it_is(axis: int) -> None:
    made = cases(axis)
    before, after = shown(made, STILL, None, axis), shown(made, STILL, axis, axis)
    held = torch.tensor([PADDED <= k < SHAPE[0] - PADDED for k in range(SHAPE[0])])
    assert (present(before) != held).any(1).float().mean() > 0.3  # what is mended: noise, blur and a lower resolution
    assert not present(after)[:, ~held].any()
    assert torch.equal(after[:, :, held], before[:, :, held])  # nothing else changes


def test_moved_padding_is_padding_and_what_motion_made_of_both_is_an_image() -> None:
    made = cases()
    before, after = shown(made, USUAL, None), shown(made, USUAL, 0)
    held = present(after)
    assert present(before).float().mean() > 0.95
    assert (held[:, PADDED + 1 : -PADDED - 1]).all()
    assert (~held).sum(1).float().mean() > 2  # of four; a shift or a turn makes some half an image
    kept = held[:, None, :, None, None].expand_as(after)
    assert torch.equal(after[kept], before[kept])


def test_without_padding_a_batch_is_what_it_was_and_other_networks_see_what_they_saw() -> None:
    still = shown(cases(padded=0), STILL, 0)
    assert torch.equal(still, shown(cases(padded=0), STILL, None))
    assert torch.equal(shown(cases(), NONE, 0), shown(cases(), NONE, None))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("rules", [USUAL, replace(USUAL, in_plane=False, mirror=(0, 1)), replace(USUAL, elastic=1.0)])
def test_padding_is_what_a_mark_of_the_image_does_not_reach(axis: int, rules: Augmentation) -> None:
    """Every slice of the image is marked by 1 and moved with it: where nothing of the mark arrives, and only there."""
    patch, spacing = (10, 9, 8), (3.0, 2.0, 1.0)
    random = torch.Generator().manual_seed(2)
    region = region_shape(patch, rules, spacing)
    first = [(r - p + 1) // 2 for r, p in zip(region, patch, strict=True)]
    regions = torch.zeros(32, 1, *region)
    window = (..., *(slice(f, f + p) for f, p in zip(first, patch, strict=True)))
    held = torch.arange(patch[axis]) >= 4
    regions[window] = torch.rand(32, 1, *patch, generator=random) * held.reshape([-1 if k == axis else 1 for k in range(3)])
    motion = draw_motion(32, region, patch, rules, spacing, random)
    mark = torch.zeros(32, 1, *region).movedim(2 + axis, 2)
    mark[:, :, first[axis] + 4 : first[axis] + patch[axis]] = 1
    share, _ = move(mark.movedim(2, 2 + axis), None, motion)
    reached = share.movedim(2 + axis, 2).amax((1, 3, 4)) > 1e-3
    noise = torch.rand(32, 1, *patch, generator=random)
    after = put_back(noise, regions, motion, axis).movedim(2 + axis, 2)
    kept = after.amax((1, 3, 4)) > after.amin((1, 3, 4))
    assert (kept | ~reached).all()  # nothing of the image is lost
    assert (kept == reached).float().mean() > (0.9 if rules.elastic else 0.999)  # a bent slice is called by its farthest reach
