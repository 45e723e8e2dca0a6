"""The code that an autoencoder makes of an image, and the image that it makes of a code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from overread.batches.sampler import flatten
from overread.batches.windows import centred_start, cut
from overread.core.errors import OverreadError
from overread.core.image import Image
from overread.reading.predictor import Predictor
from overread.tasks.generative.autoencoding import Autoencoding
from overread.tasks.generative.latent_diffusing import LatentDiffusing
from overread.tasks.generative.variational import Vae

AT_ONCE = 16


@dataclass(frozen=True)
class Codes:
    """The codes of N images.

    mean  (N, L) float64; of a variational autoencoder the middle of each image's cloud
    sd    (N, L) float64 spread of the cloud; None of a plain autoencoder, whose codes are points
    """

    mean: np.ndarray
    sd: np.ndarray | None = None


@dataclass(frozen=True)
class Coder:
    """A frozen network with an encoder and a decoder. Images and windows are normalised, as the network sees them."""

    predictor: Predictor

    @classmethod
    def of(cls, predictor: object) -> Coder:
        """Of the reader that a model file was loaded as; one that has no code is refused."""
        if not isinstance(predictor, Predictor) or not isinstance(predictor.task, Autoencoding | Vae | LatentDiffusing):
            raise OverreadError(
                "This model makes no code of an image.",
                "train one with --task autoencode, --task vae or the architecture latent_diffusion, or name it with --run",
            )
        return cls(predictor)

    @property
    def is_variational(self) -> bool:
        return isinstance(self.predictor.task, Vae)

    @property
    def length(self) -> int:
        """Numbers in a code."""
        return prod(self._shape)

    @property
    def _shape(self) -> tuple[int, ...]:
        """Of a code: numbers in a row, or of latent diffusion a small image (codes, [z,] y, x)."""
        network: Any = self.predictor.network
        return tuple(network.code_shape) if isinstance(self.predictor.task, LatentDiffusing) else (int(network.latent),)

    def window(self, image: Image) -> tuple[np.ndarray, bool]:
        """(C, *patch) float32 the middle of an image, of the size that the network reads; whether that is all of it."""
        prepared, patch = self.predictor.prepare(image), self.predictor.preparation.patch
        shape = prepared.array.shape[1:]
        seen = np.asarray(cut(prepared.array, centred_start(shape, patch), patch), np.float32)
        return seen, all(have <= read for have, read in zip(shape, patch, strict=True))

    @torch.inference_mode()
    def encode(self, windows: Sequence[np.ndarray]) -> Codes:
        """Codes of windows (C, *patch)."""
        network: Any = self.predictor.network.eval()
        images = torch.from_numpy(np.stack(windows)).to(self.predictor.device).float()
        found = network.encode(flatten(images, self.predictor.preparation.dimensions))
        if not self.is_variational:
            return Codes(_numbers(found.flatten(1)))
        mean, log_variance = found
        return Codes(_numbers(mean), np.exp(0.5 * _numbers(log_variance)))

    @torch.inference_mode()
    def decode(self, codes: np.ndarray) -> np.ndarray:
        """(N, C, *patch) float32 images of codes (N, L)."""
        network: Any = self.predictor.network.eval()
        made = []
        for first in range(0, len(codes), AT_ONCE):
            some = torch.from_numpy(np.asarray(codes[first : first + AT_ONCE], np.float32)).to(self.predictor.device)
            made.append(network.decode(some.reshape(-1, *self._shape)).float().cpu().numpy())
        images = np.concatenate(made)
        return images[:, :, None] if self.predictor.preparation.dimensions == 2 else images


def _numbers(codes: Tensor) -> np.ndarray:
    return np.asarray(codes.double().cpu().numpy())
