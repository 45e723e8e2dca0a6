"""One question to one network about one window of one case: a number that can be differentiated, and the way back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from overread.batches.prepare import Prepared, undo_map
from overread.batches.sampler import flatten
from overread.batches.windows import Shape, centred_start, cut
from overread.core.errors import OverreadError
from overread.networks.fusion.fused import about
from overread.networks.layout import memory_format
from overread.reading.answering import Answering
from overread.reading.ensemble import Ensemble
from overread.reading.predictor import Predictor
from overread.tasks.base import Task
from overread.tasks.target import Target


@dataclass(frozen=True)
class Asked:
    """A window of a prepared image, and what is asked of the network about it; computed in float32.

    network   in evaluation mode, the patient's clinical values fixed where it reads any; another one than the predictor's own
              where its weights are on trial
    prepared  the whole image as the network sees it
    start     (z, y, x) of the window on the prepared grid; negative where the image is smaller than the window
    target    in the window
    images    (1, C, [Z,] Y, X) float32, the window
    """

    network: nn.Module
    task: Task
    prepared: Prepared
    start: Shape
    patch: Shape
    dimensions: int
    target: Target
    images: Tensor

    def score(self, images: Tensor) -> Tensor:
        """(B, C, [Z,] Y, X) -> (B,): the number that the map explains, see `Task.score`."""
        images = images.contiguous(memory_format=memory_format(images.ndim))
        return self.task.score(self.network, images, self.target)

    def with_network(self, network: nn.Module) -> Asked:
        """The same asked of another network, about the same patient."""
        return replace(self, network=about(network, self.prepared.clinical))

    def with_images(self, images: Tensor) -> Asked:
        """The same question about a changed window."""
        return replace(self, images=images)

    def volume(self, values: Tensor) -> np.ndarray:
        """([Z,] Y, X) of the window as (Z, Y, X) float32."""
        return np.ascontiguousarray(values.detach().float().cpu().numpy().reshape(self.patch), dtype=np.float32)

    def on_grid(self, values: np.ndarray) -> np.ndarray:
        """(Z, Y, X) of the window -> on the prepared grid; 0 where the window does not reach."""
        shape: Shape = self.prepared.array.shape[1:]
        whole = np.zeros(shape, dtype=np.float32)
        spans = [(max(0, s), min(s + p, n)) for s, p, n in zip(self.start, self.patch, shape, strict=True)]
        inner = tuple(slice(a - s, b - s) for (a, b), s in zip(spans, self.start, strict=True))
        whole[tuple(slice(a, b) for a, b in spans)] = values[inner]
        return whole

    def on_source(self, values: np.ndarray) -> np.ndarray:
        """(Z, Y, X) of the window -> (Z, Y, X) float32 on the grid of the image as it came; 0 outside of the window."""
        return undo_map(self.on_grid(values), self.prepared)

    @property
    def spacing_mm(self) -> tuple[float, float, float] | None:
        """(Z, Y, X) of the window's voxels; None where the image has no known spacing."""
        return self.prepared.grid.spacing if self.prepared.grid.spacing_known else None


def ask(predictor: Predictor, prepared: Prepared, target: Target) -> Asked:
    """The question about one target of a prepared image.

    target  on the prepared grid, see `explanation.targets`
    An answer per case is asked about the whole input. For a structure or an object the window is centred on it.
    """
    patch = predictor.preparation.patch
    start = _start(prepared.array.shape[1:], patch, target)
    window = torch.from_numpy(cut(prepared.array, start, patch)[None]).to(predictor.device).float()
    images = flatten(window, predictor.preparation.dimensions)
    return Asked(
        about(predictor.network.eval(), prepared.clinical),
        predictor.task,
        prepared,
        start,
        patch,
        predictor.preparation.dimensions,
        target.within(start, patch),
        images,
    )


def single(answering: Answering) -> tuple[tuple[Predictor, float], ...]:
    """The networks behind an answer, each with its share of it."""
    if isinstance(answering, Ensemble):
        return tuple(zip(answering.members, answering.shares, strict=True))
    if isinstance(answering, Predictor):
        return ((answering, 1.0),)
    raise OverreadError(f"Nothing is known of how a {type(answering).__name__} answers.", "explain a .overread model")


def _start(shape: tuple[int, ...], patch: Shape, target: Target) -> Shape:
    """Where the window begins: in the middle of the image, or with the target in its middle as far as the image reaches."""
    middle = centred_start((shape[0], shape[1], shape[2]), patch)
    if target.voxels is not None and target.voxels.any():
        centre = np.array([np.median(axis) for axis in np.nonzero(target.voxels)])
    elif target.box is not None:
        centre = (target.box[:3] + target.box[3:]) / 2
    else:
        return middle
    room = [n - p for n, p in zip(shape, patch, strict=True)]
    wished = [int(np.clip(round(c - (p - 1) / 2), 0, max(r, 0))) for c, p, r in zip(centre, patch, room, strict=True)]
    z, y, x = (m if r <= 0 else w for m, r, w in zip(middle, room, wished, strict=True))
    return (z, y, x)
