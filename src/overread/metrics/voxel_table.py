"""How often voxels of each probability belong to a structure: one small table per case, from which all calibration follows.

Far from a structure every model is rightly sure that there is none, and millions of such voxels would make any calibration
look perfect. So what is counted is told apart: near the structure, which is within `BAND_MM` (along each axis of the image;
at least one voxel) of a voxel that has the structure in the truth or by a probability of one half or more, or inside it; and
elsewhere. On calibration of masks: Mehrtash et al., IEEE TMI 2020;39:3868; Jungo et al., Front Neurosci 2020;14:282.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from overread.core.grid import Grid
from overread.core.kinds import LabelMap
from overread.metrics.probability_code import CODES, DECODED, HALF, encode

BAND_MM = 5.0
BAND_VOXELS = 5  # where the spacing is not known
NEAR = (
    f"voxels inside the structure or within {BAND_MM:g} mm of it ({BAND_VOXELS} voxels where spacing is not known), in the truth "
    "or by a probability of 0.5 or more"
)


@dataclass(frozen=True)
class Crop:
    """An array in its bounding box; nothing (0) elsewhere.

    box     where it lies in the whole grid
    values  (z, y, x)
    """

    box: tuple[slice, ...]
    values: np.ndarray

    @classmethod
    def of(cls, volume: np.ndarray) -> Crop:
        """(Z, Y, X) -> what of it is not 0."""
        found = ndimage.find_objects((volume != 0).view(np.uint8))
        box = found[0] if found else (slice(0, 0),) * volume.ndim
        return cls(box, volume[box].copy())

    def plane(self, z: int, shape: tuple[int, ...]) -> np.ndarray:
        """(Y, X) slice of the whole volume."""
        out = np.zeros(shape[1:], self.values.dtype)
        if self.box[0].start <= z < self.box[0].stop:
            out[self.box[1:]] = self.values[z - self.box[0].start]
        return out


@dataclass(frozen=True)
class VoxelMaps:
    """The probabilities of one case, raw, as codes (`probability_code`).

    structures  name -> its map
    background  where several structures exclude each other: of none of them
    exclusive   structures exclude each other
    """

    structures: Mapping[str, Crop]
    background: Crop | None
    grid: Grid
    exclusive: bool = True


@dataclass(frozen=True)
class VoxelTable:
    """Voxels of one structure in one case.

    before, after  (2, 2, 128) counts: elsewhere or near, not or in the structure by the truth, code of the probability;
                   before and after the temperature
    voxel_ml       None where the spacing is not known or the image is planar
    """

    before: np.ndarray
    after: np.ndarray
    temperature: float
    voxel_ml: float | None


def near(core: np.ndarray, grid: Grid, times: int = 1) -> Crop:
    """(Z, Y, X) bool -> bool: the core and the band around it, so many times as wide."""
    found = ndimage.find_objects(core.view(np.uint8))
    if not found:
        return Crop((slice(0, 0),) * 3, np.zeros((0, 0, 0), bool))
    spacing = grid.spacing if grid.spacing_known else (1.0, 1.0, 1.0)
    band = BAND_MM if grid.spacing_known else BAND_VOXELS
    reach = [max(1, int(times * band / s + 1e-6)) for s in spacing]
    box = tuple(slice(max(0, own.start - r), min(n, own.stop + r)) for own, r, n in zip(found[0], reach, core.shape, strict=True))
    grown = core[box].view(np.uint8)
    for axis, r in enumerate(reach):
        grown = ndimage.maximum_filter1d(grown, 2 * r + 1, axis, mode="constant")
    return Crop(box, grown.view(bool))


def voxel_tables(truth: LabelMap, maps: VoxelMaps, temperature: float) -> dict[str, VoxelTable]:
    """The table of every structure that has a map.

    truth  on the grid of the maps
    """
    shape, grid = maps.grid.shape, maps.grid
    regions = {name: near(_core(truth.mask(name), crop), grid) for name, crop in maps.structures.items()}
    counts = {name: np.zeros((2, 2 * 2 * CODES), np.int64) for name in maps.structures}
    layers = {s.name: (s.layer, s.value) for s in truth.structures}
    for z in range(shape[0]):
        planes = {name: crop.plane(z, shape) for name, crop in maps.structures.items()}
        softened = tempered_planes(
            planes, None if maps.background is None else maps.background.plane(z, shape), maps, temperature
        )
        for name, plane in planes.items():
            layer, value = layers[name]
            place = (truth.layers[layer, z] == value) * CODES + regions[name].plane(z, shape) * (2 * CODES)
            for row, codes in enumerate((plane, softened[name])):
                counts[name][row] += np.bincount((place + codes).ravel(), minlength=4 * CODES)
    voxel_ml = grid.voxel_ml if grid.spacing_known and not grid.is_planar else None
    tables = {name: found.reshape(2, 2, 2, CODES) for name, found in counts.items()}
    return {name: VoxelTable(found[0], found[1], temperature, voxel_ml) for name, found in tables.items()}


def tempered_volumes(volumes: Iterable[np.ndarray], temperature: float, *, exclusive: bool) -> list[np.ndarray]:
    """Probabilities (Z, Y, X) float by class -> softmax or sigmoid of logits / temperature; 0 where no class has any.

    exclusive  the classes, background first, add up to 1; else each stands against its own absence. Source: Guo et al., ICML 2017
    """
    each = 1 / temperature
    if not exclusive:
        return [volume**each / (volume**each + (1 - volume) ** each) for volume in volumes]
    powers = [volume**each for volume in volumes]
    total = sum(powers[1:], powers[0].copy())
    for power in powers:
        np.divide(power, total, out=power, where=total > 0)
    return powers


def _core(mask: np.ndarray, crop: Crop) -> np.ndarray:
    core = mask.copy()
    core[crop.box] |= crop.values >= HALF
    return core


def tempered_planes(
    planes: Mapping[str, np.ndarray], background: np.ndarray | None, maps: VoxelMaps, temperature: float
) -> Mapping[str, np.ndarray]:
    """Codes (Y, X) by structure -> the same after the temperature."""
    if temperature == 1.0:
        return planes
    powers, rest = DECODED ** (1 / temperature), (1 - DECODED) ** (1 / temperature)
    if not maps.exclusive or len(planes) == 1:
        alone = np.r_[np.uint8(0), encode(powers / (powers + rest))[1:]]
        return {name: alone[plane] for name, plane in planes.items()}
    if background is None:
        raise ValueError("structures that exclude each other need the map of the background to be tempered")
    total = powers[background]
    for plane in planes.values():
        total = total + powers[plane]
    softened = {name: np.zeros_like(plane) for name, plane in planes.items()}
    for name, plane in planes.items():
        kept = plane > 0
        softened[name][kept] = encode(powers[plane[kept]] / total[kept])
    return softened
