"""The weighted AFROC area against every pair looked at, one by one."""

import numpy as np
import pytest

from objects_at_random import boxes, flat, random_boxes_of_cases
from overread.metrics.objects.afroc import wafroc
from overread.metrics.objects.marks import Marks, pool
from overread.metrics.objects.matching import Criterion, match


def slow_area(marks: Marks, weights: np.ndarray) -> float:
    lesions, clean = {}, {}
    for case in range(marks.cases):
        lesions[case] = [s for c, s in zip(marks.truth_case, marks.found_at, strict=True) if c == case]
        false = [s for c, s, p in zip(marks.answer_case, marks.score, marks.partner, strict=True) if c == case and p < 0]
        if not lesions[case]:
            clean[case] = max(false, default=-np.inf)
    total = area = 0.0
    for i, scores in lesions.items():
        for j, worst in clean.items():
            total += weights[i] * weights[j] if scores else 0
            for score in scores:
                wins = 1.0 if score > worst else 0.5 if score == worst else 0.0
                area += weights[i] * weights[j] * wins / len(scores)
    return area / total if total else np.nan


@pytest.mark.parametrize("seed", range(8))
def test_as_pair_by_pair(seed) -> None:
    rng = np.random.default_rng(seed)
    truths, answers = random_boxes_of_cases(rng, 14)
    found = [match(t, a, Criterion("iou", 0.5), flat()) for t, a in zip(truths, answers, strict=True)]
    marks = pool(found, "nodule")
    weights = np.concatenate([np.ones((1, 14)), rng.integers(0, 4, (4, 14)), rng.random((2, 14))])
    assert wafroc(marks, weights) == pytest.approx([slow_area(marks, line) for line in weights], nan_ok=True)
    assert wafroc(marks)[0] == pytest.approx(slow_area(marks, np.ones(14)))


def test_nothing_answered_is_chance_and_no_clean_case_is_undefined() -> None:
    one, nothing = boxes([(0, 0, 5, 5)]), boxes([])
    iou = Criterion("iou", 0.5)
    assert wafroc(pool([match(one, nothing, iou, flat()), match(nothing, nothing, iou, flat())])).tolist() == [0.5]
    assert np.isnan(wafroc(pool([match(one, one, iou, flat())]))).all()
    assert np.isnan(wafroc(pool([match(nothing, one, iou, flat())]))).all()


def test_the_lesions_of_a_case_share_one_weight() -> None:
    many = boxes([(0, 0, 5, 5), (10, 10, 15, 15), (20, 20, 25, 25)])
    one, nothing = boxes([(0, 0, 5, 5)], scores=[0.9]), boxes([])
    iou = Criterion("iou", 0.5)
    cases = [match(many, one, iou, flat()), match(one, one, iou, flat()), match(nothing, one, iou, flat())]
    assert wafroc(pool(cases)) == pytest.approx([(1 / 3 * 0.5 + 0.5) / 2])
