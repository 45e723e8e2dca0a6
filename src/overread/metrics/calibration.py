"""Metrics of calibration: when the answer says 30 %, are 30 of 100 such cases positive?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from overread.core.question import Decisions, Question, Recalibration
from overread.metrics.metric import Metric, mean_from_sums, ratio

TINIEST = 1e-7  # probabilities nearer to 0 or 1 than this have no usable logit
BINS = 10  # of equal width over 0 to 1; part of the definition ece/1


def brier_terms(truth: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """(N,) bool and (N,) probability, or (N, C) one-hot and (N, C) -> (N, 2): squared error (summed over C) and 1."""
    squared = (np.asarray(truth, float) - probability) ** 2
    squared = squared.sum(-1) if squared.ndim == 2 else squared
    return np.stack([squared, np.ones(len(squared))], -1)


def bin_numbers(probability: np.ndarray) -> np.ndarray:
    """(N,) bin of each probability; 1.0 belongs to the last bin."""
    return np.minimum((probability * BINS).astype(int), BINS - 1)


def bin_terms(truth: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """(N, BINS * 3): in the bin of each case a one, its probability and its truth."""
    terms = np.zeros((len(truth), BINS, 3))
    terms[np.arange(len(truth)), bin_numbers(probability)] = np.stack([np.ones(len(truth)), probability, truth], -1)
    return terms.reshape(len(truth), BINS * 3)


def ece_from_sums(sums: np.ndarray) -> np.ndarray:
    bins = sums.reshape(*sums.shape[:-1], BINS, 3)
    return ratio(np.abs(bins[..., 1] - bins[..., 2]).sum(-1), bins[..., 0].sum(-1))


def brier_part_terms(truth: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """(N, BINS * 3 + 1): `bin_terms`, and the squared error."""
    return np.column_stack([bin_terms(truth, probability), (np.asarray(truth, float) - probability) ** 2])


def reliability_from_sums(sums: np.ndarray) -> np.ndarray:
    """Mean squared gap between mean probability and rate, bin by bin: what better calibration could win."""
    bins = sums[..., :-1].reshape(*sums.shape[:-1], BINS, 3)
    gaps = np.divide((bins[..., 1] - bins[..., 2]) ** 2, bins[..., 0], out=np.zeros(bins.shape[:-1]), where=bins[..., 0] > 0)
    return ratio(gaps.sum(-1), bins[..., 0].sum(-1))


def uncertainty_from_sums(sums: np.ndarray) -> np.ndarray:
    """Variance of the truth: the Brier score of saying the prevalence every time."""
    bins = sums[..., :-1].reshape(*sums.shape[:-1], BINS, 3)
    rate = ratio(bins[..., 2].sum(-1), bins[..., 0].sum(-1))
    return rate * (1 - rate)


def resolution_from_sums(sums: np.ndarray) -> np.ndarray:
    """What is won over saying the prevalence every time, so that Brier = reliability - resolution + uncertainty, exactly.

    Differences within a bin are counted here (Stephenson et al., Weather and Forecasting 2008;23:752).
    """
    cases = sums[..., :-1].reshape(*sums.shape[:-1], BINS, 3)[..., 0].sum(-1)
    return reliability_from_sums(sums) + uncertainty_from_sums(sums) - ratio(sums[..., -1], cases)


def expected_reliability(probability: np.ndarray) -> float:
    """The reliability part that a perfectly calibrated model shows on as many cases, from sampling noise alone."""
    number = bin_numbers(probability)
    variance = np.bincount(number, weights=probability * (1 - probability), minlength=BINS)
    return float(ratio(variance, np.bincount(number, minlength=BINS))[variance > 0].sum() / max(len(probability), 1))


def observed_expected_from_sums(sums: np.ndarray) -> np.ndarray:
    """(..., 2) sum of truths and sum of probabilities -> their ratio."""
    return ratio(sums[..., 0], sums[..., 1])


def expected_ece(probability: np.ndarray) -> float:
    """The ECE that a perfectly calibrated model shows on as many cases, from sampling noise alone.

    Each bin's gap is then about normal with the binomial variance, whose mean absolute value is sqrt(2 / pi) of its sigma.
    """
    variance = np.bincount(bin_numbers(probability), weights=probability * (1 - probability), minlength=BINS)
    return float(np.sqrt(2 * variance / np.pi).sum() / max(len(probability), 1))


@dataclass(frozen=True)
class CalibrationLine:
    """logit(P(positive)) = intercept + slope * logit(probability), with cluster-robust standard errors.

    slope      and its error; None where the fit does not exist: perfect separation, or one probability for all
    intercept  and its error; with the slope held at 1 (calibration in the large)
    """

    slope: tuple[float, float] | None
    intercept: tuple[float, float]


def logit(probability: np.ndarray, limit: float = 1e-7) -> np.ndarray:
    clipped = np.clip(np.asarray(probability, float), limit, 1 - limit)
    return np.log(clipped) - np.log1p(-clipped)


def calibration_line(truth: np.ndarray, probability: np.ndarray, patient: np.ndarray) -> CalibrationLine | None:
    """Slope, and intercept at slope 1; None where there is one class only.

    truth (N,) bool, probability (N,), patient (N,) numbers from 0
    Source: Van Calster et al., BMC Medicine 2019;17:230 (weak calibration).
    """
    score = logit(probability)
    both = _logistic(np.stack([np.ones_like(score), score], 1), np.zeros_like(score), truth, patient)
    large = _logistic(np.ones((len(score), 1)), score, truth, patient)
    if large is None:
        return None
    slope = None if both is None else (float(both[0][1]), float(both[1][1]))
    return CalibrationLine(slope, (float(large[0][0]), float(large[1][0])))


def _logistic(
    columns: np.ndarray, offset: np.ndarray, truth: np.ndarray, patient: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Newton's method; coefficients and their sandwich standard errors over patients; None where it does not settle."""
    wanted = np.asarray(truth, float)
    if wanted.min() == wanted.max() or np.linalg.matrix_rank(columns) < columns.shape[1]:
        return None
    beta = np.zeros(columns.shape[1])
    for _ in range(50):
        fitted = 1 / (1 + np.exp(-np.clip(columns @ beta + offset, -35, 35)))
        information = columns.T @ (columns * (fitted * (1 - fitted))[:, None])
        if np.linalg.cond(information) > 1e12:
            return None
        step = np.linalg.solve(information, columns.T @ (wanted - fitted))
        beta = beta + step
        if np.abs(beta).max() > 100:
            return None
        if np.abs(step).max() < 1e-9:
            break
    else:
        return None
    scores = np.stack([np.bincount(patient, weights=c * (wanted - fitted)) for c in columns.T], 1)
    scores = scores[np.bincount(patient) > 0]
    count = len(scores)
    bread = np.linalg.inv(information)
    covariance = bread @ (scores.T @ scores) @ bread * (count / max(count - 1, 1))
    return beta, np.sqrt(np.diag(covariance))


BRIER = Metric(
    "brier", "Brier score", "mean of (truth - probability)^2", "lower", undefined="no case", from_sums=mean_from_sums,
    depends_on_prevalence=True,
)  # fmt: skip
BRIER_ALL = Metric(
    "brier_multiclass", "Brier score over all classes",
    "mean over cases of the sum over classes of (truth - probability)^2; 0 to 2",
    "lower", undefined="no case", from_sums=mean_from_sums, depends_on_prevalence=True,
)  # fmt: skip
ECE = Metric(
    "ece", "Expected calibration error",
    f"sum over {BINS} bins of equal width of (share of cases) x |mean probability - rate of positives|",
    "lower", "none", undefined="no case", from_sums=ece_from_sums, depends_on_prevalence=True,
)  # fmt: skip
SLOPE = Metric(
    "calibration_slope", "Calibration slope",
    "slope of the logistic regression of the truth on logit(probability); 1 is ideal, below 1 is overconfident",
    "none", "sandwich", undefined="the logistic regression does not exist (one class, perfect separation, one probability)",
)  # fmt: skip
INTERCEPT = Metric(
    "calibration_intercept", "Calibration in the large",
    "intercept of that regression with the slope held at 1; 0 is ideal, below 0 is too high a probability",
    "zero", "sandwich", undefined="the logistic regression does not exist (one class)", depends_on_prevalence=True,
)  # fmt: skip
OBSERVED_EXPECTED = Metric(
    "observed_expected", "Observed to expected", "number of positives / sum of probabilities; 1 is ideal",
    "none", undefined="the probabilities add up to nothing", from_sums=observed_expected_from_sums, depends_on_prevalence=True,
)  # fmt: skip
BINNED = f"{BINS} bins of equal width"
RELIABILITY = Metric(
    "brier_reliability", "Brier score, part lost to calibration",
    f"mean of (mean probability - rate of positives)^2 of the bins, {BINNED}; Brier = this - resolution + uncertainty",
    "lower", "none", undefined="no case", from_sums=reliability_from_sums, depends_on_prevalence=True,
)  # fmt: skip
RESOLUTION = Metric(
    "brier_resolution", "Brier score, part won by telling cases apart",
    f"reliability + uncertainty - Brier score, {BINNED}", "higher", "none", undefined="no case", from_sums=resolution_from_sums,
    depends_on_prevalence=True,
)  # fmt: skip
UNCERTAINTY = Metric(
    "brier_uncertainty", "Brier score of saying the prevalence every time", "prevalence x (1 - prevalence)", "none",
    undefined="no case", from_sums=uncertainty_from_sums, depends_on_prevalence=True,
)  # fmt: skip

BRIER_PARTS = (RELIABILITY, RESOLUTION, UNCERTAINTY)
PER_CLASS = (BRIER, SLOPE, INTERCEPT, OBSERVED_EXPECTED, ECE, *BRIER_PARTS)


def tempered(probability: np.ndarray, temperature: float, *, exclusive: bool) -> np.ndarray:
    """(N, K) raw probabilities -> softmax or sigmoid of logits / temperature; NaN stays.

    Source: Guo et al., ICML 2017.
    """
    if temperature == 1.0:
        return np.asarray(probability, float)
    if not exclusive:
        return 1 / (1 + np.exp(-logit(probability, TINIEST) / temperature))
    powers = np.log(np.clip(probability, TINIEST, None)) / temperature
    powers = np.exp(powers - powers.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def bent(recalibration: Recalibration, probability: np.ndarray) -> np.ndarray:
    """(N,) raw probabilities of one finding -> calibrated ones; NaN stays. Source: Platt 1999; Zadrozny and Elkan, KDD 2002."""
    if recalibration.method == "isotonic":
        return np.interp(probability, recalibration.knots, recalibration.values)
    return 1 / (1 + np.exp(-(recalibration.intercept + recalibration.slope * logit(probability, TINIEST))))


def calibrated(probability: np.ndarray, question: Question, decisions: Decisions) -> np.ndarray:
    """(N, K) raw probabilities -> those that the frozen decisions make of them; NaN stays.

    More than two exclusive classes are bent one against the rest, and made to add up to 1 again.
    """
    if not decisions.recalibration:
        return tempered(probability, decisions.temperature, exclusive=question.exclusive)
    out = np.array(probability, float)
    for each in decisions.recalibration:
        k = question.classes.index(each.class_name)
        out[:, k] = bent(each, out[:, k])
        if question.is_binary:
            out[:, 1 - k] = 1 - out[:, k]
    return out / out.sum(1, keepdims=True) if question.exclusive and not question.is_binary else out
