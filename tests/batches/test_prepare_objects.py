"""Objects go to the prepared grid and come back: boxes exactly, voxels within the coarser grid's reach."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.batches.objects import boxes_of_numbers, number_layers, resample_numbers
from overread.batches.prepare import Prepared, prepare_image, prepare_objects, undo_boxes, undo_piece
from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.kinds import Boxes, Instances, Piece
from overread.core.preparation import Normalisation, Preparation

RULE = (Normalisation("per-image"),)
FILM = Preparation(("image",), "a.u.", 2, None, (1, 32, 32), (1, 32, 32), True, RULE)
SCAN = Preparation(("image",), "a.u.", 3, (2.0, 2.0, 2.0), None, (16, 16, 16), False, RULE)
TURNS = [((0, 1, 2), (False, False, False)), ((1, 0, 2), (True, False, True)), ((2, 0, 1), (False, True, False))]


def film(shape: tuple[int, int, int] = (1, 48, 64)) -> Prepared:
    grid = Grid.from_spacing(shape, spacing_known=False, is_planar=True)
    return prepare_image(Image(np.zeros((1, *shape), np.float32), grid), FILM)


def scan(turn: int) -> Prepared:
    grid = Grid.from_spacing((20, 40, 36), (3.0, 1.0, 1.5)).reoriented(*TURNS[turn])
    return prepare_image(Image(np.zeros((1, *grid.shape), np.float32), grid), SCAN)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 3), st.integers(0, 10_000))
def test_boxes_come_back_where_they_were(which: int, seed: int) -> None:
    prepared = film() if which == 3 else scan(which)
    random = np.random.default_rng(seed)
    shape = np.array(prepared.source.shape)
    low = random.uniform(-0.5, shape * 0.6)
    high = low + random.uniform(0.2, shape * 0.35)
    if which == 3:
        low[0], high[0] = -0.5, 0.5
    boxes = Boxes(np.array([[low, np.minimum(high, shape - 0.5)]]), ("a",), np.ones(1), prepared.source)
    objects = prepare_objects(boxes, prepared, ("a",))
    assert objects.layers is None
    np.testing.assert_allclose(undo_boxes(objects.table.boxes, prepared), boxes.corners, atol=2e-5)


@pytest.mark.parametrize("turn", range(3))
def test_pieces_come_back_where_they_were(turn: int) -> None:
    prepared = scan(turn)
    random = np.random.default_rng(turn)
    masks = np.zeros((4, *prepared.source.shape), bool)
    for mask in masks:
        place = tuple(slice(int(a), int(a) + 9) for a in (random.integers(0, n - 9) for n in mask.shape))
        mask[place] = True
    truth = Instances.of_masks(masks, ("b", "a", "a", "b"), np.ones(4), prepared.source)
    objects = prepare_objects(truth, prepared, ("a", "b"))
    assert objects.table.classes.tolist() == [1, 0, 0, 1]
    assert objects.layers is not None
    np.testing.assert_array_equal(objects.table.boxes, boxes_of_numbers(objects.layers, 4))
    for k, mask in enumerate(masks):
        back = undo_piece(Piece.of((objects.layers == k + 1).any(axis=0)), prepared)
        whole = np.zeros(mask.shape, bool)
        whole[back.place] = back.mask
        assert 2 * (whole & mask).sum() / (whole.sum() + mask.sum()) > 0.8
        assert np.abs(undo_boxes(objects.table.boxes[k : k + 1], prepared)[0] - truth.corners[k]).max() <= 2.0


def test_a_piece_comes_back_as_a_whole_map_would() -> None:
    """The part that is resampled alone, against the same piece on the whole grid."""
    from overread.batches.prepare import undo_map

    prepared = scan(1)
    mask = np.zeros(prepared.grid.shape, bool)
    mask[4:11, 3:9, 8:14] = True
    back = undo_piece(Piece.of(mask), prepared)
    whole = np.zeros(prepared.source.shape, bool)
    whole[back.place] = back.mask
    by_map = undo_map(mask.astype(np.float32), prepared) >= 0.5
    assert 2 * (whole & by_map).sum() / (whole.sum() + by_map.sum()) > 0.97


def test_an_object_smaller_than_a_voxel_is_not_lost() -> None:
    prepared = film((1, 320, 320))
    mask = np.zeros((1, 1, 320, 320), bool)
    mask[0, 0, 101, 57] = True
    objects = prepare_objects(Instances.of_masks(mask, ("a",), np.ones(1), prepared.source), prepared, ("a",))
    assert objects.table.boxes.tolist() == [[-0.5, 9.5, 4.5, 0.5, 10.5, 5.5]]


def test_objects_that_overlap_lie_in_layers_of_their_own() -> None:
    masks = np.zeros((3, 1, 8, 8), bool)
    masks[0, 0, 1:5, 1:5] = masks[1, 0, 3:7, 3:7] = masks[2, 0, 0:1, 5:8] = True
    layers = number_layers([Piece.of(m) for m in masks], (1, 8, 8))
    assert layers.shape == (2, 1, 8, 8)
    for k, mask in enumerate(masks):
        np.testing.assert_array_equal((layers == k + 1).any(axis=0), mask)
    assert number_layers([], (1, 8, 8)).shape == (1, 1, 8, 8)


def test_more_than_255_objects_keep_their_numbers() -> None:
    masks = np.zeros((300, 1, 20, 20), bool)
    for k in range(300):
        masks[k, 0, k // 20, k % 20] = True
    layers = number_layers([Piece.of(m) for m in masks], (1, 20, 20))
    assert layers.dtype == np.uint16
    assert np.isfinite(boxes_of_numbers(layers, 300)).all()


def test_a_box_in_the_padding_has_no_extent_on_the_image() -> None:
    prepared = film((1, 16, 64))  # half of the input shape is padding
    corners = undo_boxes(np.array([[-0.5, 0.5, 3.5, 0.5, 3.5, 9.5]]), prepared)
    assert (corners[0, 1] - corners[0, 0]).min() == 0
    piece = undo_piece(Piece((0, 1, 4), np.ones((1, 3, 5), bool)), prepared)
    assert piece.voxels == 0


def test_numbers_on_the_same_grid_stay_as_they_are() -> None:
    grid = Grid.from_spacing((4, 8, 8))
    layers = np.zeros((1, 4, 8, 8), np.uint8)
    layers[0, 1:3, 2:5, 2:5] = 1
    np.testing.assert_array_equal(resample_numbers(layers, grid, grid, np.array([[1.5, 3.0, 3.0]])), layers)
