"""Resampling against SimpleITK and scipy, there and back, and labels that never change their values."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.imaging.resample import resample_image, resample_labels


def turned(shape: tuple[int, int, int], spacing: tuple[float, float, float], degrees: float) -> Grid:
    grid = Grid.from_spacing(shape, spacing)
    angle = np.radians(degrees)
    rotation = np.eye(4)
    rotation[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return Grid(shape, rotation @ grid.affine)


def smooth_image(grid: Grid) -> np.ndarray:
    places = grid.to_world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1))
    return (np.sin(places[..., 0] / 9) + np.cos(places[..., 1] / 7) + places[..., 2] / 20)[None].astype(np.float32)


def as_simpleitk(array: np.ndarray, grid: Grid) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(grid.spacing[::-1])
    image.SetOrigin(tuple(grid.affine[:3, 3]))
    image.SetDirection(tuple((grid.affine[:3, :3] / np.array(grid.spacing))[:, ::-1].reshape(-1)))
    return image


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize(
    "target",
    [
        Grid.from_spacing((9, 30, 28), (2.0, 0.8, 0.9)),
        Grid.from_spacing((6, 18, 20), (3.0, 1.3, 1.2)),
        turned((10, 20, 20), (2.0, 1.0, 1.0), 20),
        turned((10, 20, 20), (2.0, 1.0, 1.0), 90),
    ],
)
def test_same_values_as_simpleitk(target: Grid, order: int) -> None:
    source = Grid.from_spacing((10, 24, 22), (2.0, 1.0, 1.0))
    array = np.random.default_rng(0).normal(size=(1, *source.shape)).astype(np.float32)
    ours = resample_image(array, source, target, order=order, fill=-7.0)
    method = sitk.sitkLinear if order == 1 else sitk.sitkBSpline
    reference = as_simpleitk(np.zeros(target.shape, np.float32), target)
    theirs = sitk.GetArrayFromImage(sitk.Resample(as_simpleitk(array[0], source), reference, sitk.Transform(), method, -7.0))
    inside = np.zeros(target.shape, bool)
    index = source.to_index(target.to_world(np.stack(np.meshgrid(*map(np.arange, target.shape), indexing="ij"), -1)))
    margin = 0.01  # both treat the very edge alike up to rounding
    inside[((index > margin) & (index < np.array(source.shape) - 1 - margin)).all(-1)] = True
    np.testing.assert_allclose(ours[0][inside], theirs[inside], atol=2e-4 if order == 1 else 5e-3)
    outside = ((index < -0.51) | (index > np.array(source.shape) - 0.49)).any(-1)
    assert (ours[0][outside] == -7).all()


@pytest.mark.parametrize("order", [1, 3])
def test_the_fast_way_equals_the_general_way(order: int, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Grid.from_spacing((12, 40, 36), (2.0, 0.5, 0.6))
    target = source.with_spacing((4.0, 1.2, 0.5))
    array = np.random.default_rng(1).normal(size=(1, *source.shape)).astype(np.float32)
    fast = resample_image(array, source, target, order=order)
    monkeypatch.setattr("overread.imaging.resample._aligned_axes", lambda step, shape: None)
    np.testing.assert_allclose(resample_image(array, source, target, order=order), fast, atol=1e-4)


@given(spacing=st.tuples(*[st.floats(0.6, 1.4)] * 3))
@settings(max_examples=20, deadline=None)
def test_there_and_back_again(spacing: tuple[float, float, float]) -> None:
    grid = Grid.from_spacing((16, 24, 24))
    array = smooth_image(grid)
    other = grid.with_spacing(spacing)
    back = resample_image(resample_image(array, grid, other, order=3), other, grid, order=3)
    middle = (slice(None), *(slice(3, -3),) * 3)
    np.testing.assert_allclose(back[middle], array[middle], atol=0.03)


def test_shrinking_smooths_first() -> None:
    grid = Grid.from_spacing((8, 64, 64))
    checks = (np.indices(grid.shape).sum(0) % 2 * 2.0 - 1)[None].astype(np.float32)
    small = resample_image(checks, grid, grid.with_spacing((1, 3, 3)))
    assert np.abs(small).max() < 0.2
    constant = resample_image(np.full((1, *grid.shape), 7, np.int16), grid, grid.with_spacing((2.5, 3, 3)), order=3)
    np.testing.assert_allclose(constant, 7, rtol=1e-5)


@given(
    spacing=st.tuples(*[st.floats(0.4, 3)] * 3),
    degrees=st.sampled_from([0.0, 90.0, 33.0]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=25, deadline=None)
def test_labels_never_get_new_values(spacing: tuple[float, float, float], degrees: float, seed: int) -> None:
    grid = turned((6, 12, 10), (2.0, 1.0, 1.0), degrees)
    layers = np.random.default_rng(seed).choice([0, 3, 7, 250], (2, *grid.shape)).astype(np.uint8)
    target = Grid.from_spacing((6, 12, 10), (2.0, 1.0, 1.0)).with_spacing(spacing)
    moved = resample_labels(layers, grid, target)
    assert moved.dtype == np.uint8
    assert moved.shape == (2, *target.shape)
    assert set(np.unique(moved)) <= {0, 3, 7, 250}


def ball(grid: Grid, centre: tuple[float, float, float], radius: float) -> np.ndarray:
    places = grid.to_world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1))
    return np.linalg.norm(places - np.array(centre), axis=-1) <= radius


def test_structures_keep_their_volume_and_overlaps_stay() -> None:
    grid = Grid.from_spacing((20, 40, 40), (2.0, 1.0, 1.0))
    layers = np.zeros((2, *grid.shape), np.int16)
    layers[0][ball(grid, (15, 20, 20), 9)] = 1
    layers[0][ball(grid, (28, 20, 20), 6)] = -5
    layers[1][ball(grid, (15, 20, 20), 4)] = 1000
    for other in (grid.with_spacing((1.0, 0.7, 0.7)), turned((40, 60, 60), (1.0, 1.0, 1.0), 10)):
        moved = resample_labels(layers, grid, other)
        for layer, value in ((0, 1), (0, -5), (1, 1000)):
            before = (layers[layer] == value).sum() * grid.voxel_ml
            assert (moved[layer] == value).sum() * other.voxel_ml == pytest.approx(before, rel=0.06)
    back = resample_labels(
        resample_labels(layers, grid, grid.with_spacing((1.0, 0.5, 0.5))), grid.with_spacing((1.0, 0.5, 0.5)), grid
    )
    assert (back != layers).mean() < 0.002


def test_labels_outside_the_field_of_view_are_background() -> None:
    grid = Grid.from_spacing((2, 3, 3))
    wide = Grid.from_spacing((2, 3, 9))
    moved = resample_labels(np.ones((1, *grid.shape), np.uint8), grid, wide)
    assert moved[0, 0, 0].tolist() == [1, 1, 1, 0, 0, 0, 0, 0, 0]


def test_faults_are_named() -> None:
    grid = Grid.from_spacing((2, 3, 4))
    array = np.zeros((1, 2, 3, 4), np.float32)
    with pytest.raises(OverreadError, match="order 2 is not offered"):
        resample_image(array, grid, grid, order=2)
    with pytest.raises(OverreadError, match="does not lie on its grid"):
        resample_image(array[:, :1], grid, grid)
    with pytest.raises(OverreadError, match="Labels must be integers"):
        resample_labels(array, grid, grid)
    with pytest.raises(OverreadError, match="counts pixels"):
        resample_image(array, grid, Grid.from_spacing((2, 3, 4), spacing_known=False))
    with pytest.raises(OverreadError, match="not invertible"):
        resample_image(array, grid, Grid((2, 3, 4), np.zeros((4, 4))))
