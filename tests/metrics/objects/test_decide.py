"""Frozen decisions applied to raw answers."""

import numpy as np
import pytest

from objects_at_random import boxes, flat, instances, random_boxes_of_cases
from overread.core.question import Decisions, OperatingPoint
from overread.metrics.objects.choose import highest
from overread.metrics.objects.decide import apply_decisions, tidied
from overread.metrics.objects.overlap import box_iou

CLASSES = ("cyst", "nodule", "stone")


def points(**thresholds: float) -> tuple[OperatingPoint, ...]:
    return tuple(OperatingPoint(name, value, "stated") for name, value in thresholds.items())


def test_each_class_has_its_threshold() -> None:
    answer = boxes([(0, 0, 5, 5)] * 4, ["cyst", "cyst", "nodule", "stone"], [0.2, 0.19, 0.7, 0.5])
    called = apply_decisions(answer, Decisions(points(cyst=0.2, nodule=0.8)), CLASSES)
    assert called.classes == ("cyst", "stone")  # a class without a point is called from 0.5
    assert called.scores.tolist() == [0.2, 0.5]
    assert len(called.corners) == 2


def test_small_objects_are_dropped_in_mm_or_pixels() -> None:
    answer = boxes([(0, 0, 8, 3), (0, 0, 8, 3)], ["cyst", "nodule"], grid=flat(known=True))
    assert apply_decisions(answer, Decisions(minimum_size={"cyst": 4.1}), CLASSES).classes == ("nodule",)
    unknown = boxes([(0, 0, 8, 3)], ["cyst"])
    assert apply_decisions(unknown, Decisions(minimum_size={"cyst": 8}), CLASSES).classes == ("cyst",)


def test_of_two_close_ones_of_a_class_the_lower_score_goes() -> None:
    answer = boxes([(0, 0, 10, 10), (0, 1, 10, 11), (0, 2, 10, 12)], ["cyst"] * 3, [0.6, 0.9, 0.7])
    assert tidied(answer, Decisions(merge_overlap=0.7)).scores.tolist() == [0.9]
    assert tidied(answer, Decisions(merge_overlap=0.818181818)).scores.tolist() == [0.9]
    assert tidied(answer, Decisions(merge_overlap=0.82)).scores.tolist() == [0.6, 0.9, 0.7]
    apart = boxes([(0, 0, 10, 10), (0, 1, 10, 11)], ["cyst", "stone"], [0.6, 0.9])
    assert tidied(apart, Decisions(merge_overlap=0.1)).classes == ("cyst", "stone")


def test_instances_are_merged_by_voxels() -> None:
    ring = np.ones((5, 5), bool)
    ring[1:4, 1:4] = False
    answer = instances([ring, ~ring, ring], scores=[0.9, 0.8, 0.7])
    assert tidied(answer, Decisions(merge_overlap=0.5)).scores.tolist() == [0.9, 0.8]


def test_a_threshold_commutes_with_merging() -> None:
    decisions = Decisions(points(nodule=0.5, cyst=0.5, stone=0.5), merge_overlap=0.3, minimum_size={"nodule": 5.0})
    _, answers = random_boxes_of_cases(np.random.default_rng(9), 30)
    for answer in answers:
        called = apply_decisions(answer, decisions, CLASSES)
        after = tidied(answer, decisions)
        assert called.scores.tolist() == after.scores[after.scores >= 0.5].tolist()
        for name in CLASSES:
            mine = called.corners[[c == name for c in called.classes]]
            assert (box_iou(mine, mine) - np.eye(len(mine)) <= 0.3).all()


def test_no_decision_and_no_object() -> None:
    answer = boxes([(0, 0, 5, 5)], scores=[0.5])
    assert apply_decisions(answer, Decisions(), CLASSES) is answer
    assert apply_decisions(boxes([]), Decisions(merge_overlap=0.5, minimum_size={"cyst": 3.0}), CLASSES).classes == ()


def test_an_object_of_another_class_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="objects of lung"):
        apply_decisions(boxes([(0, 0, 5, 5)], ["lung"]), Decisions(), CLASSES)


def test_the_highest_scores_stay_in_their_order() -> None:
    answer = boxes([(0, 0, k, k) for k in range(1, 5)], scores=[0.2, 0.9, 0.5, 0.5])
    assert highest(answer, 2).scores.tolist() == [0.9, 0.5]
    assert highest(answer, 2).corners[1, 1, 2] == 3
