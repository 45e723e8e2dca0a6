"""Uncertainty against error: planted cases in which it knows, and does not know, where the model is wrong; limits."""

from __future__ import annotations

import numpy as np
import pytest

from overread.core.score import Interval
from overread.evaluation.rules import Rules
from overread.evaluation.uncertainty.limit import apply_limit, fit_limit
from overread.evaluation.uncertainty.relation import Judged, relation
from overread.metrics.ranking import auc

RULES = Rules(resamples=200)


def cases(*, knows: bool, count: int = 120, is_binary: bool = True) -> list[Judged]:
    """An unsure measure that rises with the error, or is drawn without it; two cases per patient; a confidence of chance."""
    random = np.random.default_rng(0)
    made = []
    for k in range(count):
        error = float(random.random() < 0.3) if is_binary else float(random.random())
        unsure = (error if knows else 0.0) + random.normal() * 0.5
        values = {"entropy": unsure, "confidence": float(random.random())}
        made.append(Judged(f"c{k}", f"p{k // 2}", error, bool(error) if is_binary else None, values))
    return made


def test_an_uncertainty_that_knows_beats_one_that_does_not() -> None:
    good, baseline = relation(cases(knows=True), ["entropy"], "confidence", RULES)
    judged = cases(knows=True)
    wrong, unsure = (np.array(column) for column in zip(*[(j.is_wrong, j.unsure["entropy"]) for j in judged], strict=True))
    assert good["detection"]["estimate"] == pytest.approx(auc(wrong, unsure))
    assert good["detection"]["low"] > 0.8
    assert (good["detection"]["n_cases"], good["detection"]["n_patients"]) == (120, 60)
    assert good["against"]["detection"]["low"] > 0
    assert good["against"]["detection"]["p"] < 0.05
    assert good["against"]["aurc"]["low"] > 0
    assert good["aurc"]["estimate"] < wrong.mean() < baseline["aurc"]["high"]
    assert baseline["against"] == {}
    (bad, _) = relation(cases(knows=False), ["entropy"], "confidence", RULES)
    assert bad["detection"]["low"] < 0.5 < bad["detection"]["high"]
    assert bad["against"]["detection"]["p"] > 0.05


def test_sizes_of_errors_are_ranked() -> None:
    judged = cases(knows=True, is_binary=False)
    (good,) = relation(judged, ["entropy"], None, RULES)
    assert good["detection"] is None
    assert good["spearman"]["low"] > 0.1
    assert good["curve"]["risk"][-1] == pytest.approx(np.mean([one.error for one in judged]), rel=1e-4)


def test_cases_without_the_measure_are_counted_and_left_out_of_both() -> None:
    judged = cases(knows=True)
    judged[0] = Judged("c0", "p0", 1.0, True, {"entropy": None, "confidence": 0.5})
    row, baseline = relation(judged, ["entropy"], "confidence", RULES)
    assert (row["n_left_out"], row["detection"]["n_cases"]) == (1, 119)
    assert (baseline["n_left_out"], baseline["detection"]["n_cases"]) == (0, 120)


def test_what_cannot_be_judged_says_why() -> None:
    right = [Judged(f"c{k}", f"p{k}", 0.0, False, {"entropy": float(k)}) for k in range(30)]
    (row,) = relation(right, ["entropy"], None, RULES)
    assert Interval.from_dict(row["detection"]).reason == "all answers are right, or all are wrong"
    (row,) = relation([], ["entropy"], None, RULES)
    assert row["aurc"]["reason"] == "no case"
    (row,) = relation(cases(knows=True), ["entropy"], None, Rules(resamples=200, sampling="enriched"))
    assert row["aurc"]["estimate"] is None
    assert row["detection"]["estimate"] is not None


def test_the_limit_lets_the_stated_share_of_right_patients_pass() -> None:
    right = [Judged(f"c{k}", f"p{k}", 0.0, False, {"entropy": float(k)}) for k in range(100)]
    wrong = [Judged(f"w{k}", f"q{k}", 1.0, True, {"entropy": 200.0}) for k in range(10)]
    limit = fit_limit([*right, *wrong], "entropy")
    assert (limit["limit"], limit["n_patients"], limit["of"]) == (95.0, 100, "right answers")
    told = apply_limit(limit, [*right, *wrong], RULES)
    assert told is not None
    assert told["above"]["right"]["estimate"] == pytest.approx(0.04)
    assert told["above"]["wrong"]["estimate"] == 1.0
    assert (told["error_above"], told["error_below"]) == (pytest.approx(10 / 14), 0.0)


def test_a_limit_holds_for_new_patients_of_the_same_kind() -> None:
    random = np.random.default_rng(3)
    passed = []
    for _ in range(200):
        drawn = [Judged(f"c{k}", f"p{k // 2}", 0.0, False, {"sd": float(v)}) for k, v in enumerate(random.normal(size=80))]
        limit = fit_limit(drawn, "sd")["limit"]
        passed.append(max(random.normal(size=2)) <= limit)
    assert np.mean(passed) == pytest.approx(0.95, abs=0.04)


def test_too_few_patients_have_no_limit() -> None:
    few = [Judged(f"c{k}", f"p{k}", 0.0, None, {"sd": float(k)}) for k in range(18)]
    limit = fit_limit(few, "sd")
    assert (limit["limit"], limit["of"]) == (None, "answers")
    assert apply_limit(limit, few, RULES) is None
