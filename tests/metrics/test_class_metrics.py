"""Metrics of classes against scikit-learn."""

import importlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from overread.metrics import calibration, curves, decided
from overread.metrics.certainty import aurc
from overread.metrics.metric import macro_from_sums
from overread.metrics.prevalence import at_shares_from_sums, class_weights, split_terms
from overread.metrics.ranking import Ranking, auc


def cases(seed: int, n: int = 200, steps: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Truths and scores that know something of them; with `steps` the scores are tied."""
    random = np.random.default_rng(seed)
    truth = random.random(n) < 0.3
    score = 1 / (1 + np.exp(-(random.normal(size=n) + 1.2 * truth - 0.5)))
    return truth, np.round(score * steps) / steps if steps else score


@pytest.mark.parametrize("steps", [0, 5, 20])
def test_auc_and_average_precision_equal_scikit_learn(steps) -> None:
    truth, score = cases(1, steps=steps)
    ranking = Ranking.of(truth, score)
    assert ranking.auc()[0] == pytest.approx(sk.roc_auc_score(truth, score))
    assert ranking.average_precision()[0] == pytest.approx(sk.average_precision_score(truth, score))


@pytest.mark.parametrize("steps", [0, 8])
def test_weights_count_cases_as_often_as_they_say(steps) -> None:
    truth, score = cases(2, 60, steps)
    weights = np.random.default_rng(0).integers(0, 4, (5, 60)).astype(float)
    ranking = Ranking.of(truth, score)
    expected = [sk.roc_auc_score(truth, score, sample_weight=w) for w in weights]
    assert ranking.auc(weights) == pytest.approx(np.array(expected))
    expected = [sk.average_precision_score(truth, score, sample_weight=w) for w in weights]
    assert ranking.average_precision(weights) == pytest.approx(np.array(expected))


@pytest.mark.parametrize("steps", [0, 8])
def test_the_partial_area_equals_scikit_learn(steps) -> None:
    truth, score = cases(11, 80, steps)
    weights = np.random.default_rng(0).integers(0, 4, (5, 80)).astype(float)
    ranking = Ranking.of(truth, score)
    assert ranking.partial_auc()[0] == pytest.approx(sk.roc_auc_score(truth, score, max_fpr=0.1))
    expected = [sk.roc_auc_score(truth, score, sample_weight=w, max_fpr=0.1) for w in weights]
    assert ranking.partial_auc(weights) == pytest.approx(np.array(expected))
    perfect = Ranking.of(truth, truth + score / 10)
    assert perfect.partial_auc()[0] == pytest.approx(1)
    assert np.isnan(Ranking.of(np.zeros(4, bool), np.arange(4.0)).partial_auc()[0])


@pytest.mark.parametrize(("metric", "weights"), [(decided.KAPPA_LINEAR, "linear"), (decided.KAPPA_QUADRATIC, "quadratic")])
def test_kappa_of_grades_equals_scikit_learn(metric, weights) -> None:
    random = np.random.default_rng(12)
    truth = random.integers(0, 4, 120)
    call = np.clip(truth + random.integers(-1, 2, 120), 0, 3)
    sums = decided.confusion_terms(truth, call, 4).sum(0)
    assert metric.from_sums(sums) == pytest.approx(sk.cohen_kappa_score(truth, call, weights=weights))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40)), min_size=1, max_size=60))
def test_the_parts_of_the_brier_score_add_up_exactly(pairs) -> None:
    truth, score = np.array([t for t, _ in pairs]), np.array([s / 40 for _, s in pairs])
    sums = calibration.brier_part_terms(truth, score).sum(0)
    reliability, resolution, uncertainty = (float(m.from_sums(sums)) for m in calibration.BRIER_PARTS)
    assert reliability - resolution + uncertainty == pytest.approx(((score - truth) ** 2).mean(), abs=1e-12)
    number = calibration.bin_numbers(score)
    slow = sum((score[number == b].mean() - truth[number == b].mean()) ** 2 * (number == b).mean() for b in np.unique(number))
    assert reliability == pytest.approx(slow, abs=1e-12)


def test_noise_alone_gives_the_expected_reliability() -> None:
    random = np.random.default_rng(13)
    probability = random.random(500)
    found = [
        float(
            calibration.RELIABILITY.from_sums(calibration.brier_part_terms(random.random(500) < probability, probability).sum(0))
        )
        for _ in range(200)
    ]
    assert calibration.expected_reliability(probability) == pytest.approx(np.mean(found), rel=0.1)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.8])
def test_scores_at_a_prevalence_are_scores_of_weighted_cases(share) -> None:
    truth, score = cases(14, 150)
    call = score > 0.45
    weight = np.where(truth, share / truth.mean(), (1 - share) / (1 - truth.mean()))

    def at(metric, terms):
        return at_shares_from_sums(metric.from_sums, (1 - share, share), split_terms(truth, terms).sum(0))

    cells = decided.confusion_terms(truth, call)
    assert at(decided.PPV, cells) == pytest.approx(sk.precision_score(truth, call, sample_weight=weight))
    assert at(decided.F1, cells) == pytest.approx(sk.f1_score(truth, call, sample_weight=weight))
    assert at(decided.MCC, cells) == pytest.approx(sk.matthews_corrcoef(truth, call, sample_weight=weight))
    assert at(decided.SENSITIVITY, cells) == pytest.approx(call[truth].mean()), "of one class, so the shares do not matter"
    brier = at(calibration.BRIER, calibration.brier_terms(truth, score))
    assert brier == pytest.approx(sk.brier_score_loss(truth, score, sample_weight=weight))
    weights = class_weights(truth.astype(int), (1 - share, share), np.ones((1, 150)))
    expected = sk.average_precision_score(truth, score, sample_weight=weight)
    assert Ranking.of(truth, score).average_precision(weights)[0] == pytest.approx(expected)
    curve = curves.pr_curve(truth, score, share)
    assert curve["prevalence"] == share
    assert curve["precision"][-1] == pytest.approx(share, rel=1e-5)


def test_the_area_of_risk_and_coverage_by_hand() -> None:
    wrong = np.array([False, True, False, True])
    sure = np.array([0.9, 0.8, 0.7, 0.6])
    assert aurc(Ranking.of(wrong, sure))[0] == pytest.approx((0 + 1 / 2 + 1 / 3 + 2 / 4) / 4)
    alike = np.full(4, 0.7)
    assert aurc(Ranking.of(wrong, alike))[0] == pytest.approx(0.5), "no knowledge of its errors: the share of wrong calls"
    repeated = Ranking.of(np.repeat(wrong, 2), np.repeat(sure, 2))
    assert aurc(Ranking.of(wrong, sure), np.full((1, 4), 2.0)) == pytest.approx(aurc(repeated))


def test_one_class_alone_has_no_auc() -> None:
    assert auc(np.ones(4, bool), np.arange(4.0)) is None
    assert auc(np.zeros(0, bool), np.zeros(0)) is None
    assert np.isnan(Ranking.of(np.zeros(4, bool), np.arange(4.0)).average_precision()[0])


@pytest.mark.parametrize("classes", [2, 4])
def test_decisions_equal_scikit_learn(classes) -> None:
    random = np.random.default_rng(3)
    truth = random.integers(0, classes, 150)
    call = np.where(random.random(150) < 0.6, truth, random.integers(0, classes, 150))
    sums = decided.confusion_terms(truth, call, classes).sum(0)
    assert sums.reshape(classes, classes).tolist() == sk.confusion_matrix(truth, call).tolist()
    assert decided.accuracy_from_sums(sums) == pytest.approx(sk.accuracy_score(truth, call))
    assert decided.balanced_accuracy_from_sums(sums) == pytest.approx(sk.balanced_accuracy_score(truth, call))
    assert decided.mcc_from_sums(sums) == pytest.approx(sk.matthews_corrcoef(truth, call))


def test_two_class_ratios_equal_scikit_learn() -> None:
    truth, score = cases(4)
    call = score > 0.45
    sums = decided.confusion_terms(truth, call).sum(0)
    expected = {
        "sensitivity": sk.recall_score(truth, call),
        "specificity": sk.recall_score(truth, call, pos_label=0),
        "ppv": sk.precision_score(truth, call),
        "npv": sk.precision_score(truth, call, pos_label=0),
        "f1": sk.f1_score(truth, call),
        "lr_positive": sk.class_likelihood_ratios(truth, call)[0],
        "lr_negative": sk.class_likelihood_ratios(truth, call)[1],
        "false_alarms_per_100": 100 * (call & ~truth).mean(),
    }
    for metric in decided.PER_CLASS:
        assert metric.from_sums(sums) == pytest.approx(expected[metric.key]), metric.key


def test_ratios_without_a_denominator_are_not_defined() -> None:
    nothing_called = decided.confusion_terms(np.array([0, 0, 1]), np.array([0, 0, 0])).sum(0)
    assert np.isnan(decided.PPV.from_sums(nothing_called))
    assert np.isnan(decided.MCC.from_sums(nothing_called))
    assert decided.F1.from_sums(nothing_called) == 0


def test_macro_is_the_plain_mean_of_the_classes() -> None:
    truth, score = cases(5)
    terms = [decided.confusion_terms(truth, score > t) for t in (0.3, 0.5, 0.7)]
    together = macro_from_sums(decided.F1.from_sums, 3, np.concatenate(terms, 1).sum(0))
    assert together == pytest.approx(np.mean([sk.f1_score(truth, score > t) for t in (0.3, 0.5, 0.7)]))


def test_brier_and_its_sum_over_classes() -> None:
    truth, score = cases(6)
    sums = calibration.brier_terms(truth, score).sum(0)
    assert calibration.BRIER.from_sums(sums) == pytest.approx(sk.brier_score_loss(truth, score))
    both = calibration.brier_terms(np.eye(2)[truth.astype(int)], np.stack([1 - score, score], 1)).sum(0)
    assert calibration.BRIER_ALL.from_sums(both) == pytest.approx(2 * sk.brier_score_loss(truth, score))


def test_ece_by_hand() -> None:
    probability = np.array([0.05, 0.05, 0.95, 0.95, 1.0])
    truth = np.array([0, 1, 1, 1, 0])
    sums = calibration.bin_terms(truth, probability).sum(0)
    by_hand = (2 * abs(0.05 - 0.5) + 3 * abs(2.9 / 3 - 2 / 3)) / 5
    assert calibration.ECE.from_sums(sums) == pytest.approx(by_hand)


def test_ece_of_a_perfectly_calibrated_model_is_what_noise_alone_gives() -> None:
    random = np.random.default_rng(7)
    probability = random.random(500)
    found = [
        float(calibration.ece_from_sums(calibration.bin_terms(random.random(500) < probability, probability).sum(0)))
        for _ in range(200)
    ]
    assert calibration.expected_ece(probability) == pytest.approx(np.mean(found), rel=0.05)


def test_calibration_line_equals_statsmodels() -> None:
    statsmodels = importlib.import_module("statsmodels.api")
    truth, score = cases(8, 400)
    patient = np.arange(400) // 2
    line = calibration.calibration_line(truth, score, patient)
    logit = np.log(score / (1 - score))
    fit = statsmodels.GLM(truth.astype(float), statsmodels.add_constant(logit), family=statsmodels.families.Binomial()).fit(
        cov_type="cluster", cov_kwds={"groups": patient, "use_correction": False}
    )
    assert line.slope == pytest.approx((fit.params[1], fit.bse[1] * np.sqrt(200 / 199)), rel=1e-5)
    large = statsmodels.GLM(truth.astype(float), np.ones(400), offset=logit, family=statsmodels.families.Binomial()).fit()
    assert line.intercept[0] == pytest.approx(large.params[0], rel=1e-6)


def test_calibration_line_does_not_exist_for_one_class_or_perfect_separation() -> None:
    assert calibration.calibration_line(np.ones(5, bool), np.linspace(0.1, 0.9, 5), np.arange(5)) is None
    parted = calibration.calibration_line(np.array([0, 0, 1, 1]) > 0, np.array([0.1, 0.2, 0.8, 0.9]), np.arange(4))
    assert parted.slope is None
    assert parted.intercept[0] == pytest.approx(0.0, abs=1e-9)  # as many expected as there are
    alike = calibration.calibration_line(np.arange(10) < 3, np.full(10, 0.5), np.arange(10))
    assert alike.slope is None
    assert alike.intercept[0] == pytest.approx(np.log(0.3 / 0.7))


def test_curves_lie_on_those_of_scikit_learn_and_stay_short() -> None:
    truth, score = cases(9, 5000)
    curve = curves.roc_curve(truth, score)
    assert len(curve["fpr"]) <= curves.MOST_POINTS
    fpr, tpr, _ = sk.roc_curve(truth, score, drop_intermediate=False)
    for place in zip(curve["fpr"], curve["tpr"], strict=True):
        assert np.abs(np.stack([fpr, tpr], 1) - place).sum(1).min() < 1e-5
    assert (curve["fpr"][0], curve["tpr"][0], curve["fpr"][-1], curve["tpr"][-1]) == (0, 0, 1, 1)
    assert not (score >= curve["threshold"][0]).any()
    for place in (1, 50, -1):
        called = score >= curve["threshold"][place] * (1 - 1e-5)
        assert called[truth].mean() == pytest.approx(curve["tpr"][place], abs=0.01)
    pr = curves.pr_curve(truth, score)
    assert pr["prevalence"] == pytest.approx(truth.mean())
    assert max(pr["recall"]) == 1


def test_calibration_bins_hold_every_case_once() -> None:
    truth, score = cases(10)
    bins = curves.calibration_bins(truth, np.r_[score[:-1], 1.0])
    assert sorted(np.concatenate([numbers for _, _, numbers in bins]).tolist()) == list(range(len(truth)))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=40), st.randoms(use_true_random=False))
def test_order_of_cases_does_not_matter_and_turning_scores_round_mirrors_the_area(pairs, random) -> None:
    truth, score = np.array([t for t, _ in pairs]), np.array([s / 6 for _, s in pairs])
    shuffled = list(range(len(pairs)))
    random.shuffle(shuffled)
    before, after = auc(truth, score), auc(truth[shuffled], score[shuffled])
    assert before == (None if after is None else pytest.approx(after))
    if before is not None:
        assert auc(truth, -score) == pytest.approx(1 - before)
