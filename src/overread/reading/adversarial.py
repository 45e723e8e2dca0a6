"""A predictor whose images were moved one small step in the direction that its own answer minds most."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from overread.batches.sampler import flatten
from overread.batches.windows import Shape, centred_start, cut, window_starts
from overread.networks.fusion.fused import about
from overread.networks.layout import memory_format
from overread.reading.answering import Answering
from overread.reading.ensemble import Ensemble
from overread.reading.predictor import WINDOW_BATCH, Predictor

LEAST = 1e-30  # of a probability whose logarithm is taken


@dataclass
class Attacked(Predictor):
    """Reads each prepared image after a step of `epsilon` against the answer to it.

    epsilon  change of every voxel, up or down, in units of the prepared image, whose intensities spread by about 1

    The fast gradient sign method: image + epsilon * sign(gradient of the loss). The loss is that of the model's own answer, so
    no truth is needed; a measured number is pushed up or down, by chance. A volume is stepped window by window.
    Source: Goodfellow et al., ICLR 2015, arXiv 1412.6572.
    """

    epsilon: float = 0.0

    @classmethod
    def of(cls, predictor: Predictor, epsilon: float) -> Attacked:
        return cls(**{f.name: getattr(predictor, f.name) for f in fields(predictor)}, epsilon=epsilon)

    def raw(self, array: np.ndarray, clinical: np.ndarray | None = None) -> np.ndarray:
        return super().raw(self.stepped(array, clinical), clinical)

    def raw_several(
        self, arrays: Sequence[np.ndarray], batch: int, clinical: Sequence[np.ndarray | None] | None = None
    ) -> np.ndarray:
        values = clinical or [None] * len(arrays)
        return super().raw_several([self.stepped(a, v) for a, v in zip(arrays, values, strict=True)], batch, clinical)

    def stepped(self, array: np.ndarray, clinical: np.ndarray | None = None) -> np.ndarray:
        """(C, Z, Y, X) float32, each voxel `epsilon` higher or lower; 0 where the answer does not depend on it.

        Clinical numbers (D,) are read beside it and stay what they are.
        """
        gradient = np.zeros(array.shape, dtype=np.float32)
        starts = self._starts(array.shape[1:])
        for k in range(0, len(starts), WINDOW_BATCH):
            some = starts[k : k + WINDOW_BATCH]
            found = self._gradients([cut(array, start, self.preparation.patch) for start in some], clinical)
            for values, start in zip(found, some, strict=True):
                _add(gradient, values, start)
        return np.asarray(array + self.epsilon * np.sign(gradient), dtype=np.float32)

    def _starts(self, shape: Shape) -> list[Shape]:
        if self.task.serves != "dense":
            return [centred_start(shape, self.preparation.patch)]
        patch = self.preparation.patch
        small = [min(0, start) for start in centred_start(shape, patch)]  # shorter than the window: it lies around the image
        starts = window_starts(shape, patch, 0.0)
        return [tuple(s + o for s, o in zip(start, small, strict=True)) for start in starts]  # type: ignore[misc]

    def _gradients(self, windows: Sequence[np.ndarray], clinical: np.ndarray | None) -> np.ndarray:
        """(B, C, *patch): how the loss of the model's own answer changes with every voxel."""
        images = torch.from_numpy(np.stack(windows)).to(self.device).float().requires_grad_()
        given = flatten(images, self.preparation.dimensions)
        with torch.enable_grad():
            answer = self.task.respond(about(self.network, clinical), given.contiguous(memory_format=memory_format(given.ndim)))
            loss = self._loss(answer, windows)
            (gradient,) = torch.autograd.grad(loss, images)
        return np.asarray(gradient.cpu().numpy())

    def _loss(self, answer: Tensor, windows: Sequence[np.ndarray]) -> Tensor:
        """answer (B, K, ...): the loss of calling what the model itself calls most likely; for numbers, their sum, signed."""
        question = self.task.question
        if question.task == "regression":
            signs = torch.tensor([1.0 if zlib.crc32(w.tobytes()) & 1 else -1.0 for w in windows], device=answer.device)
            return (answer.sum(1) * signs).sum()
        if question.exclusive:
            own = answer.detach().argmax(1, keepdim=True)
            return -answer.gather(1, own).clamp_min(LEAST).log().sum()
        own_side = torch.where(answer.detach() > 0.5, answer, 1 - answer)
        return -own_side.clamp_min(LEAST).log().sum()


def attacked(reader: Answering, epsilon: float) -> Answering:
    """A reader whose images are stepped against its own answer; of an ensemble each member's against that member's."""
    if isinstance(reader, Ensemble):
        return replace(reader, members=tuple(Attacked.of(member, epsilon) for member in reader.members))
    assert isinstance(reader, Predictor)
    return Attacked.of(reader, epsilon)


def _add(total: np.ndarray, values: np.ndarray, start: Shape) -> None:
    """Add (C, *window) to the part of (C, Z, Y, X) that the window covers."""
    there, here = [slice(None)], [slice(None)]
    for axis, first in enumerate(start, 1):
        low, high = max(first, 0), min(first + values.shape[axis], total.shape[axis])
        there.append(slice(low, high))
        here.append(slice(low - first, high - first))
    total[tuple(there)] += values[tuple(here)]
