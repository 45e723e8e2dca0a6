"""Low dose: the quantum noise that a CT would have with a share of its photons."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

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
    scan = _measured(_Slices(slices, (image.grid.spacing[order[1]], image.grid.spacing[order[2]])))
    if scan is None:
        raise OverreadError(f"A lower dose cannot be simulated on this image: {NO_TISSUE}.", "leave it out")
    more = np.sqrt(1 / amount - 1)
    noise = np.stack([more * scan.noise(k, random) for k in range(len(slices))]).astype(np.float32)
    values = image.array[0].astype(np.float32)
    changed = np.where(values < AIR, values, np.maximum(values + noise.transpose(np.argsort(order)), AIR))
    return replace(image, array=as_stored(changed[None], image))


@dataclass(frozen=True, eq=False)
class _Slices:
    """Axial slices (Z, Y, X) in HU and the size (Y, X) of a pixel in mm, known again by their content."""

    array: np.ndarray
    spacing: tuple[float, float]

    @cached_property
    def _content(self) -> tuple[bytes, tuple[int, ...], str, tuple[float, float]]:
        digest = hashlib.blake2b(np.ascontiguousarray(self.array).data, digest_size=16).digest()
        return digest, self.array.shape, str(self.array.dtype), self.spacing

    def __hash__(self) -> int:
        return hash(self._content)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Slices) and self._content == other._content


@lru_cache(maxsize=1)
def _measured(slices: _Slices) -> _Scan | None:
    """What is needed to draw noise for an image; kept for the last one, as training draws many times for each."""
    found = noise_of(slices.array)
    if found is None:
        return None
    texture = _Texture.of(slices.array.shape[1], slices.array.shape[2], found.corner)
    planes = tuple(_Plane.of(plane, found.level, texture, slices.spacing) for plane in slices.array)
    return _Scan(found.level, texture, planes)


@dataclass(frozen=True)
class _Scan:
    """level: standard deviation of the noise in soft tissue, HU."""

    level: float
    texture: _Texture
    planes: tuple[_Plane, ...]

    def noise(self, number: int, random: np.random.Generator) -> np.ndarray:
        """(Y, X) float32 for one slice, as strong as the scan's own where this was measured; elsewhere by the rays. HU."""
        shape = self.texture.shape
        deviation = spread_out(self.planes[number].deviation, shape)
        spectrum = fft.rfft2(random.standard_normal(shape, dtype=np.float32)) * self.texture.amplitude
        noise = np.zeros(shape, np.float32)
        for k in range(SECTORS):
            noise += fft.irfft2(np.where(self.texture.sector == k, spectrum, 0), s=shape) * deviation[k]
        return noise * np.float32(self.level / np.sqrt(self.planes[number].usual))


@dataclass(frozen=True)
class _Plane:
    """How the noise of one slice is spread.

    deviation  (SECTORS, y, x) float32 on the coarse grid of `variances`, relative
    usual      variance, in the same measure, of places that are as noisy as the scan is said to be; where a slice has none, of
               its soft tissue, and where it has none of that, of all of its field of view
    """

    deviation: np.ndarray
    usual: float

    @classmethod
    def of(cls, plane: np.ndarray, level: float, texture: _Texture, spacing: tuple[float, float]) -> _Plane:
        deviation = np.sqrt(variances(plane, spacing)).astype(np.float32)
        whole = np.tensordot(texture.share, spread_out(deviation, texture.shape) ** 2, 1)
        soft = (plane > SOFT_TISSUE[0]) & (plane < SOFT_TISSUE[1])
        where = next((place for place in (at_level(plane, level), soft) if np.count_nonzero(place) >= FEWEST), None)
        return cls(deviation, float(np.median(whole if where is None else whole[where])))


@dataclass(frozen=True)
class _Texture:
    """How noise is made of frequencies.

    shape      rows and columns of a slice
    amplitude  (rows, columns // 2 + 1) float32, as `rfft2` orders them
    sector     the same shape: in which sector of direction each lies; rays bring what varies across them
    share      (SECTORS,) of the power
    """

    shape: tuple[int, int]
    amplitude: np.ndarray
    sector: np.ndarray
    share: np.ndarray

    @classmethod
    def of(cls, rows: int, columns: int, corner: float) -> _Texture:
        power = noise_power(rows, columns, corner)
        angle = np.arctan2(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)) % np.pi
        sector = np.minimum((angle * SECTORS / np.pi).astype(np.int8), SECTORS - 1)
        share = np.bincount(sector.ravel(), power.ravel(), SECTORS) / power.sum()
        return cls((rows, columns), np.sqrt(power).astype(np.float32), sector, share)


def _obstacle(image: Image) -> str:
    if image.units != "HU" or len(image.channels) != 1:
        return f"a lower dose is of CT in Hounsfield units, and these images are in {image.units}"
    if not image.grid.spacing_known:
        return "attenuation needs the size of a pixel, and these images have no spacing"
    order = image.grid.canonical_axes()[0]
    scan = _measured(_Slices(image.array[0].transpose(order), (image.grid.spacing[order[1]], image.grid.spacing[order[2]])))
    if scan is None:
        return NO_TISSUE
    return "" if scan.level >= LEAST_HU else "its soft tissue has no noise, so what its dose was cannot be told"


LOW_DOSE = Degradation(
    "low-dose",
    "Low dose",
    "quantum noise is added to a CT, as much as a share of its dose would leave, with the texture and spread of its own",
    levels,
    lower_dose,
    "Chesler 1977 and Riederer 1978 (spread and texture of quantum noise), Christianson 2015 (its level)",
    _obstacle,
)
