"""The shape of a U-Net from patch and spacing, against plans that nnU-Net wrote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overread.core.errors import OverreadError
from overread.networks import build
from overread.networks.stages import plan_stages

ONES, TWOS, THREES = (1, 1, 1), (2, 2, 2), (3, 3, 3)


def test_hippocampus_as_nnunet_plans_it():
    stages = plan_stages((40, 56, 40), (1.0, 1.0, 1.0))
    assert stages.strides == (ONES, TWOS, TWOS, TWOS)
    assert stages.kernels == (THREES,) * 4
    assert stages.features == (32, 64, 128, 256)
    assert stages.patch == (40, 56, 40)
    assert stages.divisor == (8, 8, 8)


def test_thick_slices_as_nnunet_plans_acdc():
    """Cardiac cine MRI, 10 mm slices of 1.56 mm pixels: nnU-Net's plan of Dataset027, patch 20 x 256 x 224."""
    stages = plan_stages((20, 256, 224), (10.0, 1.5625, 1.5625))
    assert stages.strides == (ONES, (1, 2, 2), (1, 2, 2), TWOS, TWOS, (1, 2, 2))
    assert stages.kernels == ((1, 3, 3), (1, 3, 3), THREES, THREES, THREES, THREES)
    assert stages.features == (32, 64, 128, 256, 320, 320)


def test_flat_images_as_nnunet_plans_them():
    stages = plan_stages((512, 512), (0.8, 0.8))
    assert len(stages.features) == 8
    assert stages.features[-3:] == (512, 512, 512)


def test_big_cube_as_nnunet_plans_it():
    stages = plan_stages((128, 128, 128), (1, 1, 1))
    assert len(stages.strides) == 6
    assert stages.features == (32, 64, 128, 256, 320, 320)


def test_patch_is_rounded_up_to_what_the_strides_need():
    assert plan_stages((37, 50, 40), (1, 1, 1)).patch == (40, 56, 40)


@given(st.lists(st.integers(8, 200), min_size=3, max_size=3), st.lists(st.floats(0.3, 8), min_size=3, max_size=3))
def test_the_bottleneck_keeps_four_voxels_along_every_halved_axis(patch, spacing):
    stages = plan_stages(patch, spacing)
    for size, by, wanted in zip(stages.patch, stages.divisor, patch, strict=True):
        assert size % by == 0
        assert size >= wanted
        assert by == 1 or size // by >= 4


def test_axes_that_do_not_match_are_refused():
    with pytest.raises(OverreadError, match="do not describe 2 or 3 axes"):
        plan_stages((64, 64), (1.0, 1.0, 1.0))


@pytest.mark.parametrize("width", ["x", 0, 1.5, True, None])
def test_a_width_that_is_no_number_of_channels_is_refused(width):
    with pytest.raises(OverreadError, match="is no number of channels\n  Next: set 32, or leave it out"):
        build("unet", in_channels=1, out_channels=2, dimensions=2, serves="dense", options={"base_features": width})
