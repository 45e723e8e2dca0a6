"""Low dose: the quantum noise that a CT would have with a share of its photons."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import fft

from overread.core.errors import OverreadError
from overread.core.image import Image
from overread.imaging.degrade.ct_noise import (
    FEWEST,
    LEAST_HU,
    SECTORS,
    SOFT_TISSUE,
    at_level,
    noise_of,
    noise_power,
    spread_out,
    variances,
)
from overread.imaging.degrade.degradation import Degradation, Level
from overread.imaging.degrade.values import as_stored

SHARES = (0.5, 0.25, 0.1)
NO_TISSUE = f"there is too little soft tissue ({SOFT_TISSUE[0]:g} to {SOFT_TISSUE[1]:g} HU) in which its noise could be measured"
AIR = -1024.0  # HU; a scanner stores nothing lower, and what is lower is the padding around its field of view


def levels(image: Image) -> tuple[Level, ...]:
    return tuple(Level(v, f"{100 * v:g} % of the dose") for v in SHARES)


def lower_dose(image: Image, amount: float, random: np.random.Generator) -> Image:
    """Add the noise that is missing to `amount` of the image's own dose: its variance times 1 / amount - 1.

    Level and texture are measured in the image. The spread over each axial slice is that of its own attenuation, ray by ray in
    sectors of direction, so that noise is strongest, and drawn out into streaks, where rays were weakened most. The tube current
    is taken to follow the patient from slice to slice, so that soft tissue is as noisy in one slice as in the next.

    It is added to the image, not to raw data: no electronic noise, no photon starvation, no beam hardening, no bowtie filter, no
    fan or cone, no iterative reconstruction, and slices that overlap have noise of their own. Sources: `ct_noise`; lower doses
    from images alone: Kim and Kim, Med Phys 2014;41:011901.
    """
    order = image.grid.canonical_axes()[0]
    slices = image.array[0].transpose(order)
    measured = noise_of(slices)
    if measured is None:
        raise OverreadError(f"A lower dose cannot be simulated on this image: {NO_TISSUE}.", "leave it out")
    spacing = image.grid.spacing[order[1]], image.grid.spacing[order[2]]
    texture = _Texture.of(slices.shape[1], slices.shape[2], measured.corner)
    more = np.sqrt(1 / amount - 1)
    noise = np.empty(slices.shape, np.float32)
    for plane, out in zip(slices, noise, strict=True):
        out[:] = more * _slice_noise(plane, measured.level, texture, spacing, random)
    values = image.array[0].astype(np.float32)
    changed = np.where(values < AIR, values, np.maximum(values + noise.transpose(np.argsort(order)), AIR))
    return replace(image, array=as_stored(changed[None], image))


@dataclass(frozen=True)
class _Texture:
    """How noise is made of frequencies.

    amplitude  (rows, columns // 2 + 1) float32, as `rfft2` orders them
    sector     the same shape: in which sector of direction each lies; rays bring what varies across them
    share      (SECTORS,) of the power
    """

    amplitude: np.ndarray
    sector: np.ndarray
    share: np.ndarray

    @classmethod
    def of(cls, rows: int, columns: int, corner: float) -> _Texture:
        power = noise_power(rows, columns, corner)
        angle = np.arctan2(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)) % np.pi
        sector = np.minimum((angle * SECTORS / np.pi).astype(np.int8), SECTORS - 1)
        share = np.bincount(sector.ravel(), power.ravel(), SECTORS) / power.sum()
        return cls(np.sqrt(power).astype(np.float32), sector, share)


def _slice_noise(
    plane: np.ndarray, level: float, texture: _Texture, spacing: tuple[float, float], random: np.random.Generator
) -> np.ndarray:
    """(Y, X) noise as strong as the scan's own where this was measured; elsewhere by the rays. HU.

    A slice without such a place is held to its soft tissue, one without any to all of its field of view.
    """
    shape = plane.shape[0], plane.shape[1]
    deviation = spread_out(np.sqrt(variances(plane, spacing)), shape)
    whole = np.tensordot(texture.share, deviation**2, 1)
    soft = (plane > SOFT_TISSUE[0]) & (plane < SOFT_TISSUE[1])
    where = next((place for place in (at_level(plane, level), soft) if np.count_nonzero(place) >= FEWEST), None)
    usual = float(np.median(whole if where is None else whole[where]))
    spectrum = fft.rfft2(random.standard_normal(shape, dtype=np.float32)) * texture.amplitude
    noise = np.zeros(shape, np.float32)
    for k in range(SECTORS):
        noise += fft.irfft2(np.where(texture.sector == k, spectrum, 0), s=shape) * deviation[k]
    return noise * np.float32(level / np.sqrt(usual))


def _obstacle(image: Image) -> str:
    if image.units != "HU" or len(image.channels) != 1:
        return f"a lower dose is of CT in Hounsfield units, and these images are in {image.units}"
    if not image.grid.spacing_known:
        return "attenuation needs the size of a pixel, and these images have no spacing"
    measured = noise_of(image.array[0].transpose(image.grid.canonical_axes()[0]))
    if measured is None:
        return NO_TISSUE
    return "" if measured.level >= LEAST_HU else "its soft tissue has no noise, so what its dose was cannot be told"


LOW_DOSE = Degradation(
    "low-dose",
    "Low dose",
    "quantum noise is added to a CT, as much as a share of its dose would leave, with the texture and spread of its own",
    levels,
    lower_dose,
    "Chesler 1977 and Riederer 1978 (spread and texture of quantum noise), Christianson 2015 (its level)",
    _obstacle,
)
