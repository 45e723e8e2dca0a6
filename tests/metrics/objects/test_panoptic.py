"""Panoptic quality against a plain loop; merged and split lesions, and the count."""

import numpy as np
import pytest
from scipy import ndimage

from objects_at_random import NAMES, boxes, instances, random_instances_of_cases
from overread.metrics.objects import panoptic
from overread.metrics.objects.panoptic import merged_and_split, panoptic_counts, panoptic_sums

SHAPE = (12, 12)


def values(sums: np.ndarray) -> dict[str, float]:
    return {metric.key: float(metric.from_sums(sums)) for metric in panoptic.PANOPTIC}


def square(y0: int, x0: int, y1: int, x1: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def test_pq_of_instances_that_do_not_overlap_as_a_plain_loop() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        maps = [ndimage.label(ndimage.gaussian_filter(rng.random((2, 24, 24)), (0, 2, 2))[k] > 0.51)[0] for k in range(2)]
        maps[1] = np.where(rng.random() < 0.8, np.maximum(maps[0] - (rng.random((24, 24)) < 0.1), 0), maps[1])
        truth, answer = ([m == k for k in np.unique(m) if k] for m in maps)
        paired_truths, paired_answers, total = set(), set(), 0.0
        for i, t in enumerate(truth):
            for j, a in enumerate(answer):
                iou = (t & a).sum() / (t | a).sum()
                if iou > 0.5:
                    paired_truths.add(i)
                    paired_answers.add(j)
                    total += iou
        hits = len(paired_truths)
        assert hits == len(paired_answers)
        fn, fp = len(truth) - hits, len(answer) - hits
        found = values(panoptic_counts(instances(truth), instances(answer)))
        assert found["pq"] == pytest.approx(total / (hits + fn / 2 + fp / 2))
        assert found["sq"] == pytest.approx(total / hits if hits else np.nan, nan_ok=True)
        assert found["rq"] == pytest.approx(hits / (hits + fn / 2 + fp / 2))
        assert found["count_error"] == abs(len(truth) - len(answer))


def test_pq_is_symmetric_and_the_product_of_its_parts() -> None:
    truths, answers = random_instances_of_cases(np.random.default_rng(1), 10)
    for name in NAMES:
        forth, back = (panoptic_sums(*pair, name).sum(0) for pair in ((truths, answers), (answers, truths)))
        assert values(forth)["pq"] == pytest.approx(values(back)["pq"])
        if forth[panoptic.TP]:
            assert values(forth)["pq"] == pytest.approx(values(forth)["sq"] * values(forth)["rq"])
        assert 0 <= values(forth)["pq"] <= 1
        assert values(panoptic_sums(truths, truths, name).sum(0))["merged"] <= 1


def test_instances_that_overlap_are_paired_once() -> None:
    truth = instances([square(0, 0, 6, 6)])
    answer = instances([square(0, 0, 6, 5), square(0, 0, 6, 6)])
    found = panoptic_counts(truth, answer)
    assert found[[panoptic.IOU, panoptic.TP, panoptic.FP, panoptic.FN]].tolist() == [1, 1, 1, 0]


def test_two_lesions_run_together() -> None:
    truth = instances([square(0, 0, 4, 4), square(0, 4, 4, 8), square(8, 8, 12, 12)])
    answer = instances([square(0, 0, 4, 8), square(8, 8, 12, 12)])
    merged, split = merged_and_split(truth, answer)
    assert merged.tolist() == [True, True, False]
    assert not split.any()
    found = values(panoptic_counts(truth, answer))
    assert (found["merged"], found["split"], found["count_error"]) == (pytest.approx(2 / 3), 0, 1)


def test_one_lesion_taken_apart() -> None:
    truth = instances([square(0, 0, 4, 8), square(8, 8, 12, 12)])
    answer = instances([square(0, 0, 4, 4), square(0, 4, 4, 8), square(8, 8, 12, 12)])
    merged, split = merged_and_split(truth, answer)
    assert split.tolist() == [True, False]
    assert not merged.any()


def test_nothing_on_either_side_is_not_defined() -> None:
    none, one = instances([]), instances([square(0, 0, 3, 3)])
    empty = values(panoptic_counts(none, none))
    assert np.isnan([empty["pq"], empty["sq"], empty["rq"], empty["merged"], empty["split"]]).all()
    assert empty["count_error"] == 0
    assert values(panoptic_counts(one, none))["pq"] == 0
    assert values(panoptic_counts(none, one))["pq"] == 0


def test_boxes_have_a_panoptic_quality_too() -> None:
    here, there = boxes([(0, 0, 4, 4)]), boxes([(0, 0, 4, 3)])
    assert values(panoptic_counts(here, there, "box"))["pq"] == pytest.approx(0.75)
