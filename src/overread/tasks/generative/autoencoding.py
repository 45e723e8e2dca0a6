"""Autoencoding: an image through a short code and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from overread.tasks.generative.draws import normal_like
from overread.tasks.generative.pictures import PICTURES, PictureTask
from overread.tasks.generative.turns import LOOKING, Turn
from overread.tasks.losses import pictures as losses


@dataclass(frozen=True)
class Autoencoding(PictureTask):
    """The truth is the image itself.

    denoising  standard deviation of the noise on the images that are read while learning, in that of a normalised image;
               0 for a plain autoencoder. The truth has no noise, and neither has what is read afterwards.
               Source: Vincent et al., ICML 2008, doi:10.1145/1390156.1390294.
    """

    denoising: float = 0.0

    name: ClassVar[str] = "autoencode"
    losses_by_route: ClassVar[Mapping[str, tuple[str, ...]]] = {PICTURES: tuple(losses.BY_NAME)}

    @property
    def term_weights(self) -> Mapping[str, float]:
        return losses.WEIGHTS[self.loss]

    def losses(self, network: nn.Module, images: Tensor, targets: Tensor, turn: Turn = LOOKING) -> dict[str, Tensor]:
        if self.denoising:
            images = images + self.denoising * normal_like(images, turn.random())
        return losses.BY_NAME[self.loss](network(images), targets)
