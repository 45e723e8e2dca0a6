"""One network, and what `overread inside` shows to it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from overread.batches.prepare import Prepared
from overread.explanation.asked import Asked
from overread.explanation.inside.window import noise_for, stations, window_of
from overread.explanation.methods.layers import chosen_layer
from overread.networks.anatomy.layers import LayerTable, layer_table
from overread.reading.predictor import Predictor

NOISES = 8  # images of noise, where there is no case

Made = tuple[dict[str, Any], dict[str, bytes]]  # what enters the record, and pictures by file name


@dataclass(frozen=True)
class Looked:
    """One network and what it is shown.

    several  prepared tuning cases, or the study that was given; the first one is drawn; empty where there is none
    case     name of the first; empty where there is none
    layer    that was asked for by name
    """

    predictor: Predictor
    several: tuple[Prepared, ...]
    case: str
    layer: str | None
    is_phantom: bool

    @cached_property
    def windows(self) -> tuple[Asked, ...]:
        """Of the cases, else of noise."""
        shown = self.several or tuple(noise_for(self.predictor, seed) for seed in range(NOISES))
        return tuple(window_of(self.predictor, prepared) for prepared in shown)

    @cached_property
    def table(self) -> LayerTable:
        return layer_table(self.windows[0].network, self.windows[0].images.shape[1:])

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """The layer that was named, else three on the way."""
        if self.layer is None:
            return stations(self.windows[0])
        named = chosen_layer(self.windows[0], self.layer)
        return () if named is None else (named,)

    @property
    def channels(self) -> tuple[str, ...]:
        return self.predictor.preparation.channels

    @property
    def image(self) -> np.ndarray:
        """(C, Z, Y, X) of the first window."""
        images = self.windows[0].images[0].cpu().numpy()
        return images if images.ndim == 4 else images[:, None]
