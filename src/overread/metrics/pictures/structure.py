"""Structural similarity: do brightness, contrast and pattern agree, window by window?

SSIM: Wang et al., IEEE Trans Image Process 2004;13:600. MS-SSIM: Wang, Simoncelli and Bovik, Asilomar 2003:1398.
Gaussian windows of 11 voxels a side with sigma 1.5, constants 0.01 and 0.03, as in the papers; in volumes the window has three
axes. A mean leaves out windows that reach beyond the image; within a region a voxel at the border counts with its window
mirrored there. Volumes are gone through in slabs, so that memory stays flat.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from overread.core.score import Score
from overread.metrics.pictures.errors import FLAT, NO_VOXELS

SIGMA, REACH = 1.5, 5  # the window reaches 5 voxels to either side of its middle
WINDOW = 2 * REACH + 1
K1, K2 = 0.01, 0.03
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the five scales, the finest first
FEWEST_SCALES = 2
SLAB = 1 << 21  # voxels worked on at once
SMALL = f"the image is smaller than the window of {WINDOW} voxels"
TOO_SMALL = f"the image is too small for two scales: {WINDOW * 2} voxels a side are the least"


@dataclass(frozen=True)
class Similarity:
    """Means over windows of one image.

    ssim      of luminance, contrast and pattern
    contrast  of contrast and pattern alone: what MS-SSIM takes from all scales but the coarsest
    within    region -> mean of ssim over its voxels, NaN where it has none
    """

    ssim: float
    contrast: float
    within: Mapping[str, float] = field(default_factory=dict)


def judged_axes(shape: Sequence[int], scales: int = 1) -> tuple[int, ...]:
    """The axes of the window: three where every side has 11 voxels at each of so many scales, else those of the slice; none
    where the slice is too small too."""
    z, y, x = shape
    least = WINDOW * 2 ** (scales - 1)
    if min(y, x) < least:
        return ()
    return (0, 1, 2) if z >= least else (1, 2)


def similarities(
    truth: np.ndarray,
    others: Sequence[np.ndarray],
    length: float,
    axes: tuple[int, ...],
    regions: Mapping[str, np.ndarray] | None = None,
) -> list[Similarity]:
    """Compare several images with one truth; what the truth needs is computed once.

    truth, others  (Z, Y, X) numbers
    length         of the range of intensities, above 0
    axes           of the window, see `judged_axes`
    regions        name -> (Z, Y, X) bool
    """
    regions = regions or {}
    sums = np.zeros((len(others), 3))  # ssim, contrast, windows
    inside = np.zeros((len(others), len(regions)))
    for outer, inner, core in _slabs(truth.shape, axes):
        own = truth[outer].astype(np.float64)
        for k, (luminance, contrast) in enumerate(_maps(own, [o[outer].astype(np.float64) for o in others], length, axes)):
            ssim = luminance * contrast
            whole, pattern = ssim[core], contrast[core]
            sums[k] += whole.sum(), pattern.sum(), whole.size
            inside[k] += [ssim[inner][mask[outer][inner]].sum() for mask in regions.values()]
    sizes = np.array([max(int(mask.sum()), 0) for mask in regions.values()], dtype=float)
    within = np.divide(inside, sizes, out=np.full(inside.shape, np.nan), where=sizes > 0)
    return [
        Similarity(float(s / n), float(c / n), dict(zip(regions, map(float, row), strict=True)))
        for (s, c, n), row in zip(sums, within, strict=True)
    ]


def ssim_scores(
    truth: np.ndarray, others: Sequence[np.ndarray], length: float, regions: Mapping[str, np.ndarray] | None = None
) -> list[tuple[Score, dict[str, Score]]]:
    """SSIM of the whole image and within regions, of each of the others; or why there is none. Definition ssim/1."""
    axes = judged_axes(truth.shape)
    absent = _absent(axes, SMALL, length)
    if absent:
        return [(Score(None, absent), dict.fromkeys(regions or {}, Score(None, absent))) for _ in others]
    return [_ssim_score(found) for found in similarities(truth, others, length, axes, regions)]


def ms_ssim_scores(truth: np.ndarray, others: Sequence[np.ndarray], length: float) -> list[Score]:
    """MS-SSIM of each of the others. Definition ms_ssim/1.

    Five scales, each half as fine as the one before (means of 2 voxels a side), where the coarsest still holds a window of 11
    voxels; else as many as the image has room for, with the weights of the paper scaled to add up to 1. A scale whose mean is
    below 0 counts as 0.
    """
    axes = judged_axes(truth.shape, FEWEST_SCALES)
    absent = _absent(axes, TOO_SMALL, length)
    if absent:
        return [Score(None, absent) for _ in others]
    return _over_scales(truth, others, length, axes, similarities(truth, others, length, axes))


def both_scores(
    truth: np.ndarray, others: Sequence[np.ndarray], length: float, regions: Mapping[str, np.ndarray]
) -> list[tuple[Score, dict[str, Score], Score]]:
    """SSIM, SSIM within regions, and MS-SSIM; the finest scale of the last is the first, and is computed once."""
    axes = judged_axes(truth.shape)
    if _absent(axes, SMALL, length) or axes != judged_axes(truth.shape, FEWEST_SCALES):
        single, several = ssim_scores(truth, others, length, regions), ms_ssim_scores(truth, others, length)
        return [(ssim, within, ms_ssim) for (ssim, within), ms_ssim in zip(single, several, strict=True)]
    found = similarities(truth, others, length, axes, regions)
    several = _over_scales(truth, others, length, axes, found)
    return [(*_ssim_score(one), ms_ssim) for one, ms_ssim in zip(found, several, strict=True)]


def _absent(axes: tuple[int, ...], small: str, length: float) -> str:
    """Why there is no score; "" where there is."""
    return small if not axes else FLAT if length <= 0 else ""


def _ssim_score(found: Similarity) -> tuple[Score, dict[str, Score]]:
    within = {name: Score(value) if np.isfinite(value) else Score(None, NO_VOXELS) for name, value in found.within.items()}
    return Score(found.ssim), within


def _over_scales(
    truth: np.ndarray, others: Sequence[np.ndarray], length: float, axes: tuple[int, ...], found: list[Similarity]
) -> list[Score]:
    """found  of the finest scale"""
    number = scales(truth.shape)
    weights = np.array(WEIGHTS[:number]) / sum(WEIGHTS[:number])
    product, left = np.ones(len(others)), [truth, *others]
    for scale, weight in enumerate(weights):
        if scale:
            left = [_halved(one, axes) for one in left]
            found = similarities(left[0], left[1:], length, axes)
        means = [one.ssim if scale == number - 1 else one.contrast for one in found]
        product *= np.maximum(means, 0.0) ** weight
    return [Score(float(value)) for value in product]


def scales(shape: Sequence[int]) -> int:
    """How many scales an image has room for, 5 at most; 0 where it has none for two."""
    axes = judged_axes(shape, FEWEST_SCALES)
    if not axes:
        return 0
    least = min(shape[axis] for axis in axes)
    return min(len(WEIGHTS), int(np.floor(np.log2(least / WINDOW))) + 1)


def _maps(
    truth: np.ndarray, others: Sequence[np.ndarray], length: float, axes: tuple[int, ...]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Luminance, and contrast with pattern, of every voxel."""
    c1, c2 = (K1 * length) ** 2, (K2 * length) ** 2
    centre = float(truth.mean())  # variances of numbers far from 0 lose their digits
    truth = truth - centre
    mean = _blurred(truth, axes)
    variance = _blurred(truth * truth, axes) - mean * mean
    for other in others:
        other = other - centre
        own = _blurred(other, axes)
        own_variance = _blurred(other * other, axes) - own * own
        both = _blurred(truth * other, axes) - mean * own
        first, second = mean + centre, own + centre
        luminance = (2 * first * second + c1) / (first * first + second * second + c1)
        yield luminance, (2 * both + c2) / (variance + own_variance + c2)


def _blurred(array: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The weighted mean over the window around each voxel, mirrored at the border."""
    sigma = [SIGMA if axis in axes else 0.0 for axis in range(3)]
    return np.asarray(ndimage.gaussian_filter(array, sigma, mode="reflect", radius=REACH))


def _slabs(shape: Sequence[int], axes: tuple[int, ...]) -> Iterator[tuple[slice, tuple[slice, ...], tuple[slice, ...]]]:
    """Pieces along the first axis: what to load, which part of that is its own, and which of this has whole windows."""
    z, y, x = shape
    reach = [REACH if axis in axes else 0 for axis in range(3)]
    step = max(1, SLAB // (y * x))
    plane = tuple(slice(r, n - r) for r, n in zip(reach[1:], (y, x), strict=True))
    for start in range(0, z, step):
        stop = min(start + step, z)
        outer = slice(max(0, start - reach[0]), min(z, stop + reach[0]))
        whole = slice(max(start, reach[0]), max(min(stop, z - reach[0]), max(start, reach[0])))
        inner = slice(start - outer.start, stop - outer.start)
        yield outer, (inner,), (slice(whole.start - outer.start, whole.stop - outer.start), *plane)


def _halved(array: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Means of 2 voxels along each judged axis; an odd last one is dropped."""
    for axis in axes:
        even = np.take(array, np.arange(0, array.shape[axis] - 1, 2), axis)
        array = (even + np.take(array, np.arange(1, array.shape[axis], 2), axis)) / 2
    return array
