"""Motion: ghosts in magnetic resonance, a smear in everything else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from overread.core.image import Image
from overread.imaging.degrade.degradation import Degradation, Level, is_mr, length_words
from overread.imaging.degrade.values import as_stored

SHIFTS = (0.5, 1.5)  # mm or pixels, to either side, of a patient who breathes
PERIOD = 8  # lines of k-space during one breath
SMEARS_MM = (2.0, 5.0)
SMEARS_PIXELS = (3.0, 7.0)


def levels(image: Image) -> tuple[Level, ...]:
    if is_mr(image):
        return tuple(Level(v, length_words(image, v, "shifts of")) for v in SHIFTS)
    chosen = SMEARS_MM if image.grid.spacing_known else SMEARS_PIXELS
    return tuple(Level(v, length_words(image, v, "smeared over")) for v in chosen)


def move(image: Image, amount: float, random: np.random.Generator) -> Image:
    """Move along the rows or the columns of the stored slices, by chance; amount in mm, or pixels where spacing is unknown."""
    axis = 1 + int(random.random() < 0.5)
    phase = random.uniform(0, 2 * np.pi)
    voxels = amount / image.grid.spacing[axis]
    values = image.array.astype(np.float32)
    moved = _ghosts(values, axis + 1, voxels, phase) if is_mr(image) else _smear(values, axis + 1, voxels)
    return replace(image, array=as_stored(moved, image))


def _ghosts(values: np.ndarray, axis: int, voxels: float, phase: float) -> np.ndarray:
    """A patient who moves to and fro along the phase direction while the lines of k-space are taken one by one.

    Each line has the phase of the place in which the patient then was, so that copies appear a `PERIOD`-th of the field of
    view apart. Source: Wood and Henkelman, Med Phys 1985;12:143.
    """
    count = values.shape[axis]
    floor = min(float(values.min()), 0.0)
    frequency = np.fft.fftfreq(count)  # cycles per voxel, by line
    taken = np.argsort(np.argsort(frequency))  # when each line was taken: from one end of k-space to the other
    shift = voxels * np.sin(2 * np.pi * taken / PERIOD + phase)
    factor = np.exp(-2j * np.pi * frequency * shift).astype(np.complex64)
    shape = [count if k == axis else 1 for k in range(4)]
    out = np.empty_like(values)
    for channel, image in zip(out, values - floor, strict=True):
        for z in range(len(image)):  # slice by slice: a spectrum of a large volume takes four times its memory
            spectrum = np.fft.fft(image[z], axis=axis - 2) * factor.reshape(shape)[0, 0]
            channel[z] = np.abs(np.fft.ifft(spectrum, axis=axis - 2)) + floor
    return out


def _smear(values: np.ndarray, axis: int, voxels: float) -> np.ndarray:
    """The mean over a line of the given length, in voxels: what a steady movement during the exposure does."""
    return np.asarray(ndimage.convolve1d(values, smear_weights(voxels), axis=axis, mode="nearest"))


def smear_weights(voxels: float) -> np.ndarray:
    """How much of a line of that length, laid over voxels with its middle on one of them, falls on each; sums to 1."""
    length = max(voxels, 1.0)
    reach = int(np.ceil((length - 1) / 2))
    places = np.arange(-reach, reach + 1)
    covered = np.clip(np.minimum(places + 0.5, length / 2) - np.maximum(places - 0.5, -length / 2), 0, 1)
    return np.asarray(covered / covered.sum())


MOTION = Degradation(
    "motion",
    "Motion",
    "magnetic resonance: the patient moves to and fro while k-space is read, which makes ghosts; else a smear along one axis",
    levels,
    move,
    "Wood and Henkelman 1985 (ghosts)",
)
