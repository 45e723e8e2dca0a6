"""What is kept of an image: sizes, ranges, and the ladder of its grey levels."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from overread.audit.audited import Audited, AuditedCase
from overread.audit.sketch import sketch, sketches, value_step
from overread.core.errors import Refused
from overread.core.grid import Grid
from overread.core.image import Image
from overread.imaging.digest import pixel_digest


def picture(seed: int = 0, side: int = 80) -> Image:
    array = np.random.default_rng(seed).integers(0, 255, (1, 1, side, side + 11)).astype(np.uint8)
    return Image(array, Grid.from_spacing(array.shape[1:], spacing_known=False, is_planar=True))


def volume(seed: int = 0) -> Image:
    array = np.random.default_rng(seed).normal(size=(1, 12, 30, 20)).astype(np.float32)
    return Image(array, Grid.from_spacing(array.shape[1:], (2.0, 1.0, 1.0)))


@pytest.mark.parametrize(("image", "depth"), [(picture(), (1, 64, 64)), (volume(), (16, 16, 16))])
def test_a_sketch_has_the_same_shape_whatever_the_image(image: Image, depth: tuple[int, ...]) -> None:
    one = sketch(image)
    assert one.small.shape == (64, 64)
    assert one.volume.shape == depth
    assert one.border.shape == (4, 64)
    assert one.corners.shape == (4, 16, 16)
    assert one.hash_bits.shape == (8, 32)
    assert one.hash_bits.dtype == np.uint8
    for part in (one.small, one.volume, one.border, one.corners):
        assert part.dtype == np.float32
        assert part.min() >= 0
        assert part.max() <= 1
    assert one.digest == pixel_digest(image)
    assert one.value_type == image.array.dtype.name


def test_intensities_are_those_of_the_voxels() -> None:
    image = picture()
    values = image.array.astype(float)
    told = sketch(image).intensities
    assert told["minimum"] == values.min()
    assert told["maximum"] == values.max()
    assert told["mean"] == pytest.approx(values.mean())
    assert told["sd"] == pytest.approx(values.std())
    assert told["p25"] == pytest.approx(np.percentile(values, 25))
    assert told["n_levels"] == len(np.unique(values))
    assert told["share_of_minimum"] == pytest.approx((values == values.min()).mean())


def test_an_even_image_has_no_detail_and_no_fault() -> None:
    one = sketch(Image(np.full((1, 1, 20, 20), 7, np.int16), picture().grid.with_shape((1, 20, 20))))
    assert not one.small.any()
    assert not one.hash_bits.any()
    assert one.intensities["entropy"] == 0


def test_border_and_corners_are_where_they_are_named() -> None:
    array = np.zeros((1, 1, 64, 64), np.float32)
    array[..., :8, -8:] = 1  # top right
    one = sketch(Image(array, Grid.from_spacing((1, 64, 64), is_planar=True)))
    assert one.corners[1].min() == 1
    assert not one.corners[[0, 2, 3]].any()
    assert one.border[0, -8:].min() > 0
    assert not one.border[1].any()
    assert not one.border[2].any()
    assert one.border[3, :8].min() > 0


@pytest.mark.parametrize("step", [5.9589847, 0.00123457, 2653.4375])
def test_the_step_of_scaled_whole_numbers_is_found_to_a_millionth(step: float) -> None:
    counts = np.random.default_rng(1).integers(0, 400, 20_000)
    assert value_step((counts * step).astype(np.float32)) == pytest.approx(step, rel=2e-6)
    assert value_step(counts.astype(np.uint16)) == 1


def test_values_between_the_rungs_have_no_step() -> None:
    assert value_step(np.random.default_rng(1).normal(size=5000).astype(np.float32)) == 0
    assert value_step(np.array([0, 1, 2])) == 0


def open_case(broken: set[str], name: str) -> Image:
    if name in broken:
        raise Refused("truncated", f"{name} was cut.")
    return picture(int(name[1:]), 40)


def test_a_case_that_cannot_be_opened_is_left_out_and_named() -> None:
    names = [f"c{k}" for k in range(6)]
    audited = Audited(tuple(AuditedCase(name, name) for name in names), partial(open_case, {"c4"}))
    refused: dict[str, str] = {}
    found = sketches(audited, refused=refused)
    assert sorted(found) == ["c0", "c1", "c2", "c3", "c5"]
    assert refused == {"c4": "c4 was cut."}
    assert np.shares_memory(found["c0"].volume, found["c0"].small)
