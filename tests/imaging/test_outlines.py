"""Outlines to masks, against independent programs."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as MatplotlibPath
from skimage.draw import polygon2mask

from overread.imaging.outlines import area, circle, ellipse, fill

SHAPE = (40, 50)


def star(seed: int, corners: int = 9) -> np.ndarray:
    """A polygon that never crosses itself, with corners off any pixel centre."""
    random = np.random.default_rng(seed)
    angle = np.sort(random.uniform(0, 2 * np.pi, corners))
    reach = random.uniform(4, 18, corners)
    return np.stack([24.3 + reach * np.cos(angle), 19.6 + reach * np.sin(angle)], axis=1)


@given(st.integers(0, 10**6), st.integers(3, 20))
@settings(max_examples=60, deadline=None)
def test_the_pixels_are_those_of_matplotlib_and_skimage(seed: int, corners: int) -> None:
    outline = star(seed, corners)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    centres = np.stack([x.ravel(), y.ravel()], axis=1)
    ours = fill([outline], SHAPE)
    np.testing.assert_array_equal(ours, MatplotlibPath(outline).contains_points(centres).reshape(SHAPE))
    np.testing.assert_array_equal(ours, polygon2mask(SHAPE, outline[:, ::-1]))


def test_neighbours_share_no_pixel_and_leave_none_between_them() -> None:
    left = np.array([(2, 3), (10, 3), (10, 12), (2, 12)], float)  # borders exactly on centres
    right = np.add(left, (8, 0))
    below = np.add(left, (0, 9))
    together = np.array([(2, 3), (18, 3), (18, 12), (2, 12)], float)
    masks = [fill([part], SHAPE) for part in (left, right, below)]
    assert not (masks[0] & masks[1]).any()
    assert not (masks[0] & masks[2]).any()
    np.testing.assert_array_equal(masks[0] | masks[1], fill([together], SHAPE))
    assert masks[0].sum() == 8 * 9


def test_a_keyhole_opens_a_hole_without_a_trace_of_its_channel() -> None:
    outer, hole = [(5, 5), (30, 5), (30, 30), (5, 30)], [(12, 12), (12, 20), (20, 20), (20, 12)]
    keyhole = np.array([*outer, outer[0], *hole, hole[0], outer[0]], float) + 0.3
    expected = fill([np.array(outer) + 0.3], SHAPE) & ~fill([np.array(hole) + 0.3], SHAPE)
    np.testing.assert_array_equal(fill([keyhole], SHAPE), expected)
    np.testing.assert_array_equal(fill([np.array(outer) + 0.3, np.array(hole) + 0.3], SHAPE), expected)


def test_what_lies_off_the_picture_is_cut_off() -> None:
    huge = np.array([(-100, -100), (200, -100), (200, 200), (-100, 200)], float)
    assert fill([huge], SHAPE).all()
    assert not fill([huge + 1000], SHAPE).any()
    assert not fill([], SHAPE).any()


def test_curves_have_their_area() -> None:
    assert abs(area(circle((20, 20), 10)) - 100 * np.pi) < 0.02
    assert abs(abs(area(ellipse((20, 20), (0.0, 5.0), (8.0, 0.0)))) - 40 * np.pi) < 0.02
    assert abs(fill([circle((20.2, 19.7), 15)], SHAPE).sum() / (225 * np.pi) - 1) < 0.01
