"""Voxels gathered around centres: from classes, heat of centres and offsets per voxel to objects."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from overread.core.kinds import Piece
from overread.tasks.objects import Found
from overread.tasks.segments import LEVELS, new_parts, of_pieces

HEAT = 0.1  # of a place that counts as a centre
APART = 5  # voxels along each axis in which one centre is the hottest place
FEWEST = 3  # voxels of an object: a centre that gathers fewer gives them to the next nearest


def grouped(raw: np.ndarray, classes: int) -> Found:
    """(K + 1 + 1 + D, Z, Y, X) -> objects, highest score first.

    raw  probabilities of the classes (background first), heat of centres 0 to 1, offsets in voxels ([z,] y, x) to the centre

    Within a connected part of the voxels of one likeliest class, each voxel joins the centre nearest to where its offset
    points. A centre is the hottest place of its surroundings with a heat of at least 0.1. A part without a centre is one
    object; a centre that gathers fewer than 3 voxels is none. A score is the mean probability of the class times the heat of
    the centre (without one: the highest heat in the part). Fainter parts (probability 0.2, then 0.05) that hold no object yet
    are objects of low score. Source: Cheng et al., Panoptic-DeepLab, CVPR 2020.
    """
    probabilities, heat, offsets = raw[: classes + 1], raw[classes + 1], raw[classes + 2 :]
    peaks = _peaks(heat, planar=len(offsets) == 2)
    likeliest = probabilities.argmax(0)
    pieces: list[Piece] = []
    scores: list[float] = []
    owners: list[int] = []
    for k, of_class in enumerate(probabilities[1:]):
        taken = np.zeros(likeliest.shape, bool)
        for level, mask in enumerate((likeliest == k + 1, *(of_class >= low for low in LEVELS))):
            for part in new_parts(mask, taken):
                taken[part.place] |= part.mask
                for piece, warmth in _divided(part, peaks, heat, offsets) if level == 0 else _whole(part, heat):
                    pieces.append(piece)
                    scores.append(float(of_class[piece.place][piece.mask].mean()) * warmth)
                    owners.append(k)
    return of_pieces(pieces, scores, owners)


def _peaks(heat: np.ndarray, *, planar: bool) -> np.ndarray:
    """(Z, Y, X) bool: the hottest place of its surroundings; of a plateau one place."""
    size = (1 if planar else APART, APART, APART)
    plateaus, _ = ndimage.label((heat == ndimage.maximum_filter(heat, size, mode="nearest")) & (heat >= HEAT), np.ones((3, 3, 3)))
    first = np.unique(plateaus, return_index=True)
    peaks = np.zeros(heat.size, bool)
    peaks[first[1][first[0] > 0]] = True
    return peaks.reshape(heat.shape)


def _whole(part: Piece, heat: np.ndarray) -> list[tuple[Piece, float]]:
    return [(part, float(heat[part.place][part.mask].max()))]


def _divided(part: Piece, peaks: np.ndarray, heat: np.ndarray, offsets: np.ndarray) -> list[tuple[Piece, float]]:
    """The objects of one connected part, each with the heat of its centre."""
    centres = np.argwhere(peaks[part.place] & part.mask)
    if len(centres) == 0:
        return _whole(part, heat)
    warmth = heat[part.place][tuple(centres.T)]
    voxels = np.argwhere(part.mask)
    aims = voxels.astype(np.float32)
    aims[:, 3 - len(offsets) :] += offsets[(slice(None), *part.place)][(slice(None), *voxels.T)].T
    while True:
        nearest = _nearest(aims, centres)
        counts = np.bincount(nearest, minlength=len(centres))
        if len(centres) == 1 or counts.min() >= FEWEST:
            break
        stay = np.arange(len(centres)) != int(counts.argmin())
        centres, warmth = centres[stay], warmth[stay]
    objects = []
    for number in range(len(centres)):
        mask = np.zeros(part.mask.shape, bool)
        mask[tuple(voxels[nearest == number].T)] = True
        cut = Piece.of(mask)
        z, y, x = (a + b for a, b in zip(part.start, cut.start, strict=True))
        objects.append((Piece((z, y, x), cut.mask), float(warmth[number])))
    return objects


def _nearest(aims: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(V, 3) places, (N, 3) centres -> (V,) number of the nearest centre."""
    best = np.full(len(aims), np.inf, np.float32)
    nearest = np.zeros(len(aims), int)
    for number, centre in enumerate(centres):
        away = ((aims - centre) ** 2).sum(1)
        nearest[away < best] = number
        best = np.minimum(best, away)
    return nearest
