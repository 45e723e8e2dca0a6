"""Scores for the training loop, and the clean-up of masks."""

import numpy as np
import pytest

from overread.core.grid import Grid
from overread.core.kinds import Findings, LabelMap, Measurements, Structure
from overread.core.question import Decisions, Question
from overread.metrics.components import clean, components, kept
from overread.metrics.label_maps import score_label_maps
from overread.metrics.quick import quick_scores

GRID = Grid.from_spacing((4, 10, 10), (5.0, 10.0, 10.0))  # a voxel is half a millilitre
ORGANS = Question("segmentation", ("liver", "spleen"), (1, 3))
STRUCTURES = (Structure("liver", 1), Structure("spleen", 3))


def label_map(*boxes: tuple[int, slice, slice]) -> LabelMap:
    layer = np.zeros(GRID.shape, np.uint8)
    for value, rows, columns in boxes:
        layer[1:3, rows, columns] = value
    return LabelMap(layer[None], STRUCTURES, GRID)


def test_quick_dice_equals_the_full_one_and_leaves_out_what_is_empty() -> None:
    truth = label_map((1, slice(0, 4), slice(0, 4)))
    answer = label_map((1, slice(1, 5), slice(0, 4)))
    scores = quick_scores(ORGANS, [truth, truth], [answer, truth])
    full = score_label_maps(truth, answer, ("liver",), 1.0)["liver"].scores["dice"].value
    assert scores == pytest.approx({"dice/liver": (full + 1) / 2, "dice": (full + 1) / 2})


def test_quick_dice_of_structures_that_overlap() -> None:
    layers = np.zeros((2, *GRID.shape), np.uint8)
    layers[0, :2], layers[1, 1:] = 1, 3
    both = LabelMap(layers, (Structure("liver", 1, 0), Structure("spleen", 3, 1)), GRID)
    assert quick_scores(ORGANS, [both], [both]) == {"dice/liver": 1.0, "dice/spleen": 1.0, "dice": 1.0}


def test_quick_scores_of_classes() -> None:
    two = Question("classification", ("normal", "disease"), positive="disease")
    truths = [Findings({"normal": 1.0 - t, "disease": float(t)}) for t in (0, 0, 1, 1)]
    answers = [Findings({"normal": 1 - p, "disease": p}) for p in (0.1, 0.6, 0.4, 0.9)]
    assert quick_scores(two, truths, answers) == {"auc": 0.75, "accuracy": 0.5}
    unknown = [*truths[:3], Findings({"normal": None, "disease": None})]
    assert quick_scores(two, unknown, answers)["auc"] == 0.5
    assert quick_scores(two, truths[:2], answers[:2]) == {"accuracy": 0.5}


def test_quick_scores_of_findings_and_numbers() -> None:
    several = Question("classification", ("effusion", "nodule"), exclusive=False)
    truths = [Findings({"effusion": 1.0, "nodule": None}), Findings({"effusion": 0.0, "nodule": 1.0})]
    answers = [Findings({"effusion": 0.8, "nodule": 0.2}), Findings({"effusion": 0.3, "nodule": 0.9})]
    assert quick_scores(several, truths, answers) == {"auc/effusion": 1.0, "auc": 1.0, "accuracy": 1.0}
    age = Question("regression", ("age",))
    found = quick_scores(age, [Measurements({"age": 60.0}), Measurements({"age": None})], [Measurements({"age": 62.0})] * 2)
    assert found == {"mae/age": 2.0, "mae": 2.0}


def test_components_touch_by_a_corner() -> None:
    mask = np.zeros((3, 5, 5), bool)
    mask[0, 0, 0] = mask[1, 1, 1] = mask[0, 4, 4] = True
    assert sorted(components(mask).voxels.tolist()) == [1, 2]
    assert components(np.zeros((2, 2, 2), bool)).box is None


def test_cleaning_drops_what_the_decisions_say() -> None:
    answer = label_map((1, slice(0, 3), slice(0, 3)), (1, slice(6, 7), slice(6, 7)), (3, slice(8, 10), slice(0, 2)))
    largest = clean(answer, Decisions(keep_largest=("liver",)))
    assert largest.mask("liver").sum() == 18
    assert largest.mask("spleen").sum() == answer.mask("spleen").sum()
    assert answer.mask("liver").sum() == 20, "the given map is left as it was"
    assert clean(answer, Decisions(minimum_ml={"liver": 1.5})).mask("liver").sum() == 18
    assert clean(answer, Decisions(minimum_ml={"spleen": 4.5})).mask("spleen").sum() == 0
    assert clean(answer, Decisions()) is answer


def test_of_equal_largest_components_one_is_kept() -> None:
    assert kept(np.array([4, 4, 1]), largest_only=True, minimum_voxels=0).tolist() == [True, False, False]
