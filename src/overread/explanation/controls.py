"""Methods that must fail: they show that the trial tells a map of the network from a map of the image.

They look like any method and never look at the network.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.ndimage import sobel

from overread.explanation.asked import Asked
from overread.explanation.methods.method import Method


@dataclass(frozen=True)
class Edges:
    """The edges of the image: what Adebayo (2018) found some maps to be."""

    name: ClassVar[str] = "edges"
    title: ClassVar[str] = "Edge detector"
    source: ClassVar[str] = "Sobel; as a control: Adebayo, NeurIPS 2018, arXiv:1810.03292"
    is_signed: ClassVar[bool] = False

    def refusal(self, asked: Asked) -> str | None:
        return None

    def __call__(self, asked: Asked) -> np.ndarray:
        window = asked.images[0].double().cpu().numpy().reshape(-1, *asked.patch).mean(0)
        along = [axis for axis in range(3) if window.shape[axis] > 1]
        return np.asarray(np.sqrt(sum(sobel(window, axis) ** 2 for axis in along)), dtype=np.float32)


@dataclass(frozen=True)
class Constant:
    """The same everywhere."""

    name: ClassVar[str] = "constant"
    title: ClassVar[str] = "Constant map"
    source: ClassVar[str] = "none: a control"
    is_signed: ClassVar[bool] = False

    def refusal(self, asked: Asked) -> str | None:
        return None

    def __call__(self, asked: Asked) -> np.ndarray:
        return np.ones(asked.patch, dtype=np.float32)


@dataclass(frozen=True)
class Noise:
    """Drawn by chance, anew for every image and the same at every call."""

    name: ClassVar[str] = "noise"
    title: ClassVar[str] = "Random map"
    source: ClassVar[str] = "none: a control"
    is_signed: ClassVar[bool] = False

    def refusal(self, asked: Asked) -> str | None:
        return None

    def __call__(self, asked: Asked) -> np.ndarray:
        digest = hashlib.sha256(asked.images.contiguous().cpu().numpy().tobytes()).digest()
        return np.random.default_rng(int.from_bytes(digest[:8], "little")).random(asked.patch, dtype=np.float32)


CONTROLS: tuple[Method, ...] = (Edges(), Constant(), Noise())

# What each of them must fail, where it can be tried; anything else would mean that the trial does not work here. Edges may
# lie on what matters to a network: only maps that know nothing of the image must matter no more than an order by chance.
MUST_FAIL: Mapping[str, tuple[str, ...]] = {
    Edges.name: ("weight_randomisation",),
    Constant.name: ("weight_randomisation", "localisation", "deletion", "insertion"),
    Noise.name: ("weight_randomisation", "repeatability_shift", "localisation", "deletion", "insertion"),
}
