"""Grids against SimpleITK, and the arithmetic of fields of view."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st

from overread.core.errors import OverreadError
from overread.core.grid import Grid

spacings = st.tuples(*(st.floats(0.2, 8.0) for _ in range(3)))
shapes = st.tuples(*(st.integers(2, 40) for _ in range(3)))


def rotated(shape=(10, 20, 30), spacing=(3.0, 1.5, 0.7), angle=0.4) -> Grid:
    cos, sin = np.cos(angle), np.sin(angle)
    rotation = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = rotation[:, ::-1] * np.array(spacing)
    affine[:3, 3] = (-100.0, 40.0, 7.0)
    return Grid(shape, affine)


def test_index_to_world_is_that_of_simpleitk():
    grid = rotated()
    image = SimpleITK.Image([30, 20, 10], SimpleITK.sitkInt16)
    image.SetSpacing(grid.spacing[::-1])
    image.SetOrigin(grid.affine[:3, 3].tolist())
    image.SetDirection((grid.affine[:3, :3] / np.array(grid.spacing))[:, ::-1].ravel().tolist())
    for z, y, x in [(0, 0, 0), (3, 7, 11), (9, 19, 29)]:
        np.testing.assert_allclose(grid.to_world(np.array([z, y, x])), image.TransformIndexToPhysicalPoint((x, y, z)), atol=1e-9)


@given(shapes, spacings)
def test_world_and_index_are_inverse(shape, spacing):
    grid = Grid.from_spacing(shape, spacing)
    points = np.random.default_rng(0).uniform(0, 10, (5, 3))
    np.testing.assert_allclose(grid.to_index(grid.to_world(points)), points, atol=1e-6)


@given(shapes, spacings, spacings)
def test_another_spacing_keeps_the_middle_and_nearly_the_field_of_view(shape, spacing, wanted):
    grid = Grid.from_spacing(shape, spacing)
    other = grid.with_spacing(wanted)
    middle = lambda g: g.to_world((np.array(g.shape) - 1) / 2)  # noqa: E731
    np.testing.assert_allclose(middle(other), middle(grid), atol=1e-6)
    before, after = np.array(grid.shape) * grid.spacing, np.array(other.shape) * other.spacing
    assert (
        np.abs(before - after) <= np.maximum(0.51 * np.array(wanted), 1e-6) + (np.array(other.shape) == 1) * np.array(wanted)
    ).all()


@given(shapes, spacings)
def test_a_grid_survives_being_written(shape, spacing):
    grid = Grid.from_spacing(shape, spacing)
    assert Grid.from_dict(grid.as_dict()).is_same(grid)


def test_millimetres_are_refused_where_spacing_is_unknown():
    grid = Grid.from_spacing((1, 8, 8), spacing_known=False, is_planar=True)
    with pytest.raises(OverreadError, match=r"no pixel spacing(?s:.*)DICOM, NIfTI"):
        _ = grid.spacing_mm
    with pytest.raises(OverreadError, match="millimetres cannot be given"):
        _ = grid.voxel_ml


def test_volume_of_a_voxel_counts_the_determinant():
    assert rotated().voxel_ml == pytest.approx(3.0 * 1.5 * 0.7 / 1000)


def test_canonical_axes_of_a_rotated_grid_are_the_nearest():
    order, flips = rotated().canonical_axes()
    assert order == (0, 1, 2)
    assert flips == (False, False, False)


def test_a_grid_that_cannot_be_inverted_says_so():
    affine = np.eye(4)
    affine[1, 1] = 0
    assert not Grid((2, 2, 2), affine).is_invertible


def test_grids_differ_by_their_farthest_corner():
    grid = rotated()
    moved = Grid(grid.shape, grid.affine + np.pad(np.array([[0.0], [2.0], [0.0]]), ((0, 1), (3, 0))))
    assert grid.distance_mm(moved) == pytest.approx(2.0)
    assert not grid.is_same(moved)
    assert grid.is_same(grid)
