"""Anomaly scores against scikit-learn, and lesions found by planted regions."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from overread.core.grid import Grid
from overread.core.kinds import Instances
from overread.evaluation.anomaly.scores import Drawn, case_scores, lesion_scores
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.rules import Rules
from overread.metrics.anomaly import NAME, Alarm

GRID = Grid.from_spacing((1, 20, 20), is_planar=True)
RULES = Rules(resamples=200)


def test_the_area_and_what_the_alarm_does() -> None:
    random = np.random.default_rng(0)
    abnormal = np.arange(60) % 3 == 0
    score = random.normal(size=60) + 2.0 * abnormal
    patients = Patients.of([f"P-{k // 2}" for k in range(60)])
    found = case_scores(abnormal, score, patients, Alarm(1.5, 4, 0.1, 30), RULES)
    assert found["auc"]["estimate"] == pytest.approx(roc_auc_score(abnormal, score))
    assert found["auc"]["low"] < found["auc"]["estimate"] < found["auc"]["high"]
    assert found["sensitivity"]["estimate"] == pytest.approx((score[abnormal] >= 1.5).mean())
    assert found["false_alarms"]["estimate"] == pytest.approx((score[~abnormal] >= 1.5).mean())
    assert found["rule"] == "at most 10% of normal cases raise an alarm; fitted on 30 normal patients of the tuning partition"
    only = case_scores(np.zeros(60, bool), score, patients, Alarm(1.5, 4, 0.1, 30), RULES)
    assert only["roc"] is None
    assert only["auc"]["reason"] == "cases of one class only"


def square(*places: tuple[int, int], scores: tuple[float, ...] = ()) -> Instances:
    masks = np.zeros((len(places), 1, 20, 20), bool)
    for mask, (y, x) in zip(masks, places, strict=True):
        mask[0, y : y + 4, x : x + 4] = True
    return Instances.of_masks(masks, (NAME,) * len(places), np.array(scores or (1.0,) * len(places)), GRID)


def test_lesions_that_were_drawn_are_found_or_missed() -> None:
    found = [square((3, 3), (2, 14), scores=(9.0, 1.0 + k / 100)) for k in range(8)]
    cases = [Drawn(f"C-{k}", f"P-{k}", square((2, 2), (12, 12)), one) for k, one in enumerate(found)]
    cases += [Drawn(f"C-{k}", f"P-{k}", square(), square((5, 5), scores=(0.5,))) for k in range(8, 16)]
    scores = lesion_scores(cases, RULES)
    assert (scores["lesions"], scores["regions"], scores["n_cases"]) == (16, 24, 16)
    assert scores["curve"]["sensitivity"][0] == 0.5  # one of two lesions in every abnormal case, before any false region
    assert scores["curve"]["fp_per_case"][-1] == 1.0
    assert scores["froc"]["estimate"] == pytest.approx(0.5)
    assert "centre of gravity lies in one of the truth's voxels" in scores["criterion"]
