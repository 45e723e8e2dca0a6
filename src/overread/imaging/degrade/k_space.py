"""Missing k-space: a magnetic resonance scan that was cut short by leaving out lines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from overread.core.image import Image
from overread.imaging.degrade.degradation import Degradation, Level, is_mr
from overread.imaging.degrade.values import as_stored

FACTORS = (2.0, 4.0)
CENTRE = 0.32  # of the lines that are kept: 8 % of all at 4 times, 4 % at 8 times, as in fastMRI
FALLS_WITH = 2  # chance of a line: (1 - distance from the middle) to this power
FEWEST = 16  # lines


def levels(image: Image) -> tuple[Level, ...]:
    return tuple(Level(v, f"1 line in {v:g}") for v in FACTORS)


def undersample(image: Image, amount: float, random: np.random.Generator) -> Image:
    """Keep one line of k-space in `amount`, put zeros for the others, and take the magnitude.

    Lines run along the rows of the stored slices. The middle of k-space is kept whole, the others by chance, fewer the further
    out; the same lines in all slices and channels. Sources: Lustig, Donoho, Pauly, Magn Reson Med 2007;58:1182 (variable
    density); Zbontar et al. 2018, arXiv:1811.08839 (fastMRI, share of the middle).

    k-space is made from a magnitude image of one coil: without phase, without the noise of several coils, and with whatever the
    scanner filled in or filtered. Reconstruction from it flatters (Shimron et al., PNAS 2022;119:e2117203119).
    """
    lines = image.grid.shape[1]
    kept = np.fft.ifftshift(kept_lines(lines, amount, random)).astype(np.float32)[:, None]
    values = image.array.astype(np.float32)
    out = np.empty_like(values)
    for channel, found in zip(values, out, strict=True):
        floor = min(float(channel.min()), 0.0)  # a z-scored image has values below 0
        for plane, made in zip(channel, found, strict=True):
            made[:] = np.abs(np.fft.ifft(np.fft.fft(plane - floor, axis=0) * kept, axis=0)) + floor
    return replace(image, array=as_stored(out, image))


def kept_lines(count: int, factor: float, random: np.random.Generator) -> np.ndarray:
    """(count,) bool from one end of k-space to the other: which lines are kept; of more lines these and others."""
    kept = np.zeros(count, bool)
    wanted = max(round(count / factor), 2)
    middle = max(round(CENTRE * wanted), 1)
    first = count // 2 - middle // 2
    kept[first : first + middle] = True
    away = np.abs(np.arange(count) - count // 2) / (count // 2 + 1)
    turn = random.exponential(size=count) / (1 - away) ** FALLS_WITH  # as if drawn one by one; Efraimidis and Spirakis 2006
    kept[np.argsort(np.where(kept, np.inf, turn))[: wanted - middle]] = True
    return kept


def _obstacle(image: Image) -> str:
    if not is_mr(image):
        return "k-space is of magnetic resonance, and these images do not say that they are that"
    lines = image.grid.shape[1]
    return "" if lines >= FEWEST else f"{lines} lines are too few to leave any out"


K_SPACE = Degradation(
    "k-space",
    "Missing k-space",
    "lines of k-space are left out, fewer in its middle, and filled with zeros",
    levels,
    undersample,
    "Lustig 2007, Zbontar 2018 (fastMRI)",
    _obstacle,
)
