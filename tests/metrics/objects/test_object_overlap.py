"""Overlap and distance of boxes and masks, against counting voxels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from objects_at_random import boxes
from overread.core.grid import Grid
from overread.core.kinds import Instances, Piece
from overread.metrics.objects.overlap import (
    box_ios,
    box_iou,
    centre_distance,
    centre_hit,
    centres,
    mask_ios,
    mask_iou,
    overlaps,
)

WHOLE = st.integers(0, 6)
SPAN = st.tuples(WHOLE, WHOLE).map(lambda p: (min(p) - 0.5, max(p) + 0.5))
BOX = st.tuples(SPAN, SPAN, SPAN).map(lambda s: np.array(s).T)
SOME = st.lists(BOX, min_size=1, max_size=4).map(np.array)


def filled(box: np.ndarray) -> np.ndarray:
    mask = np.zeros((7, 7, 7), bool)
    (z0, y0, x0), (z1, y1, x1) = (box + 0.5).astype(int)
    mask[z0:z1, y0:y1, x0:x1] = True
    return mask


@settings(max_examples=60, deadline=None)
@given(SOME, SOME)
def test_boxes_overlap_as_the_voxels_they_hold(a, b) -> None:
    dense_a, dense_b = [filled(box) for box in a], [filled(box) for box in b]
    both = np.array([[(m & n).sum() for n in dense_b] for m in dense_a])
    sizes_a, sizes_b = np.array([m.sum() for m in dense_a])[:, None], np.array([n.sum() for n in dense_b])[None]
    iou, ios = both / (sizes_a + sizes_b - both), both / np.minimum(sizes_a, sizes_b)
    assert np.allclose(box_iou(a, b), iou)
    assert np.allclose(box_ios(a, b), ios)
    pieces_a, pieces_b = [Piece.of(m) for m in dense_a], [Piece.of(n) for n in dense_b]
    assert np.allclose(mask_iou(pieces_a, pieces_b), iou)
    assert np.allclose(mask_ios(pieces_a, pieces_b), ios)


@settings(max_examples=60, deadline=None)
@given(SOME, SOME, st.tuples(*[st.floats(-50, 50)] * 3))
def test_overlap_is_symmetric_bounded_and_the_same_elsewhere(a, b, shift) -> None:
    iou, ios = box_iou(a, b), box_ios(a, b)
    assert np.allclose(iou, box_iou(b, a).T)
    assert np.allclose(ios, box_ios(b, a).T)
    assert ((iou >= 0) & (iou <= ios + 1e-12) & (ios <= 1 + 1e-12)).all()
    assert np.allclose(np.diag(box_iou(a, a)), 1)
    assert np.allclose(box_iou(a + shift, b + shift), iou)
    assert np.allclose(centre_distance(a + shift, b + shift, (3, 1, 1)), centre_distance(b, a, (3, 1, 1)).T)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_ragged_masks_overlap_as_dense_ones(seed) -> None:
    rng = np.random.default_rng(seed)
    masks = rng.random((5, 3, 6, 6)) < 0.3
    a, b = masks[:2], masks[2:]
    dense = np.array([[(m & n).sum() / (m | n).sum() if (m | n).any() else 0 for n in b] for m in a])
    pieces = Instances.of_masks(masks, ("nodule",) * 5, np.ones(5), Grid.from_spacing((3, 6, 6))).pieces
    assert np.allclose(mask_iou(pieces[:2], pieces[2:]), dense)
    assert np.allclose(mask_iou(pieces[2:], pieces[:2]), dense.T)


def test_a_box_of_an_image_has_an_area() -> None:
    here, there = boxes([(0, 0, 4, 4)]), boxes([(0, 2, 4, 6), (1, 1, 2, 2), (9, 9, 10, 10)])
    assert overlaps(here, there).tolist() == [[8 / 24, 1 / 16, 0]]
    assert box_ios(here.corners, there.corners).tolist() == [[0.5, 1, 0]]


def test_nothing_and_boxes_without_size_overlap_with_nothing() -> None:
    none, flat = np.zeros((0, 2, 3)), np.zeros((1, 2, 3))
    assert box_iou(none, flat).shape == (0, 1)
    assert box_iou(flat, flat).tolist() == [[0]]
    assert box_iou(flat + [[[1]], [[-1]]][0], flat).tolist() == [[0]]
    assert mask_iou([], []).shape == (0, 0)


def test_centres_of_boxes_and_of_gravity() -> None:
    mask = np.zeros((4, 5, 5), bool)
    mask[1, 2, 2:5] = mask[1, 3, 2] = True
    one = Instances((Piece.of(mask),), ("nodule",), np.ones(1), Grid.from_spacing((4, 5, 5)))
    assert centres(one).tolist() == [[1, 2.5, 3]]
    assert centres(one, "mask").tolist() == [[1, 2.25, 2.75]]
    assert centre_distance(np.array([[0, 0, 0]]), np.array([[2, 3, 4]]), (6, 4, 0)).tolist() == [[pytest.approx(288**0.5)]]
    assert centre_distance(np.array([[0, 0, 0]]), np.array([[0, 3, 4]])).tolist() == [[5]]


def test_a_centre_hits_a_box_or_a_voxel() -> None:
    mask = np.zeros((1, 5, 5), bool)
    mask[0, 1, 1:4] = mask[0, 3, 1] = True
    one = Instances((Piece.of(mask),), ("nodule",), np.ones(1), Grid.from_spacing((1, 5, 5)))
    points = np.array([[0, 1, 3.4], [0, 2, 2], [0, 4, 4]])
    assert centre_hit(points, one).tolist() == [[True], [True], [False]]
    assert centre_hit(points, one, "mask").tolist() == [[True], [False], [False]]


def test_boxes_have_no_voxels() -> None:
    with pytest.raises(TypeError, match="boxes have no voxels"):
        overlaps(boxes([(0, 0, 1, 1)]), boxes([(0, 0, 1, 1)]), "mask")
