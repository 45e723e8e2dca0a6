"""When is a drawn mask unusual? Every rule compares a case with the other cases of its cohort: lesions may be many, livers not.

A rule takes the non-empty masks of one structure and the number of structures looked at, and gives what it flags.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from overread.audit.masks.facts import MaskFacts

LEVEL = 0.01  # how often a clean cohort may be told of an unusual volume, all structures together
FEWEST = 10  # masks from which the usual can be learned
USUAL = 0.8  # of the masks: the cohort's way
ODD = 0.5  # up to this share of the masks, a peculiarity is a case's and not the cohort's
OFF_CENTRE = 0.1  # of the half width of the body: a median nearer to the middle is neither left nor right
ONE_SIDED = 0.9
OUTSIDE, OUTSIDE_USUAL = 0.2, 0.05  # share of a mask around the body that is flagged, and that the cohort's median may have
THICK, FEW_SLICES = 8, 3  # an image of 8 slices in which a structure usually fills 3
COPIED = 0.4  # share of neighbouring outlines that are equal
LEAST_Z = 3.5


@dataclass(frozen=True)
class Flagged:
    """What a rule found: the masks with a number each, worst first.

    usual  it is the cohort's way of drawing, rather than a slip in some cases
    """

    masks: tuple[tuple[MaskFacts, float], ...]
    usual: bool = False


def _flagged(pairs: Sequence[tuple[MaskFacts, float]], of: int) -> Flagged | None:
    if not pairs:
        return None
    worst_first = tuple(sorted(pairs, key=lambda pair: (-abs(pair[1]), pair[0].case_id)))
    return Flagged(worst_first, len(pairs) > ODD * of)


def islands(masks: Sequence[MaskFacts], structures: int) -> Flagged | None:
    """Small parts away from the main one, of a structure that is one piece in the cohort; the number is voxels in islands."""
    if len(masks) < FEWEST or np.mean([m.parts == 1 for m in masks]) < USUAL:
        return None
    return _flagged([(m, float(m.island_voxels)) for m in masks if m.islands], len(masks))


def holes(masks: Sequence[MaskFacts], structures: int) -> Flagged | None:
    """Background enclosed by the structure; the number is its voxels."""
    return _flagged([(m, float(m.hole_voxels)) for m in masks if m.hole_voxels], len(masks))


def wrong_side(masks: Sequence[MaskFacts], structures: int) -> Flagged | None:
    """As if mirrored; the number is the place, +1 the edge of the body at the patient's left.

    The structure must lie on one side by the cohort: its median clearly off the middle, nearly all on that side. A case is
    flagged that lies beyond half the mirrored median, and further from the median than chance lets it (see `robust_z`).
    """
    if len(masks) < FEWEST:
        return None
    side = np.array([m.side for m in masks])
    usual = float(np.median(side))
    if abs(usual) < OFF_CENTRE or np.mean(side * usual > 0) < ONE_SIDED:
        return None
    mirrored = (side * np.sign(usual) < -abs(usual) / 2) & (np.abs(robust_z(side)) > chance_limit(len(masks), structures))
    return _flagged([(m, m.side) for m, flag in zip(masks, mirrored, strict=True) if flag], len(masks))


def outside(masks: Sequence[MaskFacts], structures: int) -> Flagged | None:
    """In the dark around the body; the number is the share of the mask."""
    known = [m for m in masks if np.isfinite(m.outside)]
    if not known or (len(known) >= FEWEST and np.median([m.outside for m in known]) > OUTSIDE_USUAL):
        return None  # the structure lies there, or the body was not found
    return _flagged([(m, m.outside) for m in known if m.outside > OUTSIDE], len(known))


def volume(masks: Sequence[MaskFacts], structures: int) -> Flagged | None:
    """Far larger or smaller than the others; the number is a robust z score of the logarithm of the volume.

    Flagged beyond what normal logarithms reach once in a hundred cohorts, and never below 3.5 (Iglewicz and Hoaglin 1993).
    """
    if len(masks) < FEWEST:
        return None
    far, limit = robust_z(np.log([m.volume for m in masks])), chance_limit(len(masks), structures)
    return _flagged([(m, float(z)) for m, z in zip(masks, far, strict=True) if abs(z) > limit], len(masks))


def robust_z(values: np.ndarray) -> np.ndarray:
    """(N,) robust z: distance from the median over 1.4826 times the median absolute distance; 0 where all are alike."""
    distance = values - np.median(values)
    spread = 1.4826 * float(np.median(np.abs(distance)))
    return np.asarray(distance / spread if spread > 0 else np.zeros_like(distance))


def chance_limit(count: int, structures: int) -> float:
    """The robust z that normal values of a clean cohort pass with probability `LEVEL`, all structures together.

    Student's quantile, as the spread is itself estimated: the median absolute deviation is as sure as the standard deviation
    of 37 % of the cases.
    """
    return max(LEAST_Z, float(stats.t.isf(LEVEL / (2 * count * structures), 0.37 * (count - 1))))


def gaps(masks: Sequence[MaskFacts], structures: int) -> Flagged | None:
    """Slices without outline where the structure goes on below and above; the number is those slices."""
    return _flagged([(m, float(m.gaps)) for m in masks if m.gaps], len(masks))


def one_slice(masks: Sequence[MaskFacts], structures: int) -> Flagged | None:
    """Drawn on a single slice of many, where the others fill several; the number is the slices of the image."""
    deep = [m for m in masks if m.depth >= THICK]
    if len(deep) < FEWEST or np.median([m.slices for m in deep]) < FEW_SLICES:
        return None
    return _flagged([(m, float(m.depth)) for m in deep if m.slices == 1], len(deep))


def copied(masks: Sequence[MaskFacts], structures: int) -> Flagged | None:
    """The same outline on slice after slice, like stairs; the number is the share of equal neighbours."""
    return _flagged([(m, m.repeated) for m in masks if np.isfinite(m.repeated) and m.repeated >= COPIED], len(masks))
