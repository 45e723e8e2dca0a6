"""Detection and instances: what is encoded, what voxels and centres become, what is refused."""

import numpy as np
import pytest
import torch

from overread.batches.object_targets import object_target
from overread.batches.objects import ObjectTable, PreparedObjects, boxes_of_numbers
from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.tasks import losses_of, make, routes_of
from overread.tasks.losses.objects import HEAT, centre_truth, centres_and_offsets

TWO = Question("instances", ("nodule", "cyst"))


def touching() -> tuple[np.ndarray, np.ndarray]:
    """Numbers (1, 12, 24) of two blocks side by side, class 0, and one apart of class 1; their classes."""
    numbers = np.zeros((1, 12, 24), np.uint8)
    numbers[0, 2:9, 2:9], numbers[0, 2:9, 9:16], numbers[0, 4:8, 19:23] = 1, 2, 3
    return numbers, np.array([0, 0, 1], np.int32)


def taught(shown: torch.Tensor, classes: np.ndarray, *, layers: np.ndarray) -> dict[str, torch.Tensor]:
    """The target of a whole image. shown, layers: the same numbers, as the network has them and (L, Z, Y, X)."""
    boxes = torch.from_numpy(boxes_of_numbers(layers, len(classes)))
    return {"boxes": boxes, "classes": torch.from_numpy(classes).long(), "numbers": shown}


def perfect_map(numbers: np.ndarray, classes: np.ndarray, *, planar: bool) -> np.ndarray:
    """What a network of centres without fault answers."""
    shown = torch.from_numpy(numbers.astype(np.int16))[None]
    shown = shown[:, 0] if planar else shown
    target = taught(shown, classes, layers=numbers[None])
    named, heat, offsets = centre_truth(target, tuple(shown.shape[1:]))
    probabilities = torch.nn.functional.one_hot(named, 3).movedim(-1, 0) * 0.9 + 0.05
    raw = torch.cat([probabilities, heat[None], offsets]).float().numpy()
    return raw[:, None] if planar else raw


@pytest.mark.parametrize("planar", [True, False])
def test_touching_objects_are_told_apart_by_their_centres_and_not_by_components(planar):
    numbers, classes = touching()
    raw = perfect_map(numbers, classes, planar=planar)
    found = make(TWO).found(raw)
    certain = found.chosen(found.scores > 0.5)
    assert sorted(certain.classes.tolist()) == [0, 0, 1]
    for number, name in enumerate(classes, start=1):
        matches = [
            k for k, p in enumerate(certain.pieces) if (numbers[p.place][p.mask] == number).all() and certain.classes[k] == name
        ]
        assert [certain.pieces[k].voxels for k in matches] == [int((numbers == number).sum())]
    joined = make(TWO, route="dense").found(raw[:3])
    assert sorted(joined.chosen(joined.scores > 0.5).classes.tolist()) == [0, 1]


def test_boxes_of_components_and_fainter_candidates():
    raw = np.zeros((2, 1, 8, 16), np.float32)
    raw[1, 0, 1:4, 2:5] = 0.8
    raw[1, 0, 1:4, 5] = 0.3  # the faint rim of an object is no other object
    raw[1, 0, 5:7, 10:13] = 0.3
    raw[1, 0, 1, 14] = 0.1
    raw[0] = 1 - raw[1]
    found = make(Question("detection", ("nodule",)), route="dense").found(raw)
    assert found.pieces is None
    np.testing.assert_allclose(found.scores, [0.8, 0.3, 0.1], rtol=1e-5)
    np.testing.assert_array_equal(found.boxes[0], [-0.5, 0.5, 1.5, 0.5, 3.5, 4.5])
    np.testing.assert_array_equal(found.boxes[1], [-0.5, 4.5, 9.5, 0.5, 6.5, 12.5])
    assert len(make(Question("detection", ("nodule",)), route="dense").found(raw * [[[[1]]], [[[0]]]])) == 0


def test_a_part_without_a_centre_is_an_object_of_low_score():
    numbers, classes = touching()
    raw = perfect_map(numbers, classes, planar=True)
    raw[3] = np.where(numbers == 3, 0.02, raw[3])
    found = make(TWO).found(raw)
    assert found.scores[found.classes == 1].max() == pytest.approx(0.95 * 0.02, rel=1e-3)


def test_a_centre_that_gathers_next_to_nothing_is_none():
    numbers, classes = touching()
    raw = perfect_map(numbers, classes, planar=True)
    raw[3, 0, 8, 2] = 0.6  # a hot place in a corner, to which no offset points
    assert (make(TWO).found(raw).scores > 0.5).sum() == 3


def test_offsets_of_mirrored_images_are_turned_back():
    task = make(TWO)
    answers = torch.randn(1, 6, 4, 5, 6)  # 3 classes, heat, offsets: 7 channels in 3D, 6 in 2D
    answers = torch.cat([answers, torch.randn(1, 1, 4, 5, 6)], 1)
    back = task.turned_back(answers, [2, 4])
    torch.testing.assert_close(back[:, :4], answers[:, :4].flip([2, 4]))
    torch.testing.assert_close(back[:, 4:], answers[:, 4:].flip([2, 4]) * torch.tensor([-1.0, 1, -1]).view(1, 3, 1, 1, 1))


@pytest.mark.parametrize("heat", list(HEAT))
def test_a_faultless_answer_costs_nothing(heat):
    numbers, classes = touching()
    target = taught(torch.from_numpy(numbers.astype(np.int16)), classes, layers=numbers[None])
    named, hot, offsets = centre_truth(target, (12, 24))
    logits = torch.nn.functional.one_hot(named, 3).movedim(-1, 0) * 40.0 - 20
    answers = torch.cat([logits, torch.logit(hot.clamp(1e-6, 1 - 1e-6))[None], offsets])[None]
    terms = centres_and_offsets(answers, [target], heat)
    assert terms["classes"] < 1e-3
    assert terms["offsets"] == 0
    assert terms["centres"] < (0.3 if heat == "focal" else 1e-6)  # the focal loss of a rim is never nothing
    worse = answers.clone()
    worse[:, -1] += 5
    assert centres_and_offsets(worse, [target], heat)["offsets"] == pytest.approx(0.25)
    empty = {
        "boxes": torch.zeros(0, 6),
        "classes": torch.zeros(0).long(),
        "numbers": torch.zeros(1, 12, 24, dtype=torch.int16),
    }
    assert all(torch.isfinite(v) for v in centres_and_offsets(answers, [empty], heat).values())


def test_an_edge_that_cuts_an_object_moves_neither_its_centre_nor_the_way_to_it():
    numbers, classes = touching()
    whole = taught(torch.from_numpy(numbers.astype(np.int16)), classes, layers=numbers[None])
    _, heat, offsets = centre_truth(whole, (12, 24))
    for first in (3, 7):  # of the window's columns: the first block is cut, on this side and beyond its centre
        window = numbers[:, :, first:]
        box = torch.tensor([[-0.5, 1.5, 1.5 - first, 0.5, 8.5, 8.5 - first]])
        target = object_target(box, np.array([0]), torch.from_numpy((window == 1)[None].astype(np.int32)), (1, 12, 24 - first), 2)
        _, cut_heat, cut_offsets = centre_truth(target, (12, 24 - first))
        shown = window[0] == 1
        assert shown.any()
        np.testing.assert_allclose(cut_offsets[:, shown], offsets[:, :, first:][:, shown])
        assert (cut_heat == 1).any() == (first <= 5)  # the centre lies in column 5
        np.testing.assert_allclose(cut_heat[:, :2], heat[:, first : first + 2], atol=1e-6)


def test_what_is_kept_of_a_truth_depends_on_the_route():
    numbers, classes = touching()
    objects = PreparedObjects(ObjectTable(np.zeros((3, 6), np.float32), classes), numbers[None])
    assert make(TWO).encode_objects(objects, (1, 12, 24)) is objects.layers
    encoded = make(TWO, route="dense").encode_objects(objects, (1, 12, 24))
    np.testing.assert_array_equal(encoded, np.select([numbers == 3, numbers > 0], [2, 1]))
    boxes_alone = PreparedObjects(objects.table, None)
    detection = Question("detection", TWO.classes)
    assert make(detection).encode_objects(boxes_alone, (1, 12, 24)).shape == (0, 1, 12, 24)
    with pytest.raises(OverreadError, match="boxes without outlines, and this network is taught from voxels") as error:
        make(detection, route="dense").encode_objects(boxes_alone, (1, 12, 24))
    assert "centre_detector" in str(error.value.next)
    with pytest.raises(OverreadError, match="boxes without outlines"):
        centre_truth({"classes": torch.zeros(0).long()}, (4, 4))


def test_routes_and_losses_by_name():
    assert routes_of("detection") == ("objects", "dense")
    assert routes_of("instances") == ("centres", "objects", "dense")
    assert routes_of("segmentation") == ("dense",)
    assert make(TWO).serves == "centres"
    assert losses_of("instances") == ("focal", "squared")
    assert make(TWO, loss="squared").loss == "squared"
    assert make(TWO, route="dense").loss == "dice_ce"
    with pytest.raises(OverreadError, match="'dice' is no loss for instances by a network of centres") as error:
        make(TWO, loss="dice")
    assert "focal, squared" in str(error.value.next)
    with pytest.raises(OverreadError, match="detection cannot be asked of a network that answers by 'centres'"):
        make(Question("detection", ("nodule",)), route="centres")
