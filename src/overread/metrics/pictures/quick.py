"""Scores for the training loop: few, fast, without intervals. A score that is not defined is left out, never NaN."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from overread.core.kinds import Kind, Picture
from overread.core.question import Question
from overread.metrics.pictures import errors, rows, structure
from overread.metrics.pictures.data_range import range_of, units_by_channel

KEYS = (rows.SSIM.key, rows.PSNR.key, rows.MAE.key)


def quick_picture_scores(question: Question, truths: Sequence[Kind], answers: Sequence[Kind]) -> dict[str, float]:
    """Means over cases by name: "ssim/flair" and "ssim", "psnr", "image_mae".

    truths, answers  one picture per case, in one order and on one grid
    """
    found: dict[str, list[float]] = {}
    for truth, answer in zip(truths, answers, strict=True):
        if not isinstance(truth, Picture) or not isinstance(answer, Picture):
            raise TypeError("pictures were expected")
        units = units_by_channel(truth.units, len(question.classes))
        for name, true, answered, unit in zip(question.classes, truth.array, answer.array, units, strict=True):
            for key, value in _channel(true, answered, unit).items():
                found.setdefault(f"{key}/{name}", []).append(value)
    means = {name: float(np.mean(values)) for name, values in found.items()}
    whole = {key: [v for name, v in means.items() if name.startswith(f"{key}/")] for key in KEYS}
    return {**means, **{key: float(np.mean(values)) for key, values in whole.items() if values}}


def _channel(truth: np.ndarray, answer: np.ndarray, units: str) -> dict[str, float]:
    span = range_of(truth, units)
    scores = {
        rows.SSIM.key: structure.ssim_scores(span.cut(truth), [span.cut(answer)], span.length)[0][0],
        rows.PSNR.key: errors.peak_signal_to_noise(truth, answer, span),
        rows.MAE.key: errors.mean_absolute_error(truth, answer),
    }
    return {key: score.value for key, score in scores.items() if score.value is not None and np.isfinite(score.value)}
