"""How well the high values of a map fall on what was drawn: four measures, and two maps that know nothing.

Pointing game: Zhang et al., IJCV 2018;126:1084 (here without a margin). Energy inside: Wang et al., CVPR Workshops 2020
(Score-CAM). IoU: Saporta et al., Nat Mach Intell 2022;4:867.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from overread.batches.objects import boxes_between
from overread.explanation.asked import Asked

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)  # of the voxels of a map that are taken for what it shows
WIDTH = 0.25  # standard deviation of the map that always points to the middle, as a share of the image


@dataclass(frozen=True)
class Located:
    """One map against one drawing.

    energy    share of the map's sum that lies inside, 0 to 1
    slice     whether the slice in which its sum is largest holds any of the drawing; where several are, the share of them that
              do; None in a plane
    pointing  whether its highest voxel lies inside; where several are highest, the share of them that do
    overlaps  intersection over union with the highest voxels, for each of `SHARES`
    """

    energy: float
    pointing: float
    overlaps: tuple[float, ...]
    slice: float | None = None


def locate(values: np.ndarray, drawn: np.ndarray) -> Located:
    """values (Z, Y, X), of a signed map what speaks for the target; drawn (Z, Y, X) bool, not empty.

    An empty map has all its voxels equally high.
    """
    shown = np.clip(values.astype(np.float64), 0, None)
    if shown.max() <= 0:
        shown = np.ones_like(shown)
    highest = shown == shown.max()
    overlaps = tuple(_overlap(shown >= max(np.quantile(shown, 1 - share), np.nextafter(0, 1)), drawn) for share in SHARES)
    pointing = float((highest & drawn).sum() / highest.sum())
    return Located(float(shown[drawn].sum() / shown.sum()), pointing, overlaps, _fullest(shown, drawn))


def _fullest(shown: np.ndarray, drawn: np.ndarray) -> float | None:
    if len(shown) == 1:
        return None
    sums = shown.sum((1, 2))
    fullest = sums >= sums.max() * (1 - 1e-6)  # sums of equal slices differ by rounding
    return float((fullest & drawn.any((1, 2))).sum() / fullest.sum())


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def even(asked: Asked) -> np.ndarray:
    """(Z, Y, X) of the window: 1 in the image, 0 in what was put around it to fill the window."""
    return _product([(place >= low) & (place <= high) for place, low, high in _along(asked)])


def middle(asked: Asked) -> np.ndarray:
    """(Z, Y, X) of the window: a Gaussian in the middle of the whole image, the map of one who has not looked."""
    axes = [np.exp(-0.5 * ((place - (low + high) / 2) / (WIDTH * (high - low))) ** 2) for place, low, high in _along(asked)]
    return _product(axes) * even(asked)


def _along(asked: Asked) -> list[tuple[np.ndarray, float, float]]:
    """For z, y and x: where the window's voxels lie on the prepared grid, and where the image begins and ends there."""
    source = asked.prepared.source
    faces = np.array([[[-0.5] * 3, np.array(source.shape) - 0.5]])
    low, high = boxes_between(faces, source, asked.prepared.grid)[0]
    places = [np.arange(size) + start for start, size in zip(asked.start, asked.patch, strict=True)]
    return [(place, float(a), float(b)) for place, a, b in zip(places, low, high, strict=True)]


def _product(axes: Sequence[np.ndarray]) -> np.ndarray:
    z, y, x = (axis.astype(np.float64) for axis in axes)
    return np.asarray(z[:, None, None] * y[None, :, None] * x[None, None, :], dtype=np.float32)


def crossed_overlaps(located: Sequence[Located | None], patients: Sequence[str]) -> tuple[list[float | None], list[float | None]]:
    """IoU of every case at the share of voxels that serves the other half of the patients best; and that share.

    patients  of the cases; a case is never scored with a share that was chosen on itself or on its patient
    """
    side = {name: k % 2 for k, name in enumerate(sorted({p for p, each in zip(patients, located, strict=True) if each}))}
    best = [_best([each for p, each in zip(patients, located, strict=True) if each and side[p] == half]) for half in (0, 1)]
    scores: list[float | None] = []
    shares: list[float | None] = []
    for patient, each in zip(patients, located, strict=True):
        chosen = None if each is None else best[1 - side[patient]]
        scores.append(None if each is None or chosen is None else each.overlaps[chosen])
        shares.append(None if chosen is None else SHARES[chosen])
    return scores, shares


def _best(located: Sequence[Located]) -> int | None:
    return int(np.argmax(np.mean([each.overlaps for each in located], axis=0))) if located else None
