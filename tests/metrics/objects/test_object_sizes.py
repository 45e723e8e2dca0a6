"""Size bands in millimetres and in pixels."""

import numpy as np

from objects_at_random import boxes, flat, instances
from overread.core.grid import Grid
from overread.metrics.objects.matching import Criterion, match
from overread.metrics.objects.sizes import NAMES, band_counts, band_of, band_scores, longest_edge, measured, unit_of

THICK = Grid.from_spacing((9, 40, 40), (5.0, 0.5, 0.5))


def test_the_longest_edge_is_in_mm_where_the_spacing_is_known() -> None:
    box = [(-0.5, 0, 0, 1.5, 8, 6)]
    assert longest_edge(boxes(box, grid=THICK).corners, THICK).tolist() == [10]
    assert longest_edge(boxes([(0, 0, 8, 6)]).corners, flat(known=True)).tolist() == [4]
    assert longest_edge(boxes([(0, 0, 0.4, 0.6)]).corners, flat()).tolist() == [0.6]  # the slice has no thickness


def test_a_band_holds_its_lower_edge() -> None:
    edges = boxes([(0, 0, 9.9, 1), (0, 0, 10, 1), (0, 0, 20, 1), (0, 0, 39.9, 1), (0, 0, 40, 1)], grid=flat(known=True))
    assert band_of(edges, "mm").tolist() == [0, 1, 2, 2, 3]
    areas = boxes([(0, 0, 32, 31.9), (0, 0, 32, 32), (0, 0, 96, 96)])
    assert band_of(areas, "px").tolist() == [0, 1, 2]


def test_one_image_without_spacing_makes_all_bands_of_pixels() -> None:
    assert unit_of([THICK, flat()]) == "px"
    assert unit_of([THICK]) == "mm"


def test_the_area_is_of_the_mask_in_a_picture_and_of_the_box_in_a_slice_of_a_volume() -> None:
    ring = np.ones((5, 5), bool)
    ring[2, 2] = False
    assert measured(instances([ring]), "px").tolist() == [24]
    volume = np.zeros((3, 6, 6), bool)
    volume[:, :4, :5] = True
    volume[0, 0, 0] = False
    assert measured(instances([volume], grid=Grid.from_spacing((3, 6, 6), spacing_known=False)), "px").tolist() == [20]


def test_counts_by_band() -> None:
    grid = flat(known=True)
    truth = boxes([(0, 0, 8, 8), (0, 20, 12, 32), (20, 0, 28, 8)], ["nodule", "nodule", "cyst"], grid=grid)
    answer = boxes([(0, 0, 8, 11), (20, 20, 28, 28)], ["nodule", "nodule"], [0.9, 0.8], grid)
    found = match(truth, answer, Criterion("iou", 0.5), grid)
    every = band_counts([found], [truth], [answer], "mm")
    assert every.shape == (1, len(NAMES["mm"]), 5)
    assert every[0, :2].tolist() == [[2, 1, 8 / 11, 1, 0], [1, 0, 0, 1, 1]]
    scores = band_scores(band_counts([found], [truth], [answer], "mm", "nodule").sum(0))
    assert scores["sensitivity"][:2].tolist() == [1, 0]
    assert scores["ppv"][:2].tolist() == [0, 1]
    assert scores["overlap"][0] == 8 / 11
    assert np.isnan([scores[key][3] for key in scores]).all()
