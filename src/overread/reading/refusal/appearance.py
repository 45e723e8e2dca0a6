"""What a prepared image looks like in some seventy plain numbers, without any network.

Features of a network alone call noise normal: they were learned to tell classes apart, and what no class needs they do not
see (Ren et al., NeurIPS 2019). These numbers know of grey levels, noise, symmetry, padding, and where it is bright.
"""

from __future__ import annotations

import numpy as np

SLICES = 12  # of a volume, evenly spaced, that are looked at for texture
VOXELS = 500_000  # of a volume that are sorted
BANDS = 6
FINE = 256  # pixels of a slice along an axis; a larger one is thinned after averaging
TINY = 1e-6
PARTS = (  # what each run of numbers is called in a reason, and how many there are; the same for every channel
    ("grey levels", 7),
    ("contrast", 1),
    ("share of padding or saturation", 2),
    ("amount of fine detail", 1),
    ("texture", BANDS),
    ("symmetry", 2),
    ("steps between slices", 1),
    ("layout of bright and dark", 64),
)
LENGTH = sum(count for _, count in PARTS)


def appearance(array: np.ndarray) -> np.ndarray:
    """(C, Z, Y, X) prepared image -> (C * LENGTH,) float64."""
    return np.concatenate([_of_channel(channel) for channel in array])


def part_names(length: int) -> list[str]:
    """What each of the numbers belongs to."""
    one = [name for name, count in PARTS for _ in range(count)]
    return one * (length // LENGTH)


def _of_channel(volume: np.ndarray) -> np.ndarray:
    chosen = volume[np.unique(np.linspace(0, len(volume) - 1, SLICES).astype(int))].astype(np.float64)
    fine = np.stack([_fitted(one) for one in chosen])
    flat = volume.ravel()[:: volume.size // VOXELS | 1].astype(np.float64)  # an odd step passes through all columns
    spread = float(flat.std())
    return np.concatenate(
        [
            np.percentile(flat, (1, 10, 25, 50, 75, 90, 99)),
            [np.log(spread + TINY)],
            [float((flat <= flat.min()).mean()), float((flat >= flat.max()).mean())],
            [_detail(fine)],
            _bands(fine),
            [_likeness(chosen, chosen[..., ::-1]), _likeness(chosen, chosen[..., ::-1, :])],
            [_steps(volume)],
            _layout(volume) / (spread + TINY),
        ]
    )


def _fitted(one: np.ndarray) -> np.ndarray:
    """(Y, X) of at most `FINE` pixels along an axis: blocks averaged."""
    step = [max(1, int(np.ceil(n / FINE))) for n in one.shape]
    rows, columns = (n // s for n, s in zip(one.shape, step, strict=True))
    cut = one[: rows * step[0], : columns * step[1]]
    return cut.reshape(rows, step[0], columns, step[1]).mean(axis=(1, 3))


def _detail(slices: np.ndarray) -> float:
    """Logarithm of the mean difference of neighbouring pixels, in standard deviations of the slices."""
    steps = [np.abs(np.diff(slices, axis=axis)).mean() for axis in (-1, -2) if slices.shape[axis] > 1]
    return float(np.log(np.mean(steps or [0.0]) / (slices.std() + TINY) + TINY))


def _bands(slices: np.ndarray) -> np.ndarray:
    """(BANDS,) logarithms of the shares of the power spectrum in rings of frequency, from coarse to fine."""
    rows, columns = slices.shape[1:]
    window = np.hanning(rows)[:, None] * np.hanning(columns)[None] if min(rows, columns) > 4 else np.ones((rows, columns))
    power = (np.abs(np.fft.rfft2((slices - slices.mean(axis=(1, 2), keepdims=True)) * window)) ** 2).mean(axis=0)
    radius = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None])
    ring = np.clip((np.log2(np.maximum(radius, 2.0**-BANDS)) + BANDS).astype(int), 0, BANDS - 1)
    shares = np.bincount(ring.ravel(), weights=power.ravel(), minlength=BANDS)
    return np.asarray(np.log(shares / (shares.sum() + TINY) + TINY))


def _likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of two arrays; 0 where one is constant."""
    a, b = one.ravel() - one.mean(), other.ravel() - other.mean()
    length = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / length if length > TINY else 0.0


def _steps(volume: np.ndarray) -> float:
    """Logarithm of the largest step from slice to slice over the usual one: missing slices make a jump. 0 for films."""
    if len(volume) < 4:
        return 0.0
    thin = volume[:, :: max(1, volume.shape[1] // 64), :: max(1, volume.shape[2] // 64)].astype(np.float64)
    steps = np.abs(np.diff(thin, axis=0)).mean(axis=(1, 2))
    return float(np.log((steps.max() + TINY) / (np.median(steps) + TINY)))


def _layout(volume: np.ndarray) -> np.ndarray:
    """(64,) means of blocks less the mean of all: 8 by 8 of a film, 4 by 4 by 4 of a volume."""
    counts = (1, 8, 8) if len(volume) == 1 else (4, 4, 4)
    blocks = volume
    for axis, count in enumerate(counts):
        length = volume.shape[axis]
        starts = np.linspace(0, length, count + 1)[:-1].astype(int)  # where there are fewer voxels than blocks, they repeat
        sizes = np.maximum(np.diff(np.append(starts, length)), 1)
        shape = [1, 1, 1]
        shape[axis] = count
        blocks = np.add.reduceat(blocks, starts, axis=axis, dtype=np.float64) / sizes.reshape(shape)
    return np.asarray((blocks - blocks.mean()).ravel())
