"""Answers of a detector drawn at random, with scores whose true values are known: for simulations of intervals.

Six of ten patients are ill, and nine of ten of their cases hold lesions, 1.7 on average. A patient's cases are alike: a share of
0.4 of the variance of how clearly a lesion is seen is the patient's own, and so is how many false positives he has. One lesion
in nine is never marked. Nothing has
pixels: the matching is drawn, and everything after it is computed as of any answer.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from overread.core.question import Question
from overread.evaluation.objects.found_case import FoundCase, Hits, Listed, criterion_of
from overread.evaluation.objects.patient_level import patient_level
from overread.evaluation.objects.statistics import ranked, sums
from overread.metrics.metric import Metric
from overread.metrics.objects.afroc import wafroc
from overread.metrics.objects.average_precision import LIMITS
from overread.metrics.objects.counts import FP_PER_CASE, PPV, SENSITIVITY
from overread.metrics.objects.froc import froc_score, sensitivity_at
from overread.metrics.objects.marks import pool
from overread.metrics.objects.matching import Matched
from overread.metrics.objects.panoptic import COLUMNS, PQ
from overread.metrics.objects.rows import AP50, FROC, PATIENT_AUC, SENSITIVITY_AT, WAFROC
from overread.metrics.ranking import Ranking

NAME = "lesion"
QUESTION = Question("instances", (NAME,))
AT_ONE = SENSITIVITY_AT[3]
SCORES: tuple[Metric, ...] = (FROC, AT_ONE, WAFROC, AP50, PQ, SENSITIVITY, PPV, FP_PER_CASE, PATIENT_AUC)
LARGE = 30_000  # cases that stand for all
OWN = 0.4  # of the variance, the patient's
ILL, WITH_LESIONS, MORE_LESIONS = 0.6, 0.9, 0.7
CLEARLY, FAINTLY = 0.8, -0.7  # mean of the normal score of a lesion, of a false positive
NEVER_SEEN = 1 / 9
FALSE = 2.0  # false positives of a case, on average
CALLED = 0.5


def drawn_cases(random: np.random.Generator, patients: int, several: int) -> list[FoundCase]:
    found = []
    for patient in range(patients):
        seen, busy = random.normal() * np.sqrt(OWN), random.gamma(1 / OWN, OWN)
        is_ill = random.random() < ILL
        found += [_case(random, patient, k, seen, busy, is_ill) for k in range(several)]
    return found


def true_values(several: int) -> dict[str, float]:
    """By key of the score; patient-level areas depend on how many cases a patient has."""
    cases = drawn_cases(np.random.default_rng(2026), LARGE // several, several)
    marks = pool([case.matched for case in cases], NAME)
    of_patients = patient_level(NAME, cases)
    values = {
        FROC.key: froc_score(marks)[0],
        AT_ONE.key: sensitivity_at(marks, (1.0,))[0, 0],
        WAFROC.key: wafroc(marks)[0],
        AP50.key: ranked(cases, NAME, "mask").average_precision()[0, 0],
        PATIENT_AUC.key: Ranking.of(of_patients.truth, of_patients.score).auc(np.ones((1, len(of_patients.truth))))[0],
    }
    for metric in (PQ, SENSITIVITY, PPV, FP_PER_CASE):
        assert metric.from_sums is not None
        values[metric.key] = metric.from_sums(sums(metric.key, NAME, cases).sum(0))
    return {key: round(float(value), 5) for key, value in values.items()}


def _case(random: np.random.Generator, patient: int, number: int, seen: float, busy: float, is_ill: bool) -> FoundCase:
    lesions = 1 + random.poisson(MORE_LESIONS) if is_ill and random.random() < WITH_LESIONS else 0
    marked = np.flatnonzero(random.random(lesions) >= NEVER_SEEN)
    clear = CLEARLY + seen + random.normal(size=len(marked)) * np.sqrt(1 - OWN)
    false = FAINTLY + random.normal(size=random.poisson(FALSE * busy))
    scores = stats.norm.cdf(np.concatenate([clear, false]))
    partner = np.concatenate([marked, np.full(len(false), -1)]).astype(int)
    overlap = np.where(partner >= 0, 0.5 + 0.5 * random.beta(3, 2, len(scores)), np.nan)
    hit = np.nan_to_num(overlap)[None] >= LIMITS[:, None]
    called = scores >= CALLED
    pairs = called & (partner >= 0)
    answered = int(called.sum())
    panoptic = np.zeros(COLUMNS)
    panoptic[:4] = np.nansum(overlap[pairs]), pairs.sum(), lesions - pairs.sum(), answered - pairs.sum()
    panoptic[6:] = lesions, abs(answered - lesions), 1.0
    names, answers = (NAME,) * lesions, (NAME,) * len(scores)
    return FoundCase(
        f"C-{patient}-{number}",
        f"P-{patient}",
        _listed(names),
        _listed(answers),
        Matched(names, answers, scores, partner, overlap, np.full(len(scores), np.nan)),
        called,
        {"mask": {NAME: Hits(scores, hit)}},
        {NAME: panoptic},
        {},
        criterion_of(QUESTION, "auto", is_planar=True),
        is_planar=True,
    )


def _listed(names: tuple[str, ...]) -> Listed:
    unknown = np.full(len(names), np.nan)
    return Listed(names, np.full((len(names), 6), np.nan), unknown, unknown)
