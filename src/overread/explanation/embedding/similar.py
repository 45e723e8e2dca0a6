"""Similar cases: the training cases whose features lie nearest, and how often they are alike in truth.

Distance is one minus the cosine between standardised features: 0 the same direction, 1 unrelated, 2 opposite. A neighbour is
never of the same patient. One whose small picture is the same is taken for another copy of the image and left out: what a copy
is labelled is no evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from overread.core.question import Question
from overread.core.score import Interval
from overread.evaluation.intervals.bootstrap import bootstrap_interval, of_sums
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.rules import Rules
from overread.explanation.embedding.likeness import alike
from overread.explanation.embedding.projections import standardised

NEIGHBOURS = 5
SAME_PICTURE = 0.9999  # correlation of small pictures from which two are one
AT_ONCE = 512  # queries


@dataclass(frozen=True)
class Library:
    """The cases among which neighbours are sought.

    pixels  (M, P) small pictures of mean 0 and length 1
    """

    case_ids: tuple[str, ...]
    patient_ids: tuple[str, ...]
    features: np.ndarray
    pixels: np.ndarray


@dataclass(frozen=True)
class Neighbours:
    """(N, k) rows of the library, the nearest first, and their distances; -1 where there were no more. copies: pairs left out."""

    rows: np.ndarray
    distances: np.ndarray
    copies: int

    def only(self, which: np.ndarray) -> Neighbours:
        """Those of some of the cases asked about; `which` is (N,) bool."""
        return replace(self, rows=self.rows[which], distances=self.distances[which])


def nearest(
    library: Library, features: np.ndarray, pixels: np.ndarray, patient_ids: Sequence[str], k: int = NEIGHBOURS
) -> Neighbours:
    """The k nearest by features, of other patients."""
    return _nearest(library, _directions(library.features, library.features), _directions(features, library.features),
                    pixels, patient_ids, k)  # fmt: skip


def nearest_by_pixels(library: Library, pixels: np.ndarray, patient_ids: Sequence[str], k: int = NEIGHBOURS) -> Neighbours:
    """The k nearest by the correlation of small pictures: what needs no network."""
    return _nearest(library, library.pixels, pixels, pixels, patient_ids, k)


def _nearest(
    library: Library, known: np.ndarray, asked: np.ndarray, pixels: np.ndarray, patient_ids: Sequence[str], k: int
) -> Neighbours:
    holders, own = np.asarray(library.patient_ids), np.asarray(patient_ids)
    rows, distances = np.full((len(asked), k), -1), np.full((len(asked), k), np.nan)
    copies = 0
    for start in range(0, len(asked), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        distance = 1.0 - asked[some] @ known.T
        is_own = own[some][:, None] == holders[None]
        is_copy = (pixels[some] @ library.pixels.T >= SAME_PICTURE) & ~is_own
        copies += int(is_copy.sum())
        distance[is_own | is_copy] = np.inf
        order = np.argsort(distance, axis=1, kind="stable")[:, :k]
        found = np.take_along_axis(distance, order, 1)
        width = order.shape[1]
        rows[some, :width] = np.where(np.isfinite(found), order, -1)
        distances[some, :width] = np.where(np.isfinite(found), found, np.nan)
    taken = rows >= 0
    assert not (holders[rows] == own[:, None])[taken].any(), "a neighbour is never of the same patient"
    return Neighbours(rows, distances, copies)


def _directions(features: np.ndarray, known: np.ndarray) -> np.ndarray:
    values = standardised(features, known)
    return np.asarray(values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12))


# ---- how often they are alike ----------------------------------------------------------------------


@dataclass(frozen=True)
class Precision:
    """Share of the k nearest that are alike in truth, per case and then over cases.

    by_chance, by_pixels  the same of all training cases of other patients, and of the nearest by pixels
    over_chance, over_pixels  differences, paired by case
    """

    k: int
    by_features: Interval
    by_chance: Interval
    by_pixels: Interval
    over_chance: Interval
    over_pixels: Interval

    def as_dict(self) -> dict[str, Any]:
        return {name: value.as_dict() if isinstance(value, Interval) else value for name, value in self.__dict__.items()}


def precision(
    question: Question,
    library: Library,
    library_truths: np.ndarray,
    truths: np.ndarray,
    patient_ids: Sequence[str],
    by_features: Neighbours,
    by_pixels: Neighbours,
    rules: Rules,
) -> Precision:
    """Precision at k with intervals by patient.

    library_truths  (M, K) of the training cases
    truths          (N, K) of the cases asked about, see `likeness.Plain`
    """
    spread = np.nan_to_num(np.nanstd(library_truths, axis=0))
    holders, own = np.asarray(library.patient_ids), np.asarray(patient_ids)
    shares = np.full((len(truths), 3), np.nan)
    for n, truth in enumerate(truths):
        found = alike(question, truth, library_truths, spread)
        shares[n] = [
            _mean(found[by_features.rows[n][by_features.rows[n] >= 0]]),
            _mean(found[holders != own[n]]),
            _mean(found[by_pixels.rows[n][by_pixels.rows[n] >= 0]]),
        ]
    used = np.isfinite(shares).all(1)
    patients = Patients.of(own[used])
    terms = np.column_stack([shares[used], np.ones(int(used.sum()))])

    def interval(weights: Sequence[float]) -> Interval:
        statistic = of_sums(patients, terms, lambda sums: sums[:, :3] @ np.asarray(weights) / np.maximum(sums[:, 3], 1e-12))
        return bootstrap_interval(statistic, patients, rules, "no case has a known truth and neighbours")

    asked = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, -1, 0), (1, 0, -1))
    return Precision(by_features.rows.shape[1], *(interval(weights) for weights in asked))


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
