"""Scores of readers: against scikit-learn, against chance, and with answers to one image taken as one unit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from overread.evaluation.reading_room.chance import least_told
from overread.evaluation.reading_room.reads import Reads
from overread.evaluation.reading_room.scores import score_reads
from overread.evaluation.rules import Rules

MADE = np.arange(40) % 2 == 1
UNITS = [f"I-{k}" for k in range(40)]
RULES = Rules(resamples=300)


def reader(name: str, right: float, seed: int) -> Reads:
    random = np.random.default_rng(seed)
    fake = np.where(random.random(40) < right, MADE, ~MADE).astype(float)
    return Reads(name, fake, random.integers(1, 5, 40).astype(float), random.lognormal(1.5, 0.5, 40))


def test_one_reader_against_scikit_learn_and_a_coin() -> None:
    one = reader("R1", 0.75, 1)
    found = score_reads(MADE, UNITS, [one], RULES)
    (row,) = found["readers"]
    right = (one.fake > 0) == MADE
    assert row["accuracy"]["estimate"] == pytest.approx(right.mean())
    assert row["auc"]["estimate"] == pytest.approx(roc_auc_score(MADE, one.suspicion))
    assert row["sensitivity"]["estimate"] == pytest.approx(one.fake[MADE].mean())
    assert row["specificity"]["estimate"] == pytest.approx(1 - one.fake[~MADE].mean())
    assert row["p_chance"] == pytest.approx(stats.chisquare([right.sum(), 40 - right.sum()]).pvalue)
    assert row["against_chance"] == "above chance"
    assert row["seconds"] == pytest.approx(np.median(one.seconds))
    assert found["pooled"] == {k: v for k, v in row.items() if k != "reader"}
    assert (found["mean"], found["agreement"]) == (None, [])
    assert sum(part["read"] for part in found["by_confidence"]) == 40
    assert [part["read"] for part in found["by_time"]] == [20, 20, 20, 20]


def test_answers_of_several_readers_to_one_image_are_one_unit() -> None:
    one = reader("R1", 0.75, 1)
    twins = [Reads(f"R{k}", one.fake, one.confidence, one.seconds) for k in (1, 2, 3)]
    alone, together = (score_reads(MADE, UNITS, reads, RULES)["pooled"]["accuracy"] for reads in (twins[:1], twins))
    assert together["n_cases"] == 120
    assert together["n_patients"] == 40
    assert together["high"] - together["low"] > 0.95 * (alone["high"] - alone["low"])  # three like one say no more than one
    one_patient = ["P-1" if k < 10 else f"I-{k}" for k in range(40)]
    wide = score_reads(MADE, one_patient, twins[:1], RULES)["pooled"]["accuracy"]
    assert "by patient" in wide["method"]


def test_readers_agree_and_their_mean_is_for_readers_like_them() -> None:
    reads = [reader(f"R{k}", 0.7, k) for k in range(3)]
    found = score_reads(MADE, UNITS, reads, RULES)
    first = next(row for row in found["agreement"] if row["readers"] == ["R0", "R1"])
    assert first["kappa"]["estimate"] == pytest.approx(cohen_kappa_score(reads[0].fake, reads[1].fake))
    assert found["agreement"][-1]["name"] == "Fleiss' kappa"
    mean = found["mean"]
    each = [row["accuracy"]["estimate"] for row in found["readers"]]
    assert mean["accuracy"]["estimate"] == pytest.approx(np.mean(each))
    assert mean["auc"]["estimate"] == pytest.approx(np.mean([row["auc"]["estimate"] for row in found["readers"]]))
    assert "Obuchowski-Rockette" in mean["accuracy"]["method"]
    assert 0 <= mean["accuracy"]["low"] < mean["accuracy"]["high"] <= 1


def test_who_guesses_is_not_told_from_chance_and_who_is_fooled_is_below() -> None:
    alternating = Reads("R1", (np.arange(40) // 2 % 2).astype(float), np.ones(40), np.ones(40))
    fooled = Reads("R2", (~MADE).astype(float), np.full(40, 4.0), np.ones(40))
    found = score_reads(MADE, UNITS, [alternating, fooled], RULES)
    assert [row["against_chance"] for row in found["readers"]] == ["not told from chance", "below chance"]
    assert found["readers"][1]["auc"]["estimate"] == 0.0


def test_images_that_were_not_read_count_for_nothing() -> None:
    one, other = reader("R1", 0.8, 1), reader("R2", 0.8, 2)
    fake = other.fake.copy()
    fake[10:] = np.nan
    found = score_reads(MADE, UNITS, [one, Reads("R2", fake, other.confidence, other.seconds)], RULES)
    assert [row["read"] for row in found["readers"]] == [40, 10]
    assert found["mean"] is None
    assert found["agreement"][0]["kappa"]["n_cases"] == 10
    assert found["images"][5]["read"] == 2
    assert found["images"][20]["read"] == 1


@pytest.mark.parametrize("images", [8, 19, 20, 27])
def test_the_p_value_the_interval_and_what_is_needed_say_the_same(images: int) -> None:
    made = np.arange(images) % 2 == 1
    told = []
    for right in range(images + 1):
        fake = np.where(np.arange(images) < right, made, ~made).astype(float)
        one = Reads("R1", fake, np.ones(images), np.ones(images))
        row = score_reads(made, [f"I-{k}" for k in range(images)], [one], Rules(resamples=10))["readers"][0]
        assert (row["against_chance"] == "not told from chance") == (row["p_chance"] >= 0.05)
        told += [right / images] if row["against_chance"] == "above chance" else []
    assert least_told(images) == told[0]


def test_how_many_must_be_right_to_be_told_from_a_coin() -> None:
    assert least_told(40) == pytest.approx(27 / 40)
    assert least_told(20) == pytest.approx(15 / 20)
    assert least_told(4) is None
