"""How far a plain threshold gets on the phantom, so that no score on it is taken for evidence.

The thresholds are fitted on the very exams they are scored on: an optimistic reference, on purpose.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata

EDGES = np.arange(-200, 402, 4)  # HU
COLUMNS = ("body", "liver", "organ", "metastasis")


def histograms(hu: np.ndarray, structures: np.ndarray) -> dict[str, list[int]]:
    """Counts per 4 HU of one exam: body (above -200 HU), liver, the organ with its lesions, metastases.

    hu (Z, Y, X);  structures (Z, Y, X) values of STRUCTURES: 1 liver, 2 metastasis, 3 cyst, 4 haemangioma
    """
    masks = (
        None,
        (structures == 1) | (structures == 3) | (structures == 4),
        (structures >= 1) & (structures <= 4),
        structures == 2,
    )
    counts = {}
    for name, mask in zip(COLUMNS, masks, strict=True):
        values = hu if mask is None else hu[mask]
        counts[name] = [int(n) for n in np.histogram(values, EDGES)[0]]
    return counts


def liver_band(exams: Sequence[dict[str, list[int]]], totals: Sequence[int]) -> dict[str, Any]:
    """The fixed band of HU inside the body with the best mean Dice for the liver.

    totals  liver voxels of each exam, also those outside all bins
    """
    liver = _cumulated(exams, "liver")
    body = _cumulated(exams, "body")
    best: tuple[float, int, int] = (-1.0, 0, 0)
    for low in range(len(EDGES) - 1):
        hit, taken = liver[:, low + 1 :] - liver[:, low : low + 1], body[:, low + 1 :] - body[:, low : low + 1]
        dice = (2 * hit / np.maximum(taken + np.asarray(totals)[:, None], 1)).mean(0)
        high = int(dice.argmax())
        if dice[high] > best[0]:
            best = (float(dice[high]), low, low + 1 + high)
    return {"low_hu": int(EDGES[best[1]]), "high_hu": int(EDGES[best[2]]), "mean_dice": round(best[0], 4), "exams": len(exams)}


def metastasis_threshold(
    exams: Sequence[dict[str, list[int]]], totals: Sequence[int], voxel_ml: Sequence[float]
) -> dict[str, Any]:
    """The HU below which a voxel of the true liver is best called metastasis, and what its volume tells of the exam."""
    truth = np.asarray(totals)
    hit, taken = _cumulated(exams, "metastasis"), _cumulated(exams, "organ")
    ill = truth > 0
    result: dict[str, Any] = {"exams": len(exams), "exams_with_metastases": int(ill.sum())}
    if not ill.any():
        return {**result, "below_hu": None, "mean_dice": None, "auc_any_metastasis": None}
    dice = (2 * hit[ill] / np.maximum(taken[ill] + truth[ill, None], 1)).mean(0)
    best = int(dice.argmax())
    volume = taken[:, best] * np.asarray(voxel_ml)
    return {
        **result,
        "below_hu": int(EDGES[best]),
        "mean_dice": round(float(dice[best]), 4),
        "auc_any_metastasis": auc(volume, ill),
    }


def burden_threshold(exams: Sequence[dict[str, list[int]]], totals: Sequence[int], voxel_ml: Sequence[float]) -> dict[str, Any]:
    """The HU below which the volume of the true liver comes nearest to the volume of the metastases.

    totals    metastasis voxels of each exam, also those outside all bins
    voxel_ml  volume of a voxel of each exam
    """
    millilitres = np.asarray(voxel_ml)[:, None]
    error = np.abs(_cumulated(exams, "organ") - np.asarray(totals)[:, None]) * millilitres
    best = int(error.mean(0).argmin())
    return {"exams": len(exams), "below_hu": int(EDGES[best]), "mean_absolute_error_ml": round(float(error.mean(0)[best]), 2)}


def auc(values: np.ndarray, positive: np.ndarray) -> float | None:
    """Area under the ROC curve by ranks; None where one class is empty."""
    n, m = int(positive.sum()), int((~positive).sum())
    if n == 0 or m == 0:
        return None
    return round(float((rankdata(values)[positive].sum() - n * (n + 1) / 2) / (n * m)), 4)


def _cumulated(exams: Sequence[dict[str, list[int]]], column: str) -> np.ndarray:
    """(exams, edges) voxels below each edge (above -200 HU)."""
    counts = np.array([e[column] for e in exams], dtype=np.int64)
    return np.concatenate([np.zeros((len(exams), 1), np.int64), np.cumsum(counts, 1)], axis=1)
