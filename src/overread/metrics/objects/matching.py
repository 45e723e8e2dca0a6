"""Which answer found which truth, in one case: greedily by falling score, exactly as COCO does.

An answer takes the best truth that is still free and good enough; of equally good ones the last. A lower score never takes
anything from a higher one, so that one matching serves every threshold of the score.
Source: pycocotools, cocoeval.evaluateImg (Lin, ECCV 2014).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.metrics.objects.criterion import Criterion
from overread.metrics.objects.overlap import Objects, centre_distance, centre_hit, centres, overlaps

__all__ = ["Criterion", "Matched", "greedy", "match"]

_ANY = -np.finfo(float).max  # a limit that every finite quality keeps
_PIXEL = (1.0, 1.0, 1.0)
_ALMOST_ONE = 1 - 1e-10  # as COCO: an IoU limit of 1 forgives the last bit


@dataclass(frozen=True)
class Matched:
    """The matching of one case; A answers, T truths, in their own order.

    partner   (A,) number of the truth that the answer found, -1 for a false positive
    overlap   (A,) intersection over union with that truth, by box or mask as the criterion says; NaN for a false positive
    distance  (A,) between the two centres, in mm where the spacing is known, else in pixels; NaN for a false positive
    """

    truth_classes: tuple[str, ...]
    answer_classes: tuple[str, ...]
    scores: np.ndarray
    partner: np.ndarray
    overlap: np.ndarray
    distance: np.ndarray

    @cached_property
    def finder(self) -> np.ndarray:
        """(T,) number of the answer that found the truth, -1 where it was missed."""
        found = np.full(len(self.truth_classes), -1)
        hits = np.flatnonzero(self.partner >= 0)
        found[self.partner[hits]] = hits
        return found


def match(truth: Objects, answer: Objects, criterion: Criterion, grid: Grid, *, class_blind: bool = False) -> Matched:
    """Match the answers of one case with its truths.

    grid         of both; its spacing measures distances
    class_blind  an answer may find a truth of another class; else classes are matched apart
    """
    quality, limit = _quality(truth, answer, criterion, grid)
    if not class_blind:
        same = np.asarray(answer.classes, dtype=object)[:, None] == np.asarray(truth.classes, dtype=object)[None]
        quality = np.where(same, quality, -np.inf)
    partner = greedy(quality, np.asarray(answer.scores, dtype=float), np.array([limit]))[0]
    hits = np.flatnonzero(partner >= 0)
    overlap, distance = np.full(len(partner), np.nan), np.full(len(partner), np.nan)
    if len(hits):
        iou = quality if criterion.kind == "iou" else overlaps(answer, truth, criterion.of)
        apart = _distances(truth, answer, criterion, _spacing(grid))
        overlap[hits], distance[hits] = iou[hits, partner[hits]], apart[hits, partner[hits]]
    return Matched(
        tuple(truth.classes), tuple(answer.classes), np.asarray(answer.scores, dtype=float), partner, overlap, distance
    )


def greedy(quality: np.ndarray, scores: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Match at several limits at once.

    quality  (A, T) how well an answer fits a truth, more is better; -inf where they must not meet
    scores   (A,) answers are served in falling order of it, equal ones in their own order
    limits   (L,) least quality
    returns  (L, A) number of the truth, or -1
    """
    partner = np.full((len(limits), len(scores)), -1)
    number = quality.shape[1]
    if not number or not len(scores):
        return partner
    free = np.ones((len(limits), number), bool)
    lines = np.arange(len(limits))
    candidate = quality.max(1) >= limits.min()
    for answer in (a for a in np.argsort(-scores, kind="stable") if candidate[a]):
        fits = np.where(free & (quality[answer] >= limits[:, None]), quality[answer], -np.inf)
        best = number - 1 - fits[:, ::-1].argmax(1)
        won = np.flatnonzero(fits[lines, best] > -np.inf)
        partner[won, answer] = best[won]
        free[won, best[won]] = False
    return partner


def iou_limit(limit: float) -> float:
    return min(limit, _ALMOST_ONE)


def _quality(truth: Objects, answer: Objects, criterion: Criterion, grid: Grid) -> tuple[np.ndarray, float]:
    """(A, T) quality, and the least that will do."""
    if criterion.kind == "iou":
        return overlaps(answer, truth, criterion.of), iou_limit(criterion.limit)
    if criterion.kind == "hit":  # of several truths that it hits, the one with the nearest centre
        apart = _distances(truth, answer, criterion, _spacing(grid))
        return np.where(centre_hit(centres(answer, criterion.of), truth, criterion.of), -apart, -np.inf), _ANY
    if criterion.unit == "mm" and not grid.spacing_known:
        raise OverreadError(
            f"Matching by '{criterion.text}' needs millimetres, and an image has no pixel spacing.",
            'match by "distance 10 px" or "iou 0.5" (--matching, or matching under [evaluation]), or give the millimetres '
            "between pixels (--spacing Z Y X, or a format that carries them)",
        )
    spacing = grid.spacing if criterion.unit == "mm" else _PIXEL
    return -_distances(truth, answer, criterion, spacing), -criterion.limit


def _spacing(grid: Grid) -> tuple[float, float, float]:
    return grid.spacing if grid.spacing_known else _PIXEL


def _distances(truth: Objects, answer: Objects, criterion: Criterion, spacing: tuple[float, float, float]) -> np.ndarray:
    return centre_distance(centres(answer, criterion.of), centres(truth, criterion.of), spacing)
