"""Penultimate features: what the last layer of a network sees of a case, as one row of numbers.

A network that answers per case sees the whole input at once, as it does when it answers. One that answers per voxel or lists
objects gives the middle of its encoder, averaged over space; it sees a case by windows that lie side by side and cover the
image, and its features are their mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from overread.batches.prepare import Prepared
from overread.batches.sampler import flatten
from overread.batches.windows import centred_start, cut, window_starts
from overread.networks.layout import memory_format
from overread.reading.predictor import WINDOW_BATCH, Predictor


def features_of(answering: Predictor, prepared: Prepared) -> np.ndarray:
    """(F,) float32 features of one prepared image, computed in float32 and without mirroring."""
    return np.asarray(features_of_several(answering, [prepared], WINDOW_BATCH)[0])


def features_of_several(predictor: Predictor, prepareds: Sequence[Prepared], batch: int) -> np.ndarray:
    """(N, F) float32 features of N prepared images; `batch` windows go through the network at once."""
    totals: dict[int, np.ndarray] = {}
    counts = np.zeros(len(prepareds), dtype=int)
    waiting: list[tuple[int, np.ndarray]] = []

    def empty() -> None:
        rows = _respond(predictor, [window for _, window in waiting])
        for (number, _), row in zip(waiting, rows, strict=True):
            totals[number] = totals[number] + row if number in totals else row
            counts[number] += 1
        waiting.clear()

    for number, prepared in enumerate(prepareds):
        for window in _windows(predictor, prepared):
            waiting.append((number, window))
            if len(waiting) == batch:
                empty()
    if waiting:
        empty()
    return np.stack([totals[number] / counts[number] for number in range(len(prepareds))]).astype(np.float32)


def _windows(predictor: Predictor, prepared: Prepared) -> Iterator[np.ndarray]:
    """(C, *patch) windows that a network is shown of a case."""
    shape, patch = prepared.array.shape[1:], predictor.preparation.patch
    if predictor.task.serves == "image":
        yield cut(prepared.array, centred_start(shape, patch), patch)
        return
    centred = centred_start(shape, patch)
    for start in window_starts(shape, patch, overlap=0.0):
        z, y, x = (c if n < p else s for s, c, n, p in zip(start, centred, shape, patch, strict=True))
        yield cut(prepared.array, (z, y, x), patch)


@torch.inference_mode()
def _respond(predictor: Predictor, windows: Sequence[np.ndarray]) -> np.ndarray:
    """(B, F) float64 features of windows (C, *patch)."""
    images = torch.from_numpy(np.stack(windows)).to(predictor.device).float()
    images = flatten(images, predictor.preparation.dimensions)
    seen = predictor.network.eval().features(images.contiguous(memory_format=memory_format(images.ndim)))  # type: ignore[operator]
    return np.asarray(seen.double().cpu().numpy())
