"""The maps of a layer for one case: where in the image each of its channels responds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from overread.explanation.asked import Asked
from overread.explanation.methods.layers import chosen_layer, watched

MOST_MAPS = 15


@dataclass(frozen=True)
class FeatureMaps:
    """Channels of a layer, those that vary most over the image first.

    numbers   of the channels, from 0
    maps      (N, Z, Y, X) float32, their values; of a network in two dimensions Z is 1
    channels  how many the layer has
    """

    layer: str
    numbers: tuple[int, ...]
    maps: np.ndarray
    channels: int


def feature_maps(asked: Asked, layer: str, most: int = MOST_MAPS) -> FeatureMaps:
    """What the layer answers to the window; a layer that does not exist is refused with the nearest names."""
    chosen_layer(asked, layer)
    with watched(asked.network, layer, asked.images) as kept, torch.no_grad():
        asked.score(asked.images)
    finest = max(kept, key=lambda maps: maps[0, 0].numel())[0].float().cpu()
    values = finest.numpy() if asked.dimensions == 3 else finest.numpy()[:, None]
    spread = values.reshape(len(values), -1).std(1)
    order = np.argsort(-spread, kind="stable")[:most]
    return FeatureMaps(layer, tuple(int(k) for k in order), np.ascontiguousarray(values[order]), len(values))
