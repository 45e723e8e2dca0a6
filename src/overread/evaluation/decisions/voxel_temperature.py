"""One temperature for the probabilities of voxels, fitted on tuning cases; it changes no mask.

Each class's probability is raised to 1 / temperature and the classes are made to add up to 1 again, so which class is the
likeliest stays what it was. Source: Guo et al., ICML 2017; for masks Mehrtash et al., IEEE TMI 2020;39:3868.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from overread.core.kinds import LabelMap
from overread.evaluation.decisions.temperature import COOLEST, HOTTEST
from overread.metrics.probability_code import FLOORED, HALF
from overread.metrics.voxel_table import Crop, VoxelMaps, near

MOST_NUMBERS = 100_000  # of a case: voxels, evenly spread, times classes; they weigh for all of its voxels near a structure
AT_THE_END = 0.02  # of log temperature: an optimum so near to the limits of the search is none

LazyMaps = Callable[[], tuple[LabelMap, VoxelMaps]]  # truth and raw probabilities of one case on one grid


@dataclass(frozen=True)
class VoxelSample:
    """Some voxels of one case.

    logs    (n, C) float32, log probability of each class; C is 2 (without, with) where structures may overlap
    own     (n,) the class of the truth
    weight  voxels that each of them stands for
    """

    logs: np.ndarray
    own: np.ndarray
    weight: float

    @property
    def is_right(self) -> bool:
        """Every voxel's own class is the likeliest."""
        return bool((self.logs.argmax(1) == self.own).all())

    def loss(self, temperature: float) -> float:
        """Negative log-likelihood, summed."""
        scaled = self.logs / temperature
        highest = scaled.max(1)
        total = highest + np.log(np.exp(scaled - highest[:, None]).sum(1))
        return self.weight * float((total - scaled[np.arange(len(self.own)), self.own]).sum())


def fit_voxel_temperature(cases: Iterable[LazyMaps]) -> float:
    """The temperature of least negative log-likelihood over voxels near a structure; 1.0 where there is none.

    cases  one function per tuning case that loads truth and probabilities; one case is in memory at a time
    """
    samples = [sample for load in cases for sample in _samples(*load())]
    if all(sample.is_right for sample in samples):  # the surer the likelier: there is no optimum
        return 1.0

    def loss(log_temperature: float) -> float:
        return sum(sample.loss(float(np.exp(log_temperature))) for sample in samples)

    bounds = (float(np.log(COOLEST)), float(np.log(HOTTEST)))
    found = optimize.minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-4})
    at_end = min(found.x - bounds[0], bounds[1] - found.x) < AT_THE_END
    return 1.0 if at_end or found.fun >= loss(0.0) else round(float(np.exp(found.x)), 4)


def _samples(truth: LabelMap, maps: VoxelMaps) -> list[VoxelSample]:
    """One sample of a case whose structures exclude each other, else one per structure; none where nothing is near."""
    names = list(maps.structures)
    found = [_sample(truth, maps, together) for together in ([names] if maps.exclusive else [[name] for name in names])]
    return [sample for sample in found if sample is not None]


def _sample(truth: LabelMap, maps: VoxelMaps, names: list[str]) -> VoxelSample | None:
    """Classes are none of the structures, then each of them."""
    core = np.zeros(maps.grid.shape, bool)
    for name in names:
        core |= truth.mask(name)
        core[maps.structures[name].box] |= maps.structures[name].values >= HALF
    region = near(core, maps.grid)
    inside = np.flatnonzero(region.values)
    if not len(inside):
        return None
    most = max(MOST_NUMBERS // (len(names) + 1), 1)
    chosen = inside[np.linspace(0, len(inside) - 1, min(len(inside), most)).astype(np.int64)]
    own = np.zeros(len(chosen), np.intp)
    for k, name in enumerate(names, 1):
        own[truth.mask(name)[region.box].reshape(-1)[chosen]] = k
    columns = [FLOORED[_codes(maps.structures[name], region, chosen)] for name in names]
    background = maps.background if len(names) > 1 else None
    nothing = 1 - columns[0] if background is None else FLOORED[_codes(background, region, chosen)]
    weight = len(inside) / len(chosen)
    return VoxelSample(np.log(np.stack([nothing, *columns], 1)).astype(np.float32), own, weight)


def _codes(crop: Crop, region: Crop, chosen: np.ndarray) -> np.ndarray:
    """(n,) codes of a map at places counted along the region's box."""
    shape = region.values.shape
    index = [axis + own.start for axis, own in zip(np.unravel_index(chosen, shape), region.box, strict=True)]
    inside = np.logical_and.reduce([(i >= b.start) & (i < b.stop) for i, b in zip(index, crop.box, strict=True)])
    out = np.zeros(len(chosen), np.uint8)
    out[inside] = crop.values[tuple(i[inside] - b.start for i, b in zip(index, crop.box, strict=True))]
    return out
