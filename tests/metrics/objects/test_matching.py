"""What finds what: the criterion in words, and the greedy order of COCO."""

import numpy as np
import pytest

from objects_at_random import boxes, flat, instances, random_boxes_of_cases
from overread.core.errors import OverreadError
from overread.metrics.objects.matching import Criterion, greedy, match

IOU = Criterion("iou", 0.5)


@pytest.mark.parametrize("text", ["iou 0.5", "distance 10 mm", "distance 7.5 px", "hit"])
def test_a_criterion_reads_what_it_writes(text) -> None:
    assert Criterion.parse(f"  {text.upper().replace(' ', '  ')} ").text == text


def test_auto_depends_on_the_dimension() -> None:
    assert Criterion.parse("auto", is_planar=True) == Criterion("iou", 0.5)
    assert Criterion.parse("auto", of="mask") == Criterion("iou", 0.1, "mask")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dice 0.5", "'dice 0.5' is not understood"),
        ("iou 1.5", "share above 0 and up to 1"),
        ("iou 0", "share above 0 and up to 1"),
        ("iou 0.5 mm", "share above 0 and up to 1"),
        ("iou 0.5.1", "0.5.1 is not a number"),
        ("distance 10", "a distance of what unit"),
        ("distance 0 mm", "must be above 0"),
    ],
)
def test_a_criterion_that_makes_no_sense_is_refused(text, message) -> None:
    with pytest.raises(OverreadError, match=message) as caught:
        Criterion.parse(text)
    assert "distance 10 mm" in str(caught.value.next)


def test_the_criterion_in_words() -> None:
    assert "their boxes overlap by at least 0.5" in IOU.words
    assert "centres of gravity lie at most 10 mm apart" in Criterion("distance", 10, "mask").words
    assert "its centre lies in the truth's box" in Criterion("hit").words
    assert "further answers to it are false positives" in Criterion("hit", of="mask").words


def test_the_higher_score_is_served_first_and_takes_the_better_truth() -> None:
    truth = boxes([(0, 0, 10, 10), (0, 4, 10, 14)])
    answer = boxes([(0, 1, 10, 11), (0, 1, 10, 11), (30, 30, 35, 35)], scores=[0.4, 0.9, 0.8])
    found = match(truth, answer, IOU, flat())
    assert found.partner.tolist() == [1, 0, -1]
    assert found.finder.tolist() == [1, 0]
    assert found.overlap[:2] == pytest.approx([7 / 13, 9 / 11])
    assert np.isnan(found.overlap[2])
    assert found.distance[:2].tolist() == [3, 1]


def test_a_second_answer_to_a_truth_is_false() -> None:
    found = match(boxes([(0, 0, 10, 10)]), boxes([(0, 0, 10, 10)] * 3, scores=[0.5, 0.7, 0.7]), IOU, flat())
    assert found.partner.tolist() == [-1, 0, -1]


def test_classes_are_matched_apart_or_not() -> None:
    truth, answer = boxes([(0, 0, 9, 9)], ["cyst"]), boxes([(0, 0, 9, 9)], ["stone"])
    assert match(truth, answer, IOU, flat()).partner.tolist() == [-1]
    assert match(truth, answer, IOU, flat(), class_blind=True).partner.tolist() == [0]


def test_distance_in_mm_and_in_pixels() -> None:
    truth, answer = boxes([(0, 0, 2, 2)]), boxes([(0, 6, 2, 8)])
    assert match(truth, answer, Criterion("distance", 3), flat(known=True)).partner.tolist() == [0]
    assert match(truth, answer, Criterion("distance", 5, unit="px"), flat(known=True)).partner.tolist() == [-1]
    assert match(truth, answer, Criterion("distance", 6, unit="px"), flat()).distance.tolist() == [6]
    with pytest.raises(OverreadError, match="'distance 3 mm' needs millimetres") as caught:
        match(truth, answer, Criterion("distance", 3), flat())
    assert "distance 10 px" in str(caught.value.next)


def test_a_hit_takes_the_nearest_truth_that_it_hits() -> None:
    truth = boxes([(0, 0, 20, 20), (5, 5, 9, 9)])
    answer = boxes([(6, 6, 8, 8), (1, 1, 2, 2), (22, 22, 30, 30)], scores=[0.9, 0.8, 0.7])
    assert match(truth, answer, Criterion("hit"), flat()).partner.tolist() == [1, 0, -1]
    ring = np.ones((5, 5), bool)
    ring[2, 2] = False
    middle = np.zeros((5, 5), bool)
    middle[1:4, 1:4] = True
    for of, partner in (("box", 0), ("mask", -1)):
        assert match(instances([ring]), instances([middle]), Criterion("hit", of=of), flat()).partner.tolist() == [partner]


def test_nothing_to_match() -> None:
    nothing, one = boxes([]), boxes([(0, 0, 4, 4)])
    assert match(nothing, one, IOU, flat()).partner.tolist() == [-1]
    assert match(one, nothing, IOU, flat()).finder.tolist() == [-1]
    assert match(nothing, nothing, IOU, flat()).partner.shape == (0,)


def test_a_lower_score_changes_nothing_above_it() -> None:
    truths, answers = random_boxes_of_cases(np.random.default_rng(3), 40)
    for truth, answer in zip(truths, answers, strict=True):
        whole = match(truth, answer, IOU, flat())
        stay = answer.scores >= 0.5
        called = boxes(
            answer.corners[stay].reshape(-1, 6), [c for c, s in zip(answer.classes, stay, strict=True) if s], answer.scores[stay]
        )
        assert match(truth, called, IOU, flat()).partner.tolist() == whole.partner[stay].tolist()


def test_several_limits_at_once_are_each_on_its_own() -> None:
    rng = np.random.default_rng(4)
    for _ in range(30):
        quality, scores = rng.choice([0, 0.3, 0.6, 0.9], (7, 4)), rng.choice([0.1, 0.5, 0.9], 7)
        limits = np.array([0.2, 0.5, 0.8])
        together = greedy(quality, scores, limits)
        for row, limit in enumerate(limits):
            assert (
                together[row].tolist() == greedy(quality, scores, np.array([limit]))[0].tolist() == slowly(quality, scores, limit)
            )


def slowly(quality, scores, limit) -> list[int]:
    """The loop of cocoeval.evaluateImg, truth by truth."""
    partner, taken = [-1] * len(scores), set()
    for answer in sorted(range(len(scores)), key=lambda k: -scores[k]):
        best, chosen = limit, -1
        for truth in range(quality.shape[1]):
            if truth not in taken and quality[answer, truth] >= best:
                best, chosen = quality[answer, truth], truth
        if chosen >= 0:
            partner[answer] = chosen
            taken.add(chosen)
    return partner
