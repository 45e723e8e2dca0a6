"""Axes that are not at right angles: refused with their angle, or straightened so that places stay."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.core.errors import OverreadError, Refused
from overread.core.grid import Grid
from overread.core.image import Image
from overread.imaging.nifti import read_nifti_header
from overread.imaging.shear import is_sheared, shear_fault, straight, straight_labels


def sheared(skew: float, shape: tuple[int, int, int] = (12, 16, 18), axis: int = 0) -> Grid:
    """Slices that slide `skew` mm along Y for each step along `axis`."""
    affine = np.array(Grid.from_spacing(shape, (2.0, 1.0, 1.5)).affine)
    affine[1, axis] += skew
    return Grid(shape, affine)


def hill(grid: Grid) -> np.ndarray:
    """A smooth (1, Z, Y, X) image of the world, so that places can be compared between grids."""
    world = grid.to_world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1))
    return np.sin(world / 8).sum(axis=-1)[None].astype(np.float32)


@given(skew=st.floats(-1.5, 1.5), axis=st.sampled_from([0, 2]), turn=st.floats(-3, 3))
@settings(max_examples=25, deadline=None)
def test_straightening_moves_nothing(skew: float, axis: int, turn: float) -> None:
    grid = sheared(skew, axis=axis)
    rotation = np.eye(4)
    rotation[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    grid = Grid(grid.shape, rotation @ grid.affine)
    image = straight(Image(hill(grid), grid), "a", "resample")
    steps = image.grid.affine[:3, :3] / np.array(image.grid.spacing)
    if not is_sheared(grid):
        assert image.grid is grid
        return
    np.testing.assert_allclose(steps.T @ steps, np.eye(3), atol=1e-9)
    world = image.grid.to_world(np.stack(np.meshgrid(*map(np.arange, image.grid.shape), indexing="ij"), -1))
    index = grid.to_index(world)
    inside = ((index > 0.5) & (index < np.array(grid.shape) - 1.5)).all(-1)
    np.testing.assert_allclose(image.array[0][inside], hill(image.grid)[0][inside], atol=0.08)
    covered = image.grid.to_index(grid.corners())
    assert (covered > -0.01).all()
    assert (covered < np.array(image.grid.shape) - 0.99).all()
    assert "straightened" in image.source["notes"][0]


def test_refusal_names_the_angle_and_the_distance() -> None:
    grid = sheared(0.5)
    with pytest.raises(Refused, match=r"a\.nii: two of its axes stand at 76\.0 degrees instead of 90") as refusal:
        straight(Image(hill(grid), grid), "a.nii")
    assert refusal.value.code == "sheared"
    assert "mm" in shear_fault(grid)
    assert shear_fault(Grid.from_spacing((3, 4, 5))) == ""
    with pytest.raises(OverreadError, match="tilt = 'maybe'"):
        straight(Image(hill(grid), grid), "a", "maybe")


def test_integers_stay_integers_and_labels_get_no_new_value() -> None:
    grid = sheared(0.7)
    ct = np.random.default_rng(0).integers(-1000, 1000, (1, *grid.shape)).astype(np.int16)
    image = straight(Image(ct, grid), "a", "resample")
    assert image.array.dtype == np.int16
    assert image.array.min() == ct.min()
    layers = np.random.default_rng(0).choice([0, 3, 9], (2, *grid.shape)).astype(np.uint8)
    moved, own = straight_labels(layers, grid, "a", "resample")
    assert own.is_same(image.grid)
    assert set(np.unique(moved)) <= {0, 3, 9}
    with pytest.raises(Refused):
        straight_labels(layers, grid, "a")


def test_nearly_flat_axes_are_no_volume() -> None:
    affine = np.array(Grid.from_spacing((30, 30, 30)).affine)
    affine[0, 0] = 50
    with pytest.raises(Refused):
        straight(Image(np.zeros((1, 30, 30, 30), np.uint8), Grid((30, 30, 30), affine)), "a", "resample")


def test_rounding_of_a_header_is_no_shear(tmp_path: Path, shared_data: Path) -> None:
    assert not is_sheared(sheared(0.01))
    skewed = np.eye(4)
    skewed[0, 1] = 0.3
    nib.save(nib.Nifti1Image(np.zeros((9, 9, 9), np.int16), skewed), tmp_path / "a.nii")
    assert "73.3 degrees" in read_nifti_header(tmp_path / "a.nii").shear
    for path in sorted(shared_data.glob("*/**/*.nii.gz"))[:40]:
        assert read_nifti_header(path).shear == "", path.name
