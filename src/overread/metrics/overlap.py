"""Metrics of overlap between two masks, from three counts of voxels; no spacing is needed.

The rule for empty masks, everywhere in this room:
    empty in truth and answer      not defined; the case is a true negative and is counted as one
    something in truth, no answer  a miss: overlap 0; distances do not exist and the miss is counted
    something in answer, no truth  a false positive: overlap 0; distances do not exist and it is counted
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from overread.core.score import Score
from overread.metrics.metric import Metric, mean_from_sums

BOTH_EMPTY = "empty in truth and answer"
MISSED = "missed: nothing in the answer"
FALSE_POSITIVE = "false positive: nothing in the truth"


@dataclass(frozen=True)
class Counts:
    """Voxels of the truth, of the answer, and of both."""

    truth: int
    answer: int
    both: int

    @property
    def absence(self) -> str:
        """Why there is nothing to measure a distance between; "" where both masks hold something."""
        if self.truth and self.answer:
            return ""
        return (MISSED if self.truth else FALSE_POSITIVE) if self.truth or self.answer else BOTH_EMPTY


def count(truth: np.ndarray, answer: np.ndarray) -> Counts:
    """truth, answer  (Z, Y, X) bool on one grid."""
    return Counts(int(np.count_nonzero(truth)), int(np.count_nonzero(answer)), int(np.count_nonzero(truth & answer)))


def dice(counts: Counts) -> Score:
    """2 |truth and answer| / (|truth| + |answer|). Definition dice/1."""
    size = counts.truth + counts.answer
    return Score(2 * counts.both / size) if size else Score(None, BOTH_EMPTY)


def iou(counts: Counts) -> Score:
    """|truth and answer| / |truth or answer|. Definition iou/1."""
    size = counts.truth + counts.answer - counts.both
    return Score(counts.both / size) if size else Score(None, BOTH_EMPTY)


def voxel_sensitivity(counts: Counts) -> Score:
    """|truth and answer| / |truth|. Definition voxel_sensitivity/1."""
    return Score(counts.both / counts.truth) if counts.truth else Score(None, counts.absence)


def voxel_ppv(counts: Counts) -> Score:
    """|truth and answer| / |answer|. Definition voxel_ppv/1."""
    return Score(counts.both / counts.answer) if counts.answer else Score(None, counts.absence)


def volume_error_ml(counts: Counts, voxel_ml: float | None, no_volume: str = "") -> Score:
    """(|answer| - |truth|) in ml; signed. Definition volume_error_ml/1.

    voxel_ml   volume of a voxel; None where it is not known
    no_volume  why it is not known
    """
    if counts.absence == BOTH_EMPTY:
        return Score(None, BOTH_EMPTY)
    if voxel_ml is None:
        return Score(None, no_volume)
    return Score((counts.answer - counts.truth) * voxel_ml)


def volume_error_percent(counts: Counts) -> Score:
    """(|answer| - |truth|) / |truth| in percent; signed. Definition volume_error_percent/1."""
    return Score(100.0 * (counts.answer - counts.truth) / counts.truth) if counts.truth else Score(None, counts.absence)


def absolute_volume_error_percent(counts: Counts) -> Score:
    """The same without its sign, so that too much and too little do not cancel. Definition absolute_volume_error_percent/1."""
    signed = volume_error_percent(counts)
    return Score(None, signed.reason) if signed.value is None else Score(abs(signed.value))


DICE = Metric(
    "dice", "Dice", "2 |T and A| / (|T| + |A|), mean over cases", "higher",
    synonyms=("DSC", "F1 of voxels"), from_sums=mean_from_sums,
)  # fmt: skip
IOU = Metric(
    "iou", "Intersection over union", "|T and A| / |T or A|, mean over cases", "higher",
    synonyms=("Jaccard",), from_sums=mean_from_sums,
)  # fmt: skip
VOXEL_SENSITIVITY = Metric(
    "voxel_sensitivity", "Voxel sensitivity", "|T and A| / |T|, mean over cases", "higher",
    synonyms=("recall",), from_sums=mean_from_sums,
)  # fmt: skip
VOXEL_PPV = Metric(
    "voxel_ppv", "Voxel positive predictive value", "|T and A| / |A|, mean over cases", "higher",
    synonyms=("precision",), from_sums=mean_from_sums,
)  # fmt: skip
VOLUME_ERROR_ML = Metric(
    "volume_error_ml", "Volume error", "|A| - |T|, mean over cases", "zero", unit="ml", from_sums=mean_from_sums
)
VOLUME_ERROR_PERCENT = Metric(
    "volume_error_percent",
    "Relative volume error",
    "100 (|A| - |T|) / |T|, mean over cases",
    "zero",
    unit="%",
    from_sums=mean_from_sums,
)
ABSOLUTE_VOLUME_ERROR_PERCENT = Metric(
    "absolute_volume_error_percent", "Absolute relative volume error", "100 | |A| - |T| | / |T|, mean over cases", "lower",
    unit="%", from_sums=mean_from_sums,
)  # fmt: skip
