"""Made images judged as a whole: the record, its intervals, and the alarm for copies."""

import json

import numpy as np
import pytest

from overread.core.errors import OverreadError
from overread.evaluation.generation.jackknife import jackknifed
from overread.evaluation.generation.judge import Real, judge
from overread.evaluation.generation.memory import memory
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.rules import Rules

RULES = Rules(resamples=200)
NETWORK = "the encoder of run first, trained on this cohort"


def real_images(count: int = 80, seed: int = 0) -> Real:
    random = np.random.default_rng(seed)
    return Real(random.normal(size=(count, 6)), tuple(f"P-{k // 2}" for k in range(count)))


def of(found: dict, metric: str) -> dict:
    return next(row["interval"] for row in found["scores"] if row["metric"] == metric)


def test_the_record_says_what_from_how_many_and_how_sure() -> None:
    good, poor = (np.random.default_rng(1).normal(shift, 1, (70, 6)) for shift in (0.0, 1.5))
    one, other = (judge(real_images(), made, RULES, network=NETWORK, floor=real_images(seed=5)) for made in (good, poor))
    json.dumps([one, other], allow_nan=False)
    for metric in ("fid", "kid", "mmd"):
        assert of(one, metric)["high"] < of(other, metric)["low"]
    for metric in ("precision", "recall", "density", "coverage"):
        assert of(one, metric)["low"] > of(other, metric)["high"]
    assert of(one, "diversity")["low"] < 1 < of(one, "diversity")["high"]
    assert of(one, "recall")["n_patients"] == 40
    assert of(one, "precision")["n_patients"] == 0
    assert one["floor"]["fid"] < of(other, "fid")["estimate"]
    assert one["bias"]["fid"] > abs(one["bias"]["kid"])
    assert NETWORK in one["notes"][0]
    assert "too high where images are few" in one["notes"][1]
    assert one["kid_of_subsets"]["images"] == 35


def test_fewer_images_than_features_is_said() -> None:
    random = np.random.default_rng(0)
    real = Real(random.normal(size=(20, 40)), tuple(f"P-{k}" for k in range(20)))
    found = judge(real, random.normal(size=(20, 40)), RULES, network=NETWORK)
    assert any("fewer images (20) than features (40)" in note for note in found["notes"])
    with pytest.raises(OverreadError, match="80 real images and 79 patients"):
        Real(real_images().features, real_images().patient_ids[1:])


def test_the_jackknife_covers_a_difference_of_means_and_knows_a_bias() -> None:
    """Patients with two images each that are alike: an interval that took images as independent would hold too seldom."""
    random, held, widths = np.random.default_rng(3), 0, []
    for _ in range(200):
        real = np.repeat(random.normal(size=60), 2)
        made = random.normal(0.5, 1, 100)
        found = jackknifed(lambda r, m: made[m].mean() - real[r].mean(), Patients.of(np.repeat(np.arange(60), 2)), 100, 0.95, "")  # noqa: B023
        held += found.interval.low <= 0.5 <= found.interval.high
        widths.append(found.interval.high - found.interval.low)
        assert found.bias == pytest.approx(0, abs=1e-9)
    assert 0.90 <= held / 200 <= 1.0
    assert np.mean(widths) == pytest.approx(2 * 2.09 * np.sqrt(1 / 60 + 1 / 100), rel=0.1)
    biased = [np.random.default_rng(k).normal(size=100) for k in range(50)]
    found = [jackknifed(lambda r, m: float(np.var(v[m])), Patients.of(np.arange(20)), 100, 0.95, "").bias for v in biased]  # noqa: B023
    assert np.mean(found) == pytest.approx(-1 / 100, rel=0.2)  # the variance divided by N is too small by 1/N


def test_what_has_no_interval_says_why() -> None:
    assert "too few to leave some out" in jackknifed(lambda r, m: 1.0, Patients.of(["a", "b"]), 50, 0.95, "").interval.reason
    assert "whatever is left out" in jackknifed(lambda r, m: 1.0, Patients.of(range(9)), 50, 0.95, "").interval.reason
    assert jackknifed(lambda r, m: float("nan"), Patients.of(range(9)), 50, 0.95, "flat").interval.reason == "flat"


def test_a_planted_copy_raises_the_alarm_and_honest_images_do_not() -> None:
    training = np.random.default_rng(8).normal(size=(90, 6))
    ids = [f"C-{k}" for k in range(90)]
    made = np.random.default_rng(9).normal(size=(60, 6))
    honest = memory(training, ids, made, real_images(), RULES, network=NETWORK)
    json.dumps(honest, allow_nan=False)
    assert not honest["fires"]
    assert honest["sentence"].startswith("No sign that training images are repeated")
    assert of(honest, "nearest_ratio")["low"] < 1 < of(honest, "nearest_ratio")["high"]
    made[11] = training[42] + 1e-6
    found = memory(training, ids, made, real_images(), RULES, network=NETWORK)
    assert found["fires"]
    assert found["copies"] == [11]
    assert found["suspects"][0] == 11
    assert found["nearest"][11]["case_id"] == "C-42"
    assert "Do not hand out these images" in found["sentence"]


def test_held_out_images_that_trained_too_are_left_out_and_counted() -> None:
    """One twin would make every copy look usual."""
    held = real_images()
    training = np.random.default_rng(8).normal(size=(90, 6))
    training[3] = held.features[5]
    made = np.random.default_rng(9).normal(size=(60, 6))
    made[11] = training[42] + 1e-6
    found = memory(training, [f"C-{k}" for k in range(90)], made, held, RULES, network=NETWORK)
    assert (found["n_twins"], found["copies"], found["fires"], found["is_blind"]) == (1, [11], True, False)
    assert "Left out: 1 held-out image that equals a training image" in found["sentence"]


def test_a_cohort_that_holds_its_images_twice_blinds_the_test_and_that_is_said() -> None:
    held = real_images()
    ids = [f"C-{k}" for k in range(len(held.features))]
    found = memory(held.features, ids, held.features + 1, held, RULES, network=NETWORK)
    assert found["is_blind"]
    assert "holds its images twice" in found["sentence"]
