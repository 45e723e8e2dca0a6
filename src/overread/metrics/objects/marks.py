"""The matchings of all cases in flat arrays: what the curves and areas over thresholds are computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from overread.metrics.objects.matching import Matched

CHUNK = 4_000_000  # numbers held at a time while thousands of weightings are worked through


@dataclass(frozen=True)
class Marks:
    """Answers and truths of N cases, of one class or of all together; A answers, T truths.

    cases        N, those without any object among them
    answer_case  (A,) number of the case
    score        (A,)
    partner      (A,) number of the truth found, -1 for a false positive
    truth_case   (T,) number of the case
    """

    cases: int
    answer_case: np.ndarray
    score: np.ndarray
    partner: np.ndarray
    truth_case: np.ndarray

    @cached_property
    def is_hit(self) -> np.ndarray:
        """(A,) bool"""
        return self.partner >= 0

    @cached_property
    def found_at(self) -> np.ndarray:
        """(T,) score of the answer that found the truth, -inf where it was missed."""
        score = np.full(len(self.truth_case), -np.inf)
        score[self.partner[self.is_hit]] = self.score[self.is_hit]
        return score

    @cached_property
    def truths(self) -> np.ndarray:
        """(N,) number of truths in each case"""
        return np.bincount(self.truth_case, minlength=self.cases)

    @cached_property
    def worst_false(self) -> np.ndarray:
        """(N,) highest score of a false positive in each case, -inf where there is none."""
        highest = np.full(self.cases, -np.inf)
        np.maximum.at(highest, self.answer_case[~self.is_hit], self.score[~self.is_hit])
        return highest


def pool(matches: Sequence[Matched], class_name: str | None = None) -> Marks:
    """Matchings, one per case -> marks of one class; without a class, of all objects together."""
    cases, scores, partners, truth_cases = [], [], [], []
    before = 0
    for number, matched in enumerate(matches):
        answers, truths = _of(matched.answer_classes, class_name), _of(matched.truth_classes, class_name)
        place = np.cumsum(truths) - 1 + before  # of each truth among those that stay
        partner = matched.partner[answers]
        hit = partner >= 0
        partner[hit] = place[partner[hit]]
        cases.append(np.full(len(partner), number))
        scores.append(matched.scores[answers])
        partners.append(partner)
        truth_cases.append(np.full(int(truths.sum()), number))
        before += int(truths.sum())
    return Marks(len(matches), _joined(cases, int), _joined(scores, float), _joined(partners, int), _joined(truth_cases, int))


def once(weights: np.ndarray | None, cases: int) -> np.ndarray:
    """(R, N) weights of cases; None counts each case once, (N,) is one weighting."""
    return np.ones((1, cases)) if weights is None else np.atleast_2d(np.asarray(weights, dtype=float))


def parts(weights: np.ndarray, width: int) -> list[np.ndarray]:
    """(R, N) weights in pieces of as many rows as a table of `width` columns allows."""
    return np.array_split(weights, max(1, -(-len(weights) * max(width, 1) // CHUNK)))


def _of(classes: tuple[str, ...], class_name: str | None) -> np.ndarray:
    if class_name is None:
        return np.ones(len(classes), bool)
    return np.array([name == class_name for name in classes], dtype=bool)


def _joined(arrays: list[np.ndarray], kind: type) -> np.ndarray:
    return np.concatenate([np.zeros(0, kind), *arrays]).astype(kind)
