"""Which labels do not fit their images? Confident learning on what a small model says of cases it has not seen.

A small model learns from four fifths of the patients and gives probabilities for the others, in turn. A label is suspect
where another class has at least the probability that cases of that class usually get (Northcutt et al., J Artif Intell Res
2021;70:1373). Some clean labels always look like that: classes overlap. So the same count is made on labels drawn from the
model's own probabilities, as if every label were right; only what goes beyond is a sign of wrong labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

FOLDS = 5
REPEATS = 2
MANY = 5_000  # cases above which one round is enough
COMPONENTS = 32
TREES = 100
DRAWS = 300
FLOOR = 1e-3  # of a probability: a small model is never surer
TEMPERATURES = np.exp(np.linspace(np.log(0.2), np.log(5), 41))
SHARES = np.concatenate([[0.0], np.geomspace(0.002, 0.4, 30)])  # of labels that may be wrong
# What is believed before: few labels are wrong, and probabilities are about right. Where a model is weak, sharper
# probabilities with more wrong labels would fit as well.
BELIEF = 9 * np.log1p(-SHARES)[None, :] - 0.5 * (np.log(TEMPERATURES) / 0.7)[:, None] ** 2


@dataclass(frozen=True)
class Suspicion:
    """What a small model thinks of N labels among K classes.

    probability  (N, K) out of fold, after a temperature
    label        (N,) class number as given;  suggested  (N,) class that fits better, or the label itself
    suspect      (N,) bool
    wrong        (N,) probability that the label is wrong, given the share below
    share        of labels that are wrong, as the probabilities suggest;  limits  its 95 % interval
    chance       that a clean cohort would suggest so many
    expected     suspects if every label were right: mean, 2.5th and 97.5th percentile
    """

    probability: np.ndarray
    label: np.ndarray
    suggested: np.ndarray
    suspect: np.ndarray
    wrong: np.ndarray
    share: float
    limits: tuple[float, float]
    chance: float
    expected: tuple[float, float, float]

    @property
    def order(self) -> np.ndarray:
        """Case numbers of the suspects, least believable first."""
        places = np.flatnonzero(self.suspect)
        return places[np.argsort(-self.wrong[places], kind="stable")]


def suspicion(table: np.ndarray, label: np.ndarray, patients: np.ndarray, seed: int = 0) -> Suspicion:
    """table (N, F) features, NaN allowed; label (N,) 0 to K - 1, each class there; patients (N,) numbers or names."""
    raw = np.log(np.clip(out_of_fold(table, label, patients, seed), FLOOR, None))
    counts = np.unique(patients, return_inverse=True)[1]
    weight = 1 / np.bincount(counts)[counts]  # a patient counts once, however many cases there are
    temperature, share, limits, chance = fit_share(raw, label, weight)
    probability = _softened(raw, temperature)
    suggested = confident_class(probability, label)
    own = probability[np.arange(len(label)), label]
    other = share * (1 - own) / (probability.shape[1] - 1)
    wrong = other / np.maximum((1 - share) * own + other, 1e-12)
    expected = clean_count(probability, np.random.default_rng(seed))
    return Suspicion(probability, label, suggested, suggested != label, wrong, share, limits, chance, expected)


def out_of_fold(table: np.ndarray, label: np.ndarray, patients: np.ndarray, seed: int) -> np.ndarray:
    """(N, K) probabilities from models that have not seen the patient: logistic regression and trees, their mean."""
    rounds = 1 if len(label) > MANY else REPEATS
    total = np.zeros((len(label), int(label.max()) + 1))
    for k in range(rounds):
        folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed + k)
        for learned, held in folds.split(table, label, patients):
            for make in (_line, _trees):
                model = make(len(learned), table.shape[1], seed + k).fit(table[learned], label[learned])
                answer = np.zeros((len(held), total.shape[1]))
                answer[:, model.classes_] = model.predict_proba(table[held])
                total[held] += answer / (2 * rounds)
    return total


def _line(cases: int, features: int, seed: int) -> Pipeline:
    parts = max(1, min(COMPONENTS, features, cases // 4))
    filled = SimpleImputer(strategy="median", keep_empty_features=True)
    shrunk = PCA(parts, whiten=True, svd_solver="full" if cases < MANY else "auto", random_state=seed)
    return make_pipeline(filled, StandardScaler(), shrunk, LogisticRegression(C=0.1, max_iter=500))


def _trees(cases: int, features: int, seed: int) -> Pipeline:
    filled = SimpleImputer(strategy="median", keep_empty_features=True)
    return make_pipeline(filled, ExtraTreesClassifier(TREES, min_samples_leaf=2, random_state=seed))


def confident_class(probability: np.ndarray, label: np.ndarray) -> np.ndarray:
    """(N,) the likeliest class among those whose probability reaches the mean over cases labelled so; else the label."""
    classes = probability.shape[1]
    usual = np.array([probability[label == k, k].mean() if (label == k).any() else np.inf for k in range(classes)])
    reached = np.where(probability >= usual, probability, -np.inf)
    best = reached.argmax(1)
    return np.where(np.isfinite(reached.max(1)), best, label)


def clean_count(probability: np.ndarray, random: np.random.Generator) -> tuple[float, float, float]:
    """Suspects among labels drawn from the probabilities themselves: mean, 2.5th and 97.5th percentile."""
    edges = probability.cumsum(1)
    counts = []
    for _ in range(DRAWS):
        drawn = (random.random((len(edges), 1)) * edges[:, -1:] > edges).sum(1)
        counts.append(int((confident_class(probability, drawn) != drawn).sum()))
    low, high = np.percentile(counts, (2.5, 97.5))
    return float(np.mean(counts)), float(low), float(high)


def fit_share(raw: np.ndarray, label: np.ndarray, weight: np.ndarray) -> tuple[float, float, tuple[float, float], float]:
    """The likeliest temperature and share of wrong labels, its 95 % interval, and the chance of it where none is wrong.

    raw     (N, K) log probabilities;  weight  (N,) of each case

    A label is that of the class drawn from the tempered probabilities, or with probability `share` any other one. With no wrong
    labels the share lies on its bound, so twice the gain in log likelihood is half chi-square with one degree of freedom, half 0
    (Self and Liang, J Am Stat Assoc 1987;82:605); what is believed before makes that chance larger, never smaller. The interval
    is of the shares whose best log likelihood, with what is believed before, is within half of chi-square's 95 % of the best,
    and of the next share that was tried on each side.
    """
    cases, others = np.arange(len(label)), raw.shape[1] - 1
    table = BELIEF.copy()
    for row, temperature in enumerate(TEMPERATURES):
        own = _softened(raw, float(temperature))[cases, label][:, None]
        table[row] += weight @ np.log((1 - SHARES) * own + SHARES * (1 - own) / others + 1e-12)
    best = np.unravel_index(int(table.argmax()), table.shape)
    gain = 2 * (table.max() - table[:, 0].max())
    chance = 0.5 * float(stats.chi2.sf(gain, 1)) if gain > 0 else 1.0
    near = np.flatnonzero(table.max(0) >= table.max() - stats.chi2.ppf(0.95, 1) / 2)
    low, high = max(int(near[0]) - 1, 0), min(int(near[-1]) + 1, len(SHARES) - 1)
    return float(TEMPERATURES[best[0]]), float(SHARES[best[1]]), (float(SHARES[low]), float(SHARES[high])), chance


def _softened(raw: np.ndarray, temperature: float) -> np.ndarray:
    powers = np.exp((raw - raw.max(1, keepdims=True)) / temperature)
    return np.asarray(powers / powers.sum(1, keepdims=True))
