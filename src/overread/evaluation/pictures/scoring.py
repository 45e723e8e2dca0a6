"""Images are opened and scored one case at a time, so memory stays flat; on several processors where it takes long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from overread.cohort.progress import Progress, work_through
from overread.core.kinds import Picture
from overread.evaluation.pictures.case import PictureCase
from overread.evaluation.pictures.pair import Pair
from overread.metrics.pictures.data_range import range_of, units_by_channel
from overread.metrics.pictures.score import score_picture

DOING = "scoring images"


def score_pictures(pairs: Sequence[Pair], names: tuple[str, ...], progress: Progress | None = None) -> list[PictureCase]:
    """Score every case, in the given order; one that was not answered is answered as wrong as can be.

    names  of the channels, as in the question
    """
    return list(work_through(partial(score_one, names), pairs, DOING, progress))


def score_one(names: tuple[str, ...], pair: Pair) -> PictureCase:
    opened = pair.load()
    answer = worst_picture(opened.truth) if opened.answer is None else opened.answer
    found = score_picture(opened.truth, answer, names, opened.read, opened.structures)
    return PictureCase(pair.case_id, pair.patient_id, found, pair.fold, opened.read_scaled)


def worst_picture(truth: Picture) -> Picture:
    """What a case that was not answered is taken to have answered: everywhere the lowest or the highest intensity of the range,
    whichever is farther from the truth."""
    array = np.empty(truth.array.shape, np.float32)
    for k, (channel, units) in enumerate(zip(truth.array, units_by_channel(truth.units, len(truth.array)), strict=True)):
        span = range_of(channel, units)
        array[k] = np.where(channel - span.low > span.high - channel, span.low, span.high)
    return replace(truth, array=array)
