"""Objects of answers written and read back; damaged files are refused with a message."""

import json

import numpy as np
import pytest

from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import Boxes, Instances
from overread.core.question import Question
from overread.evaluation.sources.objects_file import decode_mask, encode_mask, read_objects, write_objects

GRID = Grid.from_spacing((4, 10, 12), (3.0, 1.0, 1.0))
DETECTION, INSTANCES = (Question(task, ("nodule", "mass")) for task in ("detection", "instances"))


def test_boxes_come_back_to_the_last_bit(tmp_path) -> None:
    random = np.random.default_rng(0)
    corners = random.random((5, 2, 3)).astype(np.float32)
    corners[:, 1] += 2
    scores = random.random(5).astype(np.float32)
    answer = Boxes(corners, ("nodule", "mass", "nodule", "nodule", "mass"), scores, GRID)
    empty = Boxes(np.zeros((0, 2, 3)), (), np.zeros(0), GRID)
    path = tmp_path / "objects.json"
    write_objects(path, {"C-1": answer, "C-2": empty})
    found = read_objects(path, DETECTION, {"C-1": GRID, "C-2": GRID, "C-3": GRID})
    assert set(found) == {"C-1", "C-2"}
    np.testing.assert_array_equal(found["C-1"].corners.astype(np.float32), corners)
    np.testing.assert_array_equal(found["C-1"].scores.astype(np.float32), scores)
    assert found["C-1"].classes == answer.classes
    assert len(found["C-2"].classes) == 0


def test_masks_come_back_voxel_by_voxel(tmp_path) -> None:
    masks = np.random.default_rng(1).random((3, *GRID.shape)) < 0.3
    masks[2] = False
    masks[2, 0, 0, 0] = True
    answer = Instances.of_masks(masks, ("nodule", "mass", "mass"), np.array([0.9, 0.5, 0.1]), GRID)
    path = tmp_path / "objects.json"
    write_objects(path, {"C-1": answer})
    found = read_objects(path, INSTANCES, {"C-1": GRID})["C-1"]
    for k in range(3):
        np.testing.assert_array_equal(found.mask(k), masks[k])
    boxes = read_objects(path, DETECTION, {"C-1": GRID})["C-1"]
    np.testing.assert_allclose(boxes.corners, answer.corners)


def test_run_lengths_of_a_mask_that_begins_with_the_object() -> None:
    answer = Instances.of_masks(np.ones((1, 1, 2, 2), bool), ("nodule",), np.ones(1), GRID)
    values = encode_mask(answer.pieces[0])
    assert values["runs"] == [0, 4]
    assert decode_mask(values).mask.all()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"score": 0.5, "box": [0, 0, 0, 1, 1, 1]}, "'class' is missing"),
        ({"class": "cyst", "score": 0.5, "box": [0, 0, 0, 1, 1, 1]}, "its class 'cyst' is none of nodule, mass"),
        ({"class": "mass", "score": 1.5, "box": [0, 0, 0, 1, 1, 1]}, "its score 1.5 is not between 0 and 1"),
        ({"class": "mass", "score": 0.5, "box": [5, 0, 0, 1, 1, 1]}, "is not first corner, then last corner"),
        ({"class": "mass", "score": 0.5}, "'box' is missing"),
    ],
)
def test_a_damaged_object_is_named(tmp_path, row, said) -> None:
    path = tmp_path / "objects.json"
    path.write_text(json.dumps({"format": 1, "cases": {"C-1": [row]}}))
    with pytest.raises(OverreadError, match="case C-1: object 1") as error:
        read_objects(path, DETECTION, {"C-1": GRID})
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        ({"start": [0, 0, 0], "size": [1, 2, 2], "runs": [0, 3]}, "do not agree"),
        ({"start": [3, 9, 9], "size": [2, 2, 4], "runs": [0, 16]}, "reaches beyond the image of 4 x 10 x 12 voxels"),
    ],
)
def test_a_mask_that_does_not_fit_is_named(tmp_path, mask, said) -> None:
    path = tmp_path / "objects.json"
    path.write_text(json.dumps({"format": 1, "cases": {"C-1": [{"class": "mass", "score": 0.5, "mask": mask}]}}))
    with pytest.raises(OverreadError, match=said):
        read_objects(path, INSTANCES, {"C-1": GRID})


def test_another_file_is_refused(tmp_path) -> None:
    path = tmp_path / "objects.json"
    path.write_text("[]")
    with pytest.raises(OverreadError, match="is not a list of objects in format 1"):
        read_objects(path, DETECTION, {})
