"""How a network over slices shares its answer out among them, as a map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from overread.explanation.asked import Asked
from overread.networks.exam.told import axis_of, slice_weights


@dataclass(frozen=True)
class SliceWeights:
    """The weight of each slice, the same at every voxel of it; 1 in all.

    It is the same for every target: a slice is looked at, or changes the answer, whatever for.
    """

    name: ClassVar[str] = "slice_weights"
    title: ClassVar[str] = "Slice weights"
    source: ClassVar[str] = "Ilse, ICML 2018, arXiv:1802.04712; without attention Li 2016, arXiv:1612.08220"
    is_signed: ClassVar[bool] = False

    def refusal(self, asked: Asked) -> str | None:
        return "it needs a network over slices" if axis_of(asked.network) is None else None

    def __call__(self, asked: Asked) -> np.ndarray:
        axis = axis_of(asked.network)
        assert axis is not None, "refused"
        weights = slice_weights(asked.network, asked.images)[0].cpu().numpy()
        shape = tuple(len(weights) if place == axis else 1 for place in range(3))
        in_plane = np.prod(asked.patch) / len(weights)
        return np.ascontiguousarray(np.broadcast_to(weights.reshape(shape) / in_plane, asked.patch), dtype=np.float32)
