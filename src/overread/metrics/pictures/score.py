"""All scores of one case: one answered image against its truth, channel by channel, and what was read against the same truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from overread.core.errors import OverreadError
from overread.core.kinds import Picture
from overread.core.score import Score
from overread.metrics.pictures import errors, rows, structure
from overread.metrics.pictures.body import body_of
from overread.metrics.pictures.data_range import DataRange, range_of, units_by_channel

BODY = "body"
Scores = dict[str, Score]


@dataclass(frozen=True)
class ChannelScores:
    """The scores of one channel in one case.

    scores                    metric key -> Score
    within                    structure -> metric key -> Score, of the voxels of that structure alone
    truth_mean, answer_mean   mean intensity, in `units`
    units                     of the channel: "HU", "a.u." ...
    """

    scores: Scores
    truth_mean: float
    answer_mean: float
    units: str
    within: Mapping[str, Scores] = field(default_factory=dict)


def score_picture(
    truth: Picture,
    answer: Picture,
    names: tuple[str, ...],
    read: Mapping[str, np.ndarray | str] | None = None,
    structures: Mapping[str, np.ndarray] | None = None,
) -> dict[str, ChannelScores]:
    """Channel -> its scores.

    truth, answer  on one grid, in one unit
    names          of the channels, in their order
    read           channel -> what was read in its place (Z, Y, X), or why nothing can be compared; None where nothing is to be
    structures     name -> (Z, Y, X) bool, to be scored by themselves
    """
    if truth.array.shape != answer.array.shape:
        raise OverreadError(
            f"Truth and answer have different shapes, {truth.array.shape} and {answer.array.shape} (channels, slices, rows, "
            "columns).",
            "let the model answer on the grid of the image",
        )
    units = units_by_channel(truth.units, len(names))
    return {
        name: score_channel(true, answered, unit, None if read is None else read[name], structures)
        for name, true, answered, unit in zip(names, truth.array, answer.array, units, strict=True)
    }


def score_channel(
    truth: np.ndarray,
    answer: np.ndarray,
    units: str,
    read: np.ndarray | str | None = None,
    structures: Mapping[str, np.ndarray] | None = None,
) -> ChannelScores:
    """truth, answer, read  (Z, Y, X) in `units`; for the others see `score_picture`."""
    regions = {BODY: body_of(truth, units), **(structures or {})}
    compared = [answer, read] if isinstance(read, np.ndarray) else [answer]
    found = _all(truth, compared, units, regions)
    whole, within = found[0]
    if read is not None:
        whole |= _beside(whole, read if isinstance(read, str) else found[1][0])
    true_mean, answer_mean = (float(one.mean(dtype=np.float64)) for one in (truth, answer))
    return ChannelScores(whole, true_mean, answer_mean, units, within)


def _all(
    truth: np.ndarray, others: list[np.ndarray], units: str, regions: Mapping[str, np.ndarray]
) -> list[tuple[Scores, dict[str, Scores]]]:
    """Scores of the whole image with those of the body, and by structure, of each of the others."""
    span = range_of(truth, units)
    cut, cuts = span.cut(truth), [span.cut(other) for other in others]
    similar = structure.both_scores(cut, cuts, span.length, regions)
    found = []
    for other, (ssim, inside, ms_ssim) in zip(others, similar, strict=True):
        parts = {name: _of_region(truth[mask], other[mask], span, inside[name]) for name, mask in regions.items()}
        body = parts.pop(BODY)
        whole = {
            **_of_region(truth, other, span, ssim),
            rows.RMSE.key: errors.root_mean_squared_error(truth, other),
            rows.NMSE.key: errors.normalised_squared_error(truth, other, units),
            rows.MS_SSIM.key: ms_ssim,
            rows.BODY_MAE.key: body[rows.MAE.key],
            rows.BODY_PSNR.key: body[rows.PSNR.key],
            rows.BODY_SSIM.key: body[rows.SSIM.key],
        }
        found.append((whole, parts))
    return found


def _of_region(truth: np.ndarray, answer: np.ndarray, span: DataRange, ssim: Score) -> Scores:
    return {
        rows.SSIM.key: ssim,
        rows.PSNR.key: errors.peak_signal_to_noise(truth, answer, span),
        rows.MAE.key: errors.mean_absolute_error(truth, answer),
    }


def _beside(answered: Scores, read: Scores | str) -> Scores:
    """The scores of what was read, and what was gained over them."""
    beside: Scores = {}
    for metric in rows.SCORES:
        key, mine = metric.key, answered[metric.key]
        other = Score(None, read) if isinstance(read, str) else read[key]
        beside[key + rows.READ] = other
        if mine.value is None or other.value is None:
            beside[key + rows.GAIN] = Score(None, mine.reason or other.reason)
        else:
            sign = -1.0 if metric.better == "lower" else 1.0
            beside[key + rows.GAIN] = Score(sign * (mine.value - other.value))
    return beside
