"""What was read, laid beside the truth: the rival that does nothing, whose scores stand beside those of every answer.

restore, and autoencoders that are shown a degraded image   the channel as it was read
translate    the channel of the same name where it was read, else the only one; in arbitrary units it is first brought to
             the truth's scale, background to background with the factor that fits best, as sequences of magnetic resonance share
             no scale. It is fitted to the truth itself, which favours what was read: no gain is owed to a change of scale.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from overread.core.image import Image
from overread.core.kinds import Picture
from overread.core.question import Question
from overread.metrics.pictures.data_range import units_by_channel

ARBITRARY = "a.u."
BACKGROUND = 0.5  # percentile


def read_beside(question: Question, image: Image, truth: Picture) -> dict[str, np.ndarray | str]:
    """Channel of the answer -> (Z, Y, X) what was read in its place, or why nothing can be compared.

    image  what was read
    """
    if image.grid.shape != truth.grid.shape:
        return dict.fromkeys(question.classes, "what was read has other voxels than the truth")
    units = units_by_channel(truth.units, len(question.classes))
    return {
        name: _read_as(name, question, image, true, unit)
        for name, true, unit in zip(question.classes, truth.array, units, strict=True)
    }


def _read_as(name: str, question: Question, image: Image, truth: np.ndarray, units: str) -> np.ndarray | str:
    channel = name if name in image.channels else image.channels[0]
    if channel != name and len(image.channels) > 1:
        return f"several channels were read, and none of them is {name}"
    if channel in image.source.get("missing_channels", ()):
        return f"this exam lacks {channel}"
    number = image.channels.index(channel)
    own_units = units_by_channel(image.units, len(image.channels))[number]
    if own_units != units:
        return f"what was read is in {own_units}, the truth in {units}"
    own = image.array[number].astype(np.float32)
    return on_its_scale(own, truth) if is_scaled(question, units) else own


def is_scaled(question: Question, units: str) -> bool:
    return question.task == "translate" and units == ARBITRARY


def on_its_scale(read: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(Z, Y, X) both: background to background, and the one factor between that has the least squared error.

    A line with a free intercept would have less error yet, and lift the background off its level, which SSIM punishes most.
    """
    dark, true_dark = (float(np.percentile(one, BACKGROUND)) for one in (read, truth))
    above = read.astype(np.float64) - dark
    size = float(np.square(above).sum())
    factor = float((above * (truth.astype(np.float64) - true_dark)).sum()) / size if size > 0 else 0.0
    return np.asarray(true_dark + factor * above, np.float32)


def read_rule(question: Question, scaled: bool, reasons: Mapping[str, int]) -> str:
    """One sentence for the list of rules."""
    words = "'Of what was read' is the score of the image that the model was given; a gain is the difference, case by case"
    if scaled:
        words += (
            ". In arbitrary units what was read is first laid on the scale of each truth, background to background with the "
            "factor that fits best: it is fitted to the truth, so no gain is owed to a change of scale"
        )
    if reasons:
        words += ". Not compared: " + "; ".join(f"{why} ({n} cases)" for why, n in reasons.items())
    return words
