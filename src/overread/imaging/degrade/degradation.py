"""What a degradation is: a change of an image, the amounts it is tried at, and the images it makes sense for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from overread.core.image import Image
from overread.core.kinds import LabelMap

Change = Callable[[Image, float, np.random.Generator], Image]
TurnBack = Callable[[LabelMap, float, np.random.Generator], LabelMap]

MR_CHANNELS = {"mr", "mri", "t1", "t1w", "t1c", "t1ce", "t1gd", "t2", "t2w", "flair", "pd", "pdw", "dwi", "adc", "swi"}


@dataclass(frozen=True)
class Level:
    """One amount: the number that the change is given, and how it is said."""

    value: float
    words: str


@dataclass(frozen=True)
class Degradation:
    """One way in which an image can be worse.

    name       as on the command line
    title      as in a table
    what       what is done, in a sentence
    source     where the model of the fault is from; "" where there is nothing to cite
    levels     an image of the cohort -> the amounts to try, in the units of such images
    change     image, amount, random numbers -> the degraded image: same grid, same type, same channels
    obstacle   an image of the cohort -> why this makes no sense for it; "" where it does
    turn_back  where the change moves the patient: brings an answer back to where the truth lies
    """

    name: str
    title: str
    what: str
    levels: Callable[[Image], tuple[Level, ...]]
    change: Change
    source: str = ""
    obstacle: Callable[[Image], str] = lambda image: ""
    turn_back: TurnBack | None = None


def random_of(name: str, case_id: str) -> np.random.Generator:
    """Random numbers that belong to one degradation of one case: the same in every run, and at every amount."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(f"{name}/{case_id}".encode()).digest()[:8], "big"))


def is_mr(image: Image) -> bool:
    """Whether the file, or the name of the channel, says that this is magnetic resonance."""
    modality = str(image.source.get("modality") or "").upper()
    return modality == "MR" if modality else any(name.lower() in MR_CHANNELS for name in image.channels)


def length_words(image: Image, value: float, what: str) -> str:
    """``sigma 2 mm``; pixels where the format carries no spacing."""
    return f"{what} {value:g} {'mm' if image.grid.spacing_known else 'pixels'}"
