"""Occlusion against a plain loop and against captum; patches in mm; faults of its parameters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from captum.attr import Occlusion as Reference
from scipy import ndimage
from torch import Tensor, nn

from asked_toys import WAYS, Way, asked_of
from overread.core.errors import OverreadError
from overread.explanation.asked import Asked
from overread.explanation.methods.occlusion import Occlusion
from overread.explanation.methods.table import make

FLAT = next(way for way in WAYS if str(way) == "classification-2d-resnet10")
DEEP = next(way for way in WAYS if str(way) == "classification-3d-resnet10")


def brute_force(asked: Asked, patch: int, stride: int, fill: float = 0.0) -> np.ndarray:
    """Every patch by itself, one image at a time."""
    shape = asked.images.shape[2:]
    total, count = np.zeros(shape), np.zeros(shape)
    with torch.no_grad():
        base = float(asked.score(asked.images))
        for corner in np.ndindex(*(-(-max(n - patch, 0) // stride) + 1 for n in shape)):
            place = tuple(slice(k * stride, k * stride + patch) for k in corner)
            changed = asked.images.clone()
            changed[(slice(None), slice(None), *place)] = fill
            total[place] += base - float(asked.score(changed))
            count[place] += 1
    return (total / count).reshape(asked.patch)


@pytest.mark.parametrize(("way", "patch", "stride"), [(FLAT, 16, 8), (FLAT, 12, 9), (DEEP, 16, 16), (DEEP, 12, 10)])
def test_it_is_the_plain_loop_and_captum(way: Way, patch: int, stride: int) -> None:
    asked = asked_of(way)
    found = Occlusion(patch, stride)(asked)
    assert np.allclose(found, brute_force(asked, patch, stride), atol=1e-5)
    axes = asked.images.ndim - 2
    reference = Reference(lambda images: asked.score(images)).attribute(
        asked.images, sliding_window_shapes=(1, *[patch] * axes), strides=(1, *[stride] * axes), baselines=0
    )
    assert np.allclose(found, reference[0, 0].numpy().reshape(asked.patch), atol=1e-5)
    assert np.array_equal(found, Occlusion(patch, stride)(asked))


class Corner(nn.Module):
    """Sees one place of the image and nothing else."""

    def forward(self, images: Tensor) -> Tensor:
        seen = images[..., 40:44, 8:12].mean(dim=(1, 2, 3))
        return torch.stack([-seen, seen], 1)


def test_only_patches_on_what_is_seen_count() -> None:
    asked = asked_of(FLAT).with_network(Corner())
    asked = asked.with_images(torch.ones_like(asked.images))
    found = Occlusion(8, 4)(asked)[0]
    lit = np.argwhere(found > 1e-6)
    assert found[41, 9] == found.max()
    assert lit.min(0).tolist() == [36, 4]  # a patch of 8 reaches a place of 4 from 4 pixels before it
    assert lit.max(0).tolist() == [47, 15]


def test_millimetres_become_voxels() -> None:
    asked = asked_of(DEEP)
    grid = asked.prepared.grid.with_spacing((4.0, 1.0, 2.0))
    stretched = replace(asked, prepared=replace(asked.prepared, grid=grid))
    assert Occlusion(8, 8).voxels(stretched) == ((2, 8, 4), (2, 8, 4))
    assert Occlusion(8).voxels(stretched) == ((2, 8, 4), (2, 8, 4))  # 3D: from patch to patch
    assert Occlusion(8).voxels(asked_of(FLAT)) == ((1, 8, 8), (1, 4, 4))  # 2D: half a patch; pixels, as no spacing is known
    assert Occlusion().voxels(asked) == ((4, 4, 4), (4, 4, 4))  # an eighth of the window's edge
    assert Occlusion(0.5).voxels(stretched)[0] == (1, 1, 1)
    assert Occlusion(1e6, 1e6).voxels(asked)[0] == asked.patch


def test_a_blurred_patch_differs_less_than_an_empty_one() -> None:
    asked = asked_of(FLAT)
    found = Occlusion(64, 64, fill="blur")(asked)
    soft = torch.from_numpy(ndimage.gaussian_filter(asked.images[0, 0].numpy(), 32, mode="nearest"))[None, None]
    with torch.no_grad():
        assert np.allclose(found, float(asked.score(asked.images) - asked.score(soft)), atol=1e-5)


def test_what_does_not_cover_the_image_is_refused() -> None:
    asked = asked_of(FLAT)
    with pytest.raises(OverreadError, match="A patch of 4 moved by 8 does not cover the image") as refusal:
        Occlusion(4, 8)(asked)
    assert "stride_mm above 0 and at most patch_mm" in refusal.value.next
    for patch, stride in ((0.0, None), (-3.0, None), (8.0, 0.0), (float("nan"), None), (float("inf"), None)):
        with pytest.raises(OverreadError, match="does not cover"):
            Occlusion(patch, stride)(asked)
    with pytest.raises(OverreadError, match="cannot fill with 'black'") as fill:
        Occlusion(fill="black")(asked)
    assert "mean or blur" in fill.value.next
    assert isinstance(make("occlusion", patch_mm=8), Occlusion)
