"""One image that any program made, and the true one: opened when they are needed, on the same voxels, in one unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from overread.cohort.load import open_channels
from overread.cohort.place import place_layers
from overread.core.case import ImageReference
from overread.core.errors import OverreadError, Refused
from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.kinds import Picture
from overread.core.question import Question
from overread.evaluation.answered import NO_FOLD
from overread.evaluation.pictures.pair import Opened
from overread.evaluation.pictures.read import ARBITRARY, is_scaled, read_beside
from overread.metrics.pictures.data_range import units_by_channel

Channels = tuple[ImageReference, ...]


@dataclass(frozen=True)
class ForeignPicture:
    """The images of one case, opened when they are needed; see `overread.evaluation.pictures.pair.Pair`.

    truth, answer, given   references with the folder that they are relative to; given is what the model read, or None
    """

    case_id: str
    patient_id: str
    truth: tuple[Path, Channels]
    answer: tuple[Path, Channels]
    question: Question
    given: tuple[Path, Channels] | None = None
    fold: int = NO_FOLD

    def load(self) -> Opened:
        names = self.question.classes
        true = _opened(f"the truth of {self.case_id}", *self.truth, names)
        made = _opened(f"the answer to {self.case_id}", *self.answer, names)
        units = _units(self.case_id, true, made, len(names))
        placed = made.on(true.grid)
        picture = Picture(np.asarray(true.array, np.float32), true.grid, units)
        answer = Picture(np.asarray(placed, np.float32), true.grid, units)
        if self.given is None:
            return Opened(picture, answer)
        given = _opened(f"what was read of {self.case_id}", *self.given, ()).image
        each = units_by_channel(units, len(names))
        scaled = any(is_scaled(self.question, unit) for unit in each)
        return Opened(picture, answer, read_beside(self.question, given, picture), {}, scaled)


@dataclass(frozen=True)
class _Pixels:
    """An image, and how messages call it. is_level: it came as a picture whose numbers are levels of a file."""

    what: str
    image: Image
    is_level: bool

    @property
    def array(self) -> np.ndarray:
        return self.image.array

    @property
    def grid(self) -> Grid:
        return self.image.grid

    def on(self, grid: Grid) -> np.ndarray:
        """(C, Z, Y, X) where the voxels are those of the truth; refused where not."""
        return _placed(self.what, self.array, self.grid, grid)


def _opened(what: str, folder: Path, references: Channels, names: Sequence[str]) -> _Pixels:
    """names  of the channels that are expected; empty where all are wanted"""
    parts = [open_channels(what, [reference], folder) for reference in references]
    first = parts[0]
    arrays = [first.array, *(_placed(what, part.array, part.grid, first.grid) for part in parts[1:])]
    array, channels = np.concatenate(arrays), tuple(name for part in parts for name in part.channels)
    if names and len(array) != len(names):
        raise OverreadError(
            f"{what} has {len(array)} channels ({', '.join(channels)}); expected {len(names)}: {', '.join(names)}.",
            "give images with the same channels; name these, in order, with --class",
        )
    units = [unit for part in parts for unit in units_by_channel(part.units, len(part.channels))]
    joined = units[0] if len(set(units)) == 1 else ", ".join(units)
    image = Image(array, first.grid, joined, channels, first.source)
    return _Pixels(what, image, all(reference.format == "raster" for reference in references))


def _placed(what: str, array: np.ndarray, source: Grid, target: Grid) -> np.ndarray:
    try:
        return place_layers(array, source, target, what=what)
    except Refused as refusal:
        sizes = [" x ".join(map(str, grid.shape)) for grid in (source, target)]
        steps = [" x ".join(f"{n:.3g}" for n in grid.spacing) if grid.spacing_known else "unknown" for grid in (source, target)]
        how = f"{sizes[0]} voxels against {sizes[1]}" if sizes[0] != sizes[1] else f"{sizes[0]} voxels both, in other places"
        raise Refused(
            "answer-on-another-grid",
            f"{what} does not have the voxels of its truth: {how} (Z, Y, X); spacing {steps[0]} against {steps[1]} mm.",
            "write both on one grid; an image that is resampled here would be scored for the resampling",
        ) from refusal


def _units(case: str, true: _Pixels, made: _Pixels, channels: int) -> str:
    """The unit of both, by channel: that of the one that names it; refused where both do, and differ."""
    pairs = zip(units_by_channel(true.image.units, channels), units_by_channel(made.image.units, channels), strict=True)
    found = [_unit(case, own, other, true, made) for own, other in pairs]
    return found[0] if len(set(found)) == 1 else ", ".join(found)


def _unit(case: str, own: str, other: str, true: _Pixels, made: _Pixels) -> str:
    if own != other and (true.is_level or made.is_level or ARBITRARY not in (own, other)):
        levels = [f"in {unit}" if unit != ARBITRARY else "in levels of a picture" for unit in (own, other)]
        raise Refused(
            "other-units",
            f"{case}: the truth is {levels[0]}, the answer {levels[1]}; their difference means nothing.",
            "write both in one unit, as NIfTI or DICOM",
        )
    if true.is_level and made.is_level and true.array.dtype != made.array.dtype:
        raise Refused(
            "other-levels",
            f"{case}: the truth has levels of {true.array.dtype}, the answer of {made.array.dtype}: other black and white.",
            "write both with the same number of bits",
        )
    return own if own != ARBITRARY else other
