"""Panoptic quality of instances, and what it hides: lesions run together and lesions taken apart, counted separately.

A truth and an answer of one class belong together where they overlap by more than half (intersection over union); instances
that overlap one another are paired from the highest overlap down, each once. PQ = SQ x RQ, over the sums of all cases.
Merged and split are counted by coverage, whatever the pairing: an answer covers a truth when it holds more than half of the
truth's voxels; an answer is part of a truth when more than half of its own voxels lie in the truth.
Source: Kirillov, CVPR 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from overread.metrics.metric import Metric, mean_from_sums, proportion, ratio, share_from_sums
from overread.metrics.objects.choose import of_class
from overread.metrics.objects.overlap import Objects, box_intersection, box_size, mask_intersection, mask_size, pieces_of

IOU, TP, FN, FP, MERGED, SPLIT, WHOLE, COUNT_ERROR, CASE = range(9)  # columns; MERGED, SPLIT count truths, WHOLE all truths
COLUMNS = 9
LIMIT = 0.5


def _recognition(sums: np.ndarray) -> np.ndarray:
    return ratio(sums[..., TP], sums[..., TP] + 0.5 * (sums[..., FP] + sums[..., FN]))


def _panoptic(sums: np.ndarray) -> np.ndarray:
    return ratio(sums[..., IOU], sums[..., TP] + 0.5 * (sums[..., FP] + sums[..., FN]))


def _count_error(sums: np.ndarray) -> np.ndarray:
    return mean_from_sums(sums[..., [COUNT_ERROR, CASE]])


_NOTHING = "no object in truth or answer"
_TRUTHS = "no object in the truth"
PQ = Metric(
    "pq", "Panoptic quality", "sum of overlap (IoU) of pairs above 0.5 / (pairs + half of the unpaired truths and answers)",
    "higher", undefined=_NOTHING, from_sums=_panoptic, synonyms=("PQ",),
)  # fmt: skip
SQ = Metric(
    "sq", "Segmentation quality", "mean overlap (IoU) of the pairs above 0.5", "higher", undefined="no pair above 0.5",
    from_sums=partial(share_from_sums, (IOU,), (TP,)), synonyms=("SQ",),
)  # fmt: skip
RQ = Metric(
    "rq", "Recognition quality", "pairs above 0.5 / (pairs + half of the unpaired truths and answers)", "higher",
    undefined=_NOTHING, from_sums=_recognition, synonyms=("RQ", "F1 of instances"),
)  # fmt: skip
MERGED_SHARE = replace(
    proportion(
        "merged", "Merged lesions", "truths run together with another by one answer that covers both / truths",
        (MERGED,), (WHOLE,), _TRUTHS,
    ),
    better="lower",
)  # fmt: skip
SPLIT_SHARE = replace(
    proportion("split", "Split lesions", "truths answered in two or more parts / truths", (SPLIT,), (WHOLE,), _TRUTHS),
    better="lower",
)  # fmt: skip
COUNT_ERROR_MEAN = Metric(
    "count_error", "Count error", "mean over cases of |number of answers - number of truths|", "lower", unit="per case",
    undefined="no case", from_sums=_count_error,
)  # fmt: skip
PANOPTIC = (PQ, SQ, RQ, COUNT_ERROR_MEAN, MERGED_SHARE, SPLIT_SHARE)


def panoptic_sums(truths: Sequence[Objects], answers: Sequence[Objects], class_name: str, of: str = "mask") -> np.ndarray:
    """(N, 9) sums per case, of called objects; of  "mask", or "box" for boxes"""
    rows = [
        panoptic_counts(of_class(truth, class_name), of_class(answer, class_name), of)
        for truth, answer in zip(truths, answers, strict=True)
    ]
    return np.array(rows, dtype=float).reshape(len(rows), COLUMNS)


def panoptic_counts(truth: Objects, answer: Objects, of: str = "mask") -> np.ndarray:
    """(9,) sums of one case and one class."""
    return counts_of(*intersections(truth, answer, of))


def counts_of(both: np.ndarray, true_size: np.ndarray, answer_size: np.ndarray) -> np.ndarray:
    """(T, A) voxels in both, (T,) and (A,) voxels of each -> (9,) sums."""
    pairs = paired(ratio(both, true_size[:, None] + answer_size[None] - both))
    merged, split = _merged(both, true_size), _split(both, answer_size)
    number, answered = both.shape
    hits = len(pairs)
    error = abs(answered - number)
    return np.array([pairs.sum(), hits, number - hits, answered - hits, merged.sum(), split.sum(), number, error, 1.0])


def merged_and_split(truth: Objects, answer: Objects, of: str = "mask") -> tuple[np.ndarray, np.ndarray]:
    """Two (T,) bool, for objects of one class: truths run together with another, and truths answered in parts."""
    both, true_size, answer_size = intersections(truth, answer, of)
    return _merged(both, true_size), _split(both, answer_size)


def paired(iou: np.ndarray) -> np.ndarray:
    """(T, A) -> (pairs,) overlaps of the pairs above one half, taken from the highest down, each truth and answer once."""
    rows, columns = np.nonzero(iou > LIMIT)
    used_truths, used_answers, overlap = set(), set(), []
    for k in np.argsort(-iou[rows, columns], kind="stable"):
        if rows[k] not in used_truths and columns[k] not in used_answers:
            used_truths.add(rows[k])
            used_answers.add(columns[k])
            overlap.append(iou[rows[k], columns[k]])
    return np.array(overlap, dtype=float)


def intersections(truth: Objects, answer: Objects, of: str = "mask") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(T, A) voxels in both, (T,) and (A,) voxels of each."""
    if of == "box":
        return box_intersection(truth.corners, answer.corners), box_size(truth.corners), box_size(answer.corners)
    here, there = pieces_of(truth), pieces_of(answer)
    return mask_intersection(here, there), mask_size(here), mask_size(there)


def _merged(both: np.ndarray, true_size: np.ndarray) -> np.ndarray:
    covered = both > 0.5 * true_size[:, None]
    return (covered & (covered.sum(0) >= 2)).any(1)


def _split(both: np.ndarray, answer_size: np.ndarray) -> np.ndarray:
    return (both > 0.5 * answer_size[None]).sum(1) >= 2
