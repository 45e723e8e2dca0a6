"""The rows of the two tasks, the counts behind them, scores of patients, and what the training loop shows."""

from dataclasses import replace

import numpy as np
import pytest

from objects_at_random import boxes, flat, instances, random_boxes_of_cases, random_instances_of_cases
from overread.core.kinds import Findings
from overread.core.question import Question
from overread.metrics.metric import INTERVALS
from overread.metrics.objects.average_precision import RankedAnswers
from overread.metrics.objects.counts import CASE, COUNTED, FALSE, FOUND, MISSED, OVERLAP, case_counts
from overread.metrics.objects.matching import Criterion, match
from overread.metrics.objects.panoptic import PQ, panoptic_sums
from overread.metrics.objects.patient_score import by_patient, case_scores, case_truths
from overread.metrics.objects.rows import RATE_OF, ROWS
from overread.metrics.quick import quick_scores
from overread.metrics.table import default_endpoint, metrics_for, resolve_endpoint

BOXES = Question("detection", ("nodule",))
PIECES = Question("instances", ("cyst", "nodule", "stone"))
IOU = Criterion("iou", 0.5)


@pytest.mark.parametrize("metric", ROWS.values(), ids=list(ROWS))
def test_every_row_is_complete(metric) -> None:
    assert metric.name
    assert metric.formula
    assert metric.undefined
    assert metric.better in ("higher", "lower")
    assert metric.interval in INTERVALS
    assert (metric.parts is not None) == (metric.interval == "wilson")


def test_subjects_and_default_endpoints() -> None:
    assert list(metrics_for(BOXES)) == ["nodule"]
    assert list(metrics_for(PIECES)) == ["cyst", "nodule", "stone", "mean"]
    assert (default_endpoint(BOXES), default_endpoint(PIECES)) == ("froc", "pq")
    assert resolve_endpoint(BOXES, "froc")[1] == "nodule"
    assert resolve_endpoint(PIECES, "pq")[1] == "mean"
    assert resolve_endpoint(PIECES, "sensitivity_at_1fp/cyst")[0].name == "Sensitivity at 1 false positive per case"
    assert not {m.key for m in metrics_for(BOXES)["nodule"]} & {"pq", "merged", "count_error"}
    assert RATE_OF["sensitivity_at_1_8fp"] == 1 / 8


def test_counts_of_cases() -> None:
    truth = boxes([(0, 0, 10, 10), (20, 20, 30, 30)], ["nodule", "cyst"])
    answer = boxes([(0, 0, 10, 8), (0, 30, 5, 35), (20, 20, 30, 30)], ["nodule", "nodule", "stone"], [0.9, 0.8, 0.7])
    found = [match(truth, answer, IOU, flat()), match(boxes([]), boxes([]), IOU, flat())]
    table = case_counts(found, "nodule")
    assert table[0, [FOUND, MISSED, FALSE, OVERLAP, CASE]].tolist() == [1, 0, 1, 0.8, 1]
    assert table[1].tolist() == [0, 0, 0, 0, 1]
    assert case_counts(found)[0, :3].tolist() == [1, 1, 2]
    values = [float(metric.from_sums(case_counts(found).sum(0))) for metric in COUNTED]
    assert values == pytest.approx([1 / 2, 1 / 3, 1.0, 0.8])


def test_scores_of_cases_and_patients() -> None:
    answers = [boxes([(0, 0, 5, 5)] * 2, ["cyst", "cyst"], [0.3, 0.6]), boxes([]), boxes([(0, 0, 5, 5)], ["stone"], [0.2])]
    scores = case_scores(answers, ("cyst", "stone"))
    assert scores.tolist() == [[0.6, 0], [0, 0], [0, 0.2]]
    assert by_patient(scores, np.array([0, 1, 0]), 2).tolist() == [[0.6, 0.2], [0, 0]]
    truths = case_truths(answers, ("cyst", "stone"))
    assert truths.tolist() == [[True, False], [False, False], [False, True]]
    assert by_patient(truths, np.array([0, 1, 1]), 2).tolist() == [[True, False], [False, True]]


def test_quick_scores_of_boxes() -> None:
    truth, miss = boxes([(0, 0, 10, 10)]), boxes([(20, 20, 30, 30)], scores=[0.9])
    assert quick_scores(BOXES, [truth], [truth]) == {
        "ap50/nodule": pytest.approx(1), "ap50": pytest.approx(1),
        "sensitivity_at_1fp/nodule": 1, "sensitivity_at_1fp": 1,
    }  # fmt: skip
    assert set(quick_scores(BOXES, [truth], [miss]).values()) == {0}
    assert quick_scores(BOXES, [boxes([])], [miss]) == {}


def test_quick_scores_are_the_full_ones() -> None:
    truths, answers = random_instances_of_cases(np.random.default_rng(11), 12)
    answers = [replace(answer, scores=0.2 + 0.8 * answer.scores) for answer in answers]  # above the lowest threshold
    quick = quick_scores(PIECES, truths, answers)
    ap50 = [RankedAnswers.of(truths, answers, name, "mask").average_precision()[0, 0] for name in PIECES.classes]
    assert quick["ap50"] == pytest.approx(np.mean(ap50))
    fixed = np.mean([PQ.from_sums(panoptic_sums(truths, answers, name).sum(0)) for name in PIECES.classes])
    assert quick["pq"] >= fixed - 1e-12
    assert quick["pq"] == pytest.approx(np.mean([quick[f"pq/{name}"] for name in PIECES.classes]))
    truths, answers = random_boxes_of_cases(np.random.default_rng(11), 5)
    assert "pq" not in quick_scores(BOXES, truths, answers)


def test_pq_of_a_faint_perfect_answer_is_seen() -> None:
    mask = np.zeros((8, 8), bool)
    mask[2:5, 2:5] = True
    truth = instances([mask])
    answer = instances([mask, mask.T[::-1]], scores=[0.25, 0.12])
    assert quick_scores(Question("instances", ("nodule",)), [truth], [answer])["pq"] == 1


def test_only_objects_are_scored_as_objects() -> None:
    with pytest.raises(TypeError, match="Boxes or Instances were expected"):
        quick_scores(BOXES, [boxes([])], [Findings({"nodule": 0.5})])
