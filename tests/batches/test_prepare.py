"""Preparation there and back: orientation, spacing, shape and intensities, the same for image, truth and answer."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.batches.prepare import normalise, prepare_image, prepare_truth, undo_argmax, undo_map
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.image import Image, reorient, reorient_back
from overread.core.kinds import LabelMap, Structure
from overread.core.preparation import Normalisation, Preparation

PLAIN = Preparation(
    ("image",), "HU", 3, (2.0, 2.0, 2.0), None, (16, 16, 16), False, (Normalisation("window", -100, 200, 50, 60),)
)


def oriented(permutation: tuple[int, int, int], signs: tuple[int, int, int]) -> Grid:
    """A grid of 24 x 30 x 36 voxels whose array axes run along the world axes in any order and direction."""
    spacing, shape = np.array([3.0, 1.5, 1.2]), (24, 30, 36)
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis in range(3):
        affine[permutation[axis], axis] = spacing[axis] * signs[axis]
    return Grid(shape, affine)


def ball(grid: Grid, radius: float = 14.0) -> np.ndarray:
    world = grid.to_world(np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), -1))
    middle = grid.to_world((np.array(grid.shape) - 1) / 2) + np.array([3.0, -4.0, 2.0])
    return (np.linalg.norm(world - middle, axis=-1) < radius).astype(np.uint8)


orientations = st.tuples(st.permutations([0, 1, 2]), st.tuples(*(st.sampled_from([-1, 1]) for _ in range(3))))


@settings(max_examples=20, deadline=None)
@given(orientations)
def test_an_answer_comes_back_to_where_the_truth_was(orientation):
    grid = oriented(tuple(orientation[0]), orientation[1])
    mask = ball(grid)
    image = Image(mask[None].astype(np.float32) * 100, grid, "HU")
    prepared = prepare_image(image, PLAIN)
    truth = LabelMap(mask[None], (Structure("ball", 1),), grid)
    label = prepare_truth(truth, prepared)[0]
    assert prepared.grid.canonical_axes() == ((0, 1, 2), (False, False, False))
    assert ((prepared.array[0] > 0) == (label > 0)).mean() > 0.99
    probabilities = np.stack([1.0 - label, label]).astype(np.float32)
    back = undo_argmax(probabilities, prepared)
    assert back.shape == mask.shape
    assert 2 * (back & mask).sum() / (back.sum() + mask.sum()) > 0.95


@given(orientations)
def test_reorienting_is_undone_exactly(orientation):
    grid = oriented(tuple(orientation[0]), orientation[1])
    order, flips = grid.canonical_axes()
    array = np.arange(np.prod(grid.shape)).reshape(grid.shape)
    np.testing.assert_array_equal(reorient_back(reorient(array, order, flips), order, flips), array)
    moved = grid.reoriented(order, flips)
    index = np.array([3, 4, 5])
    value = reorient(array, order, flips)[tuple(index)]
    source = np.argwhere(array == value)[0]
    np.testing.assert_allclose(moved.to_world(index), grid.to_world(source), atol=1e-9)


def test_the_same_grid_costs_no_resampling_and_no_loss():
    grid = Grid.from_spacing((8, 9, 10), (2, 2, 2))
    values = np.random.default_rng(0).normal(size=(8, 9, 10)).astype(np.float32)
    prepared = prepare_image(Image(values[None] * 20, grid, "HU"), PLAIN)
    np.testing.assert_array_equal(undo_map(prepared.array[0], prepared), prepared.array[0])


def test_a_fixed_shape_keeps_the_aspect_of_a_film():
    film = Image(np.zeros((1, 1, 100, 50), np.float32), Grid.from_spacing((1, 100, 50), spacing_known=False, is_planar=True))
    film.array[0, 0, 40:60, 15:35] = 100.0  # a square
    preparation = Preparation(
        ("image",), "a.u.", 2, None, (1, 64, 64), (1, 64, 64), True, (Normalisation("window", 0, 100, 0, 1),)
    )
    prepared = prepare_image(film, preparation)
    assert prepared.array.shape == (1, 1, 64, 64)
    rows, columns = np.where(prepared.array[0, 0] > 50)
    assert abs((rows.max() - rows.min()) - (columns.max() - columns.min())) <= 1
    assert abs(rows.mean() - 31.5) < 1
    assert abs(columns.mean() - 31.5) < 1


def test_outside_the_field_of_view_is_the_darkest_value_of_the_image():
    volume = Image(np.full((1, 4, 4, 4), -1000.0, np.float32), Grid.from_spacing((4, 4, 4), (2, 2, 2)), "HU")
    volume.array[0, 1:3, 1:3, 1:3] = 150
    preparation = dataclasses.replace(PLAIN, shape=(16, 16, 16))
    prepared = prepare_image(volume, preparation)
    assert prepared.array[0, 0, 0, 0] == pytest.approx((-100 - 50) / 60)


def test_normalising_per_image_ignores_the_scale_of_the_scanner():
    values = np.random.default_rng(0).gamma(2.0, 50.0, size=(1, 10, 20, 20)).astype(np.float32)
    rule = [Normalisation("per-image")]
    np.testing.assert_allclose(normalise(values, rule), normalise(values * 1000 + 7, rule), atol=1e-3)


def test_an_unknown_normalisation_is_refused():
    with pytest.raises(OverreadError, match=r"Unknown normalisation 'zscore'.*window, per-image and unclipped"):
        normalise(np.zeros((1, 2, 2, 2)), [Normalisation("zscore")])


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (
            Image(np.zeros((1, 4, 4, 4), np.float32), Grid.from_spacing((4, 4, 4)), "a.u."),
            "in a.u.; the preparation was fitted on HU",
        ),
        (Image(np.zeros((1, 1, 4, 4), np.float32), Grid.from_spacing((1, 4, 4), is_planar=True), "HU"), "a planar image"),
        (
            Image(np.zeros((2, 4, 4, 4), np.float32), Grid.from_spacing((4, 4, 4)), "HU", ("a", "b")),
            r"2 channel\(s\) \(a, b\).*expects 1",
        ),
        (Image(np.zeros((1, 4, 4, 4), np.float32), Grid.from_spacing((4, 4, 4), spacing_known=False), "HU"), "no pixel spacing"),
    ],
)
def test_an_image_of_another_kind_is_refused(image, message):
    with pytest.raises(OverreadError, match=message):
        prepare_image(image, PLAIN)
