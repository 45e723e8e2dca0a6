"""From a map of errors to regions that do not look like the normal cases, and to one number per case.

A network that learned from normal images alone makes of every image a normal one; where it fails, something may be abnormal, or
an edge, or noise. So a map is judged by the maps of normal cases: in units of what is usual there, and with a threshold that a
stated share of normal cases reaches.

Source of the idea: Schlegl et al., Med Image Anal 2019;54:30 (f-AnoGAN); Baur et al., Med Image Anal 2021;69:101952, who judge by
the residuals of normal cases too. Threshold: the split conformal quantile, Vovk, Gammerman and Shafer 2005.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import Instances, Piece
from overread.metrics.components import components
from overread.metrics.objects.sizes import longest_edge

NAME = "anomaly"  # class of the regions
MAD = 1.4826  # median absolute deviation to standard deviation of a normal distribution
LEAST_VOXELS = 4  # smaller regions are noise
STEPS = 24  # halvings of the range in which the level of a region is sought


@dataclass(frozen=True)
class Usual:
    """What errors are usual, place by place or everywhere alike.

    centre, spread  (Z, Y, X), or () where the normal cases differ in size; spread is above 0
    n_cases         normal cases that it rests on
    """

    centre: np.ndarray
    spread: np.ndarray
    n_cases: int

    def standardised(self, error: np.ndarray) -> np.ndarray:
        """(Z, Y, X) float32: how far beyond the usual, in its standard deviations."""
        if self.centre.shape not in ((), error.shape):
            raise OverreadError(
                f"A map of errors of size {error.shape} cannot be judged by normal cases of size {self.centre.shape}.",
                "prepare all cases to one size, or fit on normal cases of several sizes",
            )
        return np.asarray((error - self.centre) / self.spread, dtype=np.float32)


@dataclass(frozen=True)
class Alarm:
    """When a region is one: what reaches `threshold` in at least `voxels` touching voxels.

    rate        share of normal patients in whom any region may be raised
    n_patients  normal patients that it rests on
    """

    threshold: float
    voxels: int
    rate: float
    n_patients: int


@dataclass(frozen=True)
class Region:
    """One region of a case.

    piece        its voxels
    score        the highest level that it reaches in enough touching voxels, in usual standard deviations
    centre       (z, y, x) centre of gravity, index
    centre_mm    (x, y, z) LPS; None where the spacing is not known
    longest      longest edge of its box, mm where the spacing is known, else pixels
    volume_ml    None where the spacing is not known
    """

    piece: Piece
    score: float
    centre: tuple[float, float, float]
    centre_mm: tuple[float, float, float] | None
    longest: float
    volume_ml: float | None

    @property
    def voxels(self) -> int:
        return self.piece.voxels


def usual_errors(errors: Sequence[np.ndarray], smoothing: float = 1.0) -> Usual:
    """What is usual in the maps (Z, Y, X) of normal cases; by medians, so that a few abnormal ones among them do little harm.

    smoothing  sigma in voxels by which centre and spread are smoothed, as few cases tell little of one voxel

    Maps of one size are taken place by place: a heart border is harder to make than a lung. The spread of a place is never
    below a tenth of the usual spread, or a place where all normal cases agree would raise alarms for nothing.
    """
    if not errors:
        raise OverreadError("There is no normal case to say what is usual.", "give tuning cases that are normal")
    if len({error.shape for error in errors}) > 1:
        values = np.concatenate([error.ravel() for error in errors])
        centre = np.median(values)
        return Usual(np.asarray(centre), np.asarray(_positive(MAD * np.median(np.abs(values - centre)), values)), len(errors))
    stacked = np.stack(errors).astype(np.float64)
    around = [smoothing if size > 1 else 0.0 for size in stacked.shape[1:]]
    centre = ndimage.gaussian_filter(np.median(stacked, axis=0), around)
    spread = ndimage.gaussian_filter(MAD * np.median(np.abs(stacked - centre), axis=0), around)
    return Usual(centre, np.maximum(spread, _positive(0.1 * float(np.median(spread)), stacked)), len(errors))


def _positive(spread: float, values: np.ndarray) -> float:
    """A spread above 0, even of maps that are nearly the same everywhere."""
    return max(float(spread), 1e-3 * float(values.std()), 1e-12)


def case_score(beyond: np.ndarray, voxels: int = LEAST_VOXELS) -> float:
    """The highest level that a map (Z, Y, X) reaches in at least `voxels` touching voxels.

    One number per case for the ROC curve, and the same that alarms are raised by: a case is called by its most abnormal region.
    """
    if beyond.size < voxels:
        raise OverreadError(f"A map of {beyond.size} voxels has no region of {voxels}.", "ask for smaller regions")
    low, high = float(beyond.min()), float(np.partition(beyond.ravel(), -voxels)[-voxels])
    if _holds(beyond, high, voxels):
        return high
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if _holds(beyond, middle, voxels) else (low, middle)
    return float(beyond[beyond >= low].min())  # the value of a voxel, not where the halving ended


def _holds(beyond: np.ndarray, level: float, voxels: int) -> bool:
    found = components(beyond >= level).voxels
    return bool(len(found) and found.max() >= voxels)


def fit_alarm(normal: Sequence[np.ndarray], patients: Sequence[str], rate: float = 0.1, voxels: int = LEAST_VOXELS) -> Alarm:
    """The threshold that at most the share `rate` of new normal patients is expected to reach.

    normal    standardised maps of normal tuning cases
    patients  of each map: a patient counts once, with the highest of the scores

    Expected over draws of the tuning cases, if new patients are drawn as these were.
    """
    if not 0 < rate < 1:
        raise OverreadError(f"A false-alarm rate of {rate:g} is no share between 0 and 1.", "say 0.1, for example")
    highest: dict[str, float] = {}
    for patient, beyond in zip(patients, normal, strict=True):
        highest[patient] = max(highest.get(patient, -np.inf), case_score(beyond, voxels))
    count = len(highest)
    place = int(np.ceil((count + 1) * (1 - rate) - 1e-9))
    if place > count:
        least = int(np.ceil(1 / rate - 1e-9)) - 1
        raise OverreadError(
            f"{count} normal patients are too few for a false-alarm rate of {rate:g}; {least} are the least.",
            "state a higher rate, or add normal tuning cases",
        )
    scores = np.sort(list(highest.values()))
    return Alarm(float(np.nextafter(scores[place - 1], np.inf)), voxels, rate, count)


def regions(beyond: np.ndarray, alarm: Alarm, grid: Grid) -> tuple[Region, ...]:
    """The regions of a standardised map (Z, Y, X) that raise the alarm, the most abnormal first."""
    found = components(beyond >= alarm.threshold)
    if found.box is None:
        return ()
    start = np.array([place.start for place in found.box])
    made = []
    for number in np.flatnonzero(found.voxels >= alarm.voxels) + 1:
        inside = found.labels == number
        score = case_score(np.where(inside, beyond[found.box], alarm.threshold - 1), alarm.voxels)
        piece = Piece.of(inside)
        first = (piece.start[0] + int(start[0]), piece.start[1] + int(start[1]), piece.start[2] + int(start[2]))
        made.append(region_of(Piece(first, piece.mask), score, grid))
    return tuple(sorted(made, key=lambda region: (-region.score, region.piece.start)))


def region_of(piece: Piece, score: float, grid: Grid) -> Region:
    """Place and size of voxels on their grid."""
    z, y, x = (float(n) for n in np.argwhere(piece.mask).mean(0) + np.array(piece.start))
    corners = np.array([[n - 0.5 for n in piece.start], np.add(piece.start, piece.mask.shape) - 0.5])
    millimetres = grid.to_world(np.array([z, y, x])) if grid.spacing_known else None
    return Region(
        piece,
        score,
        (z, y, x),
        None if millimetres is None else (float(millimetres[0]), float(millimetres[1]), float(millimetres[2])),
        float(longest_edge(corners[None], grid)[0]),
        piece.voxels * grid.voxel_ml if grid.spacing_known and not grid.is_planar else None,
    )


def as_objects(found: Sequence[Region], grid: Grid) -> Instances:
    """The regions as found objects, so that they are scored as any others are."""
    scores = np.array([region.score for region in found], dtype=float)
    return Instances(tuple(region.piece for region in found), (NAME,) * len(found), scores, grid)
