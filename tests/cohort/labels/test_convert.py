"""From kind to kind: there and back, and against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.measure import label, regionprops

from overread.cohort.labels.convert import (
    boxes_of_components,
    boxes_of_instances,
    components,
    findings_of_boxes,
    findings_of_label_map,
    label_map_of_instances,
)
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import LabelMap, Structure

GRID = Grid.from_spacing((8, 20, 22), (3.0, 1.0, 1.0))


def lesions(seed: int = 0) -> LabelMap:
    layers = np.zeros((2, *GRID.shape), np.uint8)
    random = np.random.default_rng(seed)
    layers[0][random.random(GRID.shape) < 0.06] = 1
    layers[1][random.random(GRID.shape) < 0.03] = 4
    return LabelMap(layers, (Structure("lesion", 1, 0), Structure("cyst", 4, 1), Structure("none", 9, 1)), GRID)


@pytest.mark.parametrize(("neighbours", "level"), [(6, 1), (18, 2), (26, 3)])
def test_components_are_those_of_skimage(neighbours: int, level: int) -> None:
    label_map = lesions()
    converted = components(label_map, neighbours)
    boxes = boxes_of_instances(converted.kind).kind
    direct = boxes_of_components(label_map, neighbours).kind
    for name in ("lesion", "cyst"):
        regions = regionprops(label(label_map.mask(name), connectivity=level))
        expected = sorted(tuple(np.array(r.bbox) - 0.5) for r in regions)
        for found in (boxes, direct):
            own = [tuple(c.ravel()) for c, n in zip(found.corners, found.classes, strict=True) if n == name]
            assert sorted(own) == expected
    assert f"{neighbours} neighbours" in converted.steps[0]
    assert f"lesion {converted.kind.classes.count('lesion')}" in converted.steps[0]


def test_instances_make_the_label_map_again() -> None:
    label_map = lesions(1)
    back = label_map_of_instances(components(label_map).kind, {"lesion": 1, "cyst": 4, "none": 9}).kind
    for name in label_map.names:
        np.testing.assert_array_equal(back.mask(name), label_map.mask(name))


def test_a_box_covers_the_voxels_whose_centres_it_contains() -> None:
    layers = np.zeros((1, *GRID.shape), np.uint8)
    layers[0, 2:5, 3:9, 10] = 1
    boxes = boxes_of_components(LabelMap(layers, (Structure("a", 1),), GRID)).kind
    np.testing.assert_array_equal(boxes.corners, [[[1.5, 2.5, 9.5], [4.5, 8.5, 10.5]]])
    assert boxes.grid is GRID


def test_findings_are_present_where_any_object_is() -> None:
    label_map = lesions()
    assert findings_of_label_map(label_map).kind.probabilities == {"lesion": 1.0, "cyst": 1.0, "none": 0.0}
    boxes = boxes_of_components(label_map).kind
    assert findings_of_boxes(boxes, ("cyst", "none")).kind.probabilities == {"cyst": 1.0, "none": 0.0}


def test_what_cannot_be_done_is_refused() -> None:
    with pytest.raises(OverreadError, match="connectivity is 8; expected 6, 18 or 26"):
        components(lesions(), 8)


def test_thousands_of_objects_take_no_mask_of_the_whole_volume_each() -> None:
    many = np.zeros((1, 64, 256, 256), np.uint8)
    many[0, ::8, ::8, ::8] = 1
    found = components(LabelMap(many, (Structure("speck", 1),), Grid.from_spacing((64, 256, 256)))).kind
    assert len(found.pieces) == 8 * 32 * 32  # as dense masks 32 GiB
    assert sum(piece.mask.nbytes for piece in found.pieces) == len(found.pieces)
    assert found.pieces[33].start == (0, 8, 8)
