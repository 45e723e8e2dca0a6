"""The evaluation of objects: numbers from a plain loop, weightings against the metrics, intervals that hold the truth."""

import json

import numpy as np
import pytest

from evaluation.drawn_objects import QUESTION, boxes, drawn_case, drawn_cases, instances
from overread.core.question import Decisions, OperatingPoint, Question
from overread.evaluation.objects.evaluate import evaluate_objects
from overread.evaluation.objects.found_case import found_case, refused_case
from overread.evaluation.objects.from_rows import case_of_row
from overread.evaluation.objects.statistics import class_statistic
from overread.evaluation.rules import Rules
from overread.metrics.objects.average_precision import RankedAnswers
from overread.metrics.objects.decide import select
from overread.metrics.objects.froc import froc_score, sensitivity_at
from overread.metrics.objects.marks import pool
from overread.metrics.objects.rows import AP, AP50, FROC, SENSITIVITY_AT, WAFROC

RULES = Rules(resamples=200)


def score(found, key, subject):
    return next(s.interval for s in found.scores if s.metric.key == key and s.subject == subject)


def test_a_case_by_hand() -> None:
    """Two nodules, one found; a false answer on a clean case; the threshold is 0.5."""
    cases = [
        found_case(
            QUESTION, "C-1", "P-1", boxes([("nodule", 1, 10, 10, 20, 20), ("nodule", 1, 50, 50, 60, 60)]),
            boxes([("nodule", 0.9, 10, 10, 20, 20), ("nodule", 0.3, 50, 50, 60, 60)]), Decisions(),
        ),
        found_case(QUESTION, "C-2", "P-2", boxes([]), boxes([("nodule", 0.7, 5, 5, 15, 15)]), Decisions()),
    ]  # fmt: skip
    found = evaluate_objects(QUESTION, cases, {-1: Decisions()}, RULES)
    assert score(found, "lesion_sensitivity", "nodule").estimate == 0.5
    assert score(found, "lesion_ppv", "nodule").estimate == 0.5
    assert score(found, "fp_per_case", "nodule").estimate == 0.5
    assert score(found, "froc", "nodule").estimate == pytest.approx((2 * 0.5 + 5 * 1.0) / 7)
    assert score(found, "wafroc", "nodule").estimate == 0.5
    assert score(found, "patient_auc", "nodule").estimate == 1.0
    assert [row["state"] for row in found.cases[0]["objects"]] == ["matched", "missed"]
    assert found.cases[0]["objects"][0]["overlap"] == 1.0
    assert [(row["state"], row["score"]) for row in found.cases[1]["objects"]] == [("false", 0.7)]
    assert [case["error"] for case in found.cases] == [1.0, 1.0]
    assert "1 of 2 cases hold no object; in 1 of them something was called, 1 false positives in all" in found.notes[0]
    assert "overlap by at least 0.5" in found.rules["matching"]


def plain_sensitivity(cases, name, rate, weights) -> float:
    """By a plain loop over every threshold."""
    thresholds = sorted(
        {s for c in cases for s, of in zip(c.matched.scores, c.matched.answer_classes, strict=True) if of == name}
    )
    best = 0.0
    for threshold in [*thresholds, 2.0]:
        hits = false = truths = 0.0
        for case, weight in zip(cases, weights, strict=True):
            truths += weight * case.truth.classes.count(name)
            rows = zip(case.matched.scores, case.matched.answer_classes, case.matched.partner, strict=True)
            for s, of, partner in rows:
                if of == name and s >= threshold:
                    hits, false = hits + weight * (partner >= 0), false + weight * (partner < 0)
        if false <= rate * weights.sum():
            best = max(best, hits / truths)
    return best


def test_weighted_sensitivity_is_that_of_a_plain_loop() -> None:
    random = np.random.default_rng(3)
    cases = drawn_cases(random, 15)
    statistic = class_statistic(SENSITIVITY_AT[2], "nodule", cases)  # half a false positive per case
    for _ in range(5):
        weights = random.integers(0, 3, 15).astype(float)
        assert statistic(weights[None])[0] == pytest.approx(plain_sensitivity(cases, "nodule", 0.5, weights))


def test_weightings_agree_with_the_metrics() -> None:
    """Ties of scores among them: called together in FROC, one after the other in COCO."""
    random = np.random.default_rng(4)
    pairs = []
    for _ in range(25):
        truth, answer = drawn_case(random)
        pairs.append((truth, type(answer)(answer.corners, answer.classes, np.round(answer.scores, 1), answer.grid)))
    cases = [found_case(QUESTION, f"C-{k}", f"P-{k}", *pair, Decisions()) for k, pair in enumerate(pairs)]
    weights = random.integers(0, 4, (40, 25)).astype(float)
    for name in QUESTION.classes:
        marks = pool([case.matched for case in cases], name)
        np.testing.assert_allclose(class_statistic(FROC, name, cases)(weights), froc_score(marks, weights))
        at_one = class_statistic(SENSITIVITY_AT[3], name, cases)(weights)
        np.testing.assert_allclose(at_one, sensitivity_at(marks, (1.0,), weights)[:, 0])
        ranked = RankedAnswers.of(*zip(*pairs, strict=True), name)
        every = ranked.average_precision(weights)
        np.testing.assert_allclose(class_statistic(AP50, name, cases)(weights), every[:, 0])
        np.testing.assert_allclose(class_statistic(AP, name, cases)(weights), every.mean(1))


def test_a_weight_of_two_is_the_case_twice() -> None:
    random = np.random.default_rng(5)
    cases = drawn_cases(random, 12)
    weights = random.integers(0, 3, 12)
    copied = [case for case, weight in zip(cases, weights, strict=True) for _ in range(weight)]
    for metric in (FROC, AP50, WAFROC):
        weighted = class_statistic(metric, "mass", cases)(weights[None].astype(float))[0]
        assert weighted == pytest.approx(class_statistic(metric, "mass", copied)(np.ones((1, len(copied))))[0])


def test_instances_have_panoptic_numbers_and_boxes_beside_masks() -> None:
    question = Question("instances", ("nodule",))
    truth = instances([("nodule", 1, 10, 10, 20, 20), ("nodule", 1, 10, 20, 20, 30)])
    merged = instances([("nodule", 0.9, 10, 10, 20, 30)])
    cases = [found_case(question, f"C-{k}", f"P-{k}", truth, merged, Decisions()) for k in range(6)]
    found = evaluate_objects(question, cases, {}, RULES)
    assert score(found, "merged", "nodule").estimate == 1.0
    assert score(found, "count_error", "nodule").estimate == 1.0
    assert score(found, "pq", "nodule").estimate == 0.0
    assert score(found, "box_ap50", "nodule").estimate is not None


def test_patients_with_several_cases_make_intervals_wider() -> None:
    random = np.random.default_rng(6)
    alone = drawn_cases(random, 10)
    four_times = [c for c in alone for _ in range(4)]
    found = evaluate_objects(QUESTION, four_times, {}, RULES)
    once = evaluate_objects(QUESTION, alone, {}, RULES)
    wide, narrow = score(found, "froc", "nodule"), score(once, "froc", "nodule")
    assert wide.estimate == pytest.approx(narrow.estimate)
    assert wide.high - wide.low == pytest.approx(narrow.high - narrow.low, rel=1e-6)
    assert score(found, "lesion_sensitivity", "nodule").method.startswith("Wilson by patient")


def of_one_class(truth, answer, question, k):
    own = [select(objects, np.array([name == "nodule" for name in objects.classes], bool)) for objects in (truth, answer)]
    return found_case(question, f"C-{k}", f"P-{k}", *own, Decisions())


def test_intervals_hold_the_truth() -> None:
    """A small simulation: of 60 intervals of 95 %, at least 51 hold the value of 3000 cases."""
    random = np.random.default_rng(7)
    only = Question("detection", ("nodule",))
    large = [of_one_class(*drawn_case(random), only, k) for k in range(3000)]
    true = {m.key: float(class_statistic(m, "nodule", large)(np.ones((1, 3000)))[0]) for m in (FROC, AP50)}
    held = dict.fromkeys(true, 0)
    for _ in range(60):
        start = int(random.integers(0, 2960))
        found = evaluate_objects(only, large[start : start + 40], {}, RULES)
        for key in true:
            interval = score(found, key, "nodule")
            held[key] += interval.low <= true[key] <= interval.high
    assert min(held.values()) >= 51, held


def test_a_refused_case_has_missed_everything_and_is_wrong_where_there_is_nothing() -> None:
    truth = boxes([("nodule", 1, 10, 10, 20, 20)])
    case = refused_case(QUESTION, "C-1", "P-1", truth)
    found = evaluate_objects(QUESTION, [case], {}, RULES)
    assert score(found, "lesion_sensitivity", "nodule").estimate == 0.0
    assert score(found, "fp_per_case", "mass").estimate == 1.0
    assert case.refused


def test_rows_of_the_file_give_the_same_scores_again() -> None:
    random = np.random.default_rng(8)
    decisions = Decisions((OperatingPoint("nodule", 0.4, "0.4 (given)"),))
    cases = drawn_cases(random, 20, decisions=decisions)
    found = evaluate_objects(QUESTION, cases, {}, RULES)
    rows = json.loads(json.dumps(found.cases))
    again = [case_of_row(QUESTION, row) for row in rows]
    once = np.ones((1, 20))
    for scored in found.scores:
        if scored.subject in QUESTION.classes and scored.metric.key != "patient_auc":
            value = class_statistic(scored.metric, scored.subject, again)(once)[0]
            assert value == pytest.approx(scored.interval.estimate, abs=1e-6), scored.metric.key


def test_froc_has_a_band_around_it() -> None:
    found = evaluate_objects(QUESTION, drawn_cases(np.random.default_rng(9), 30), {}, RULES)
    curve = found.curves["froc"]["all"]
    assert set(found.curves["froc"]) == {"nodule", "mass", "all"}
    assert len({len(values) for values in curve.values()}) == 1
    middle = len(curve["low"]) // 2
    assert curve["low"][middle] <= curve["sensitivity"][middle] <= curve["high"][middle]
    assert found.curves["pr"]["nodule"]["prevalence"] is None


def test_sizes_stand_in_bands() -> None:
    found = evaluate_objects(QUESTION, drawn_cases(np.random.default_rng(10), 20), {}, RULES)
    rows = [row for row in found.more["sizes"] if row["subject"] == "nodule"]
    assert [row["unit"] for row in rows] == ["px"] * 3
    assert rows[0]["truths"] > 0
    assert rows[2]["sensitivity"]["reason"] == "no object of this size"
