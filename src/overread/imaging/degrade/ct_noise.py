"""How noisy a CT is, how that noise is correlated, and how it is spread over a slice.

The level is the commonest standard deviation of small windows of soft tissue (Christianson et al., AJR 2015;205:W93). The
texture is that of filtered back projection, a ramp that the kernel rolls off (Riederer, Pelc, Chesler, Phys Med Biol
1978;23:446); where it does is told by how alike neighbouring pixels are. The spread follows the rays: the variance of a line
integral p grows with exp(p), and that of a pixel is its mean over the rays through it (Chesler, Riederer, Pelc, J Comput Assist
Tomogr 1977;1:64).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

SOFT_TISSUE = (-50.0, 150.0)  # HU, mean of a window
WINDOW = 5  # pixels
SLICES = 24  # that are looked at, evenly spread
FEWEST = 50  # windows of soft tissue in the slices that are looked at
LEAST_HU = 0.5  # noise below this is none: a drawn image, or one without its noise
BINS = np.geomspace(0.25, 250, 140)  # HU, each 5 % wider than the one before
CLEAR = 0.25  # a peak of the histogram this high, against the highest, is the noise; what comes later are edges of organs
WATER = 0.0193  # linear attenuation per mm at 70 keV, NIST
SECTORS, ANGLES = 6, 4  # directions of rays that are told apart, and rays that are averaged in each
COARSE = 96  # pixels: line integrals are taken on a slice no finer than this
CORNERS = np.geomspace(0.04, 2.0, 60)  # cycles per pixel


@dataclass(frozen=True)
class NoiseOfScan:
    """level: standard deviation in soft tissue, HU; corner: where the kernel rolls off, cycles per pixel."""

    level: float
    corner: float


def noise_of(slices: np.ndarray) -> NoiseOfScan | None:
    """Measure it in slices (Z, Y, X), HU; None where there is no soft tissue to measure it in."""
    count = len(slices)
    chosen = np.unique(np.linspace(0, count - 1, min(count, SLICES)).round().astype(int))
    found = [(variance[soft], alike[soft]) for variance, alike, soft in (_windows(slices[k]) for k in chosen)]
    variance, product = (np.concatenate(parts) for parts in zip(*found, strict=True))
    if len(variance) < FEWEST:
        return None
    deviation = np.sqrt(np.maximum(variance, 0))
    level = _first_peak(deviation)
    usual = _is_usual(variance, level)
    alike = float(np.median(product[usual] / variance[usual])) if usual.any() and level > LEAST_HU else 0.0
    return NoiseOfScan(level, corner_of(alike))


def _first_peak(deviation: np.ndarray) -> float:
    """The commonest standard deviation (N,) among windows without an edge: where voxels are large, most windows have one."""
    counts = np.histogram(np.clip(deviation, BINS[0], BINS[-1]), BINS)[0] / np.diff(BINS)
    smooth = np.pad(ndimage.gaussian_filter1d(counts, 2, mode="constant"), 1)
    is_peak = (smooth[1:-1] > smooth[:-2]) & (smooth[1:-1] >= smooth[2:]) & (smooth[1:-1] >= CLEAR * smooth.max())
    first = int(np.flatnonzero(is_peak)[0])
    return float(np.sqrt(BINS[first] * BINS[first + 1]))


def at_level(plane: np.ndarray, level: float) -> np.ndarray:
    """(Y, X) bool: soft tissue that is as noisy as the scan is said to be; HU."""
    variance, _, soft = _windows(plane)
    return soft & _is_usual(variance, level)


def _is_usual(variance: np.ndarray, level: float) -> np.ndarray:
    return np.asarray((variance > (0.7 * level) ** 2) & (variance < (1.4 * level) ** 2))


def _windows(stored: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Around each pixel of a slice (Y, X): variance, and covariance of neighbours, HU squared; and whether it is soft tissue.

    Neighbours are compared by their difference: var(a - b) = 2 (variance - covariance), which slow changes hardly touch.
    """
    plane = stored.astype(np.float32)
    mean = ndimage.uniform_filter(plane, WINDOW)
    middle, n = mean.mean(), WINDOW**2
    variance = (ndimage.uniform_filter((plane - middle) ** 2, WINDOW) - (mean - middle) ** 2) * n / (n - 1)
    steps = [np.diff(plane, axis=axis, append=plane.take([-1], axis)) ** 2 for axis in (0, 1)]
    differing = ndimage.uniform_filter((steps[0] + steps[1]) / 2, WINDOW)
    soft = np.zeros(plane.shape, bool)
    edge = WINDOW // 2 + 1
    inner = slice(edge, -edge), slice(edge, -edge)
    soft[inner] = (mean[inner] > SOFT_TISSUE[0]) & (mean[inner] < SOFT_TISSUE[1])
    return variance, variance - differing / 2, soft


@lru_cache(maxsize=1)
def _likenesses() -> np.ndarray:
    """Correlation of neighbouring pixels in the noise of each of `CORNERS`."""
    found = []
    for corner in CORNERS:
        power = noise_power(64, 64, corner)
        near = np.fft.irfft2(power, s=(64, 64))
        found.append((near[0, 1] + near[1, 0]) / 2 / near[0, 0])
    return np.array(found)


def corner_of(likeness: float) -> float:
    """The kernel whose noise has this correlation of neighbouring pixels."""
    likenesses = _likenesses()
    return float(np.interp(-likeness, -likenesses, CORNERS))


def noise_power(rows: int, columns: int, corner: float) -> np.ndarray:
    """(rows, columns // 2 + 1) power of a slice's noise by frequency, as `rfft2` orders them; its mean over all is 1."""
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns))
    power = frequency * np.exp(-((frequency / corner) ** 2))
    twice = np.full(columns // 2 + 1, 2.0)  # a frequency and its mirror
    twice[0] = 1
    if columns % 2 == 0:
        twice[-1] = 1
    return power * (rows * columns) / float((power * twice).sum())


def variances(plane: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """How the variance of noise is spread over a slice, by the direction of the rays that bring it.

    plane    (Y, X) HU;  spacing (Y, X) mm
    returns  (SECTORS, y, x) on a coarse grid over the same field of view, mean of exp(line integral) over the rays through each
             place; sector k holds rays that are measured along k to k + 1 times 180 / SECTORS degrees, from x to y
    """
    factors = [max(1, -(-n // COARSE)) for n in plane.shape]
    attenuation = WATER * np.maximum(1 + _blocks(plane.astype(np.float64), factors, -1000.0) / 1000, 0)
    step = [s * f for s, f in zip(spacing, factors, strict=True)]
    y, x = (np.arange(n) * s for n, s in zip(attenuation.shape, step, strict=True))
    y, x = y[:, None] - y.mean(), x[None] - x.mean()
    width = max(step)
    count = int(np.ceil(np.hypot(np.ptp(y), np.ptp(x)) / width)) + 3
    found = np.zeros((SECTORS, *attenuation.shape))
    for number in range(SECTORS * ANGLES):
        angle = np.pi * (number + 0.5) / (SECTORS * ANGLES)
        place = (x * np.cos(angle) + y * np.sin(angle)) / width + (count - 1) / 2
        low = place.astype(int)
        share = place - low
        weight = attenuation * step[0] * step[1] / width
        line = np.bincount(low.ravel(), (weight * (1 - share)).ravel(), count)
        line += np.bincount((low + 1).ravel(), (weight * share).ravel(), count)
        noise = np.exp(line)
        found[number // ANGLES] += (noise[low] * (1 - share) + noise[low + 1] * share) / ANGLES
    return found


def _blocks(plane: np.ndarray, factors: list[int], fill: float) -> np.ndarray:
    """Means over blocks of pixels; what is missing to whole blocks is filled."""
    rest = [(0, -n % f) for n, f in zip(plane.shape, factors, strict=True)]
    whole = np.pad(plane, rest, constant_values=fill)
    y, x = (n // f for n, f in zip(whole.shape, factors, strict=True))
    return np.asarray(whole.reshape(y, factors[0], x, factors[1]).mean((1, 3)))


def spread_out(maps: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(K, y, x) coarse maps -> (K, Y, X) float32 on the pixels, by straight lines between their centres."""
    across = []
    for fine, coarse in zip(shape, maps.shape[1:], strict=True):
        factor = max(1, -(-fine // COARSE))
        place = np.clip((np.arange(fine) + 0.5) / factor - 0.5, 0, coarse - 1)
        low = np.minimum(place.astype(int), max(coarse - 2, 0))
        matrix = np.zeros((fine, coarse), np.float32)
        np.add.at(matrix, (np.arange(fine), low), 1 - (place - low))
        np.add.at(matrix, (np.arange(fine), np.minimum(low + 1, coarse - 1)), place - low)
        across.append(matrix)
    return np.asarray(across[0] @ maps.astype(np.float32) @ across[1].T)
