"""The deep convolutional adversarial pair: a maker that tries to pass its images off as real, a critic that tells them apart.

Sources: Goodfellow 2014, arXiv:1406.2661; Radford 2016 (DCGAN), arXiv:1511.06434, with kernels of 4 as in its torch version.
"""

from __future__ import annotations

from collections.abc import Sequence

from overread.networks.generative.latent_pair import LatentPair
from overread.networks.generative.maker import NORM, Critic, Maker
from overread.networks.generative.parts import draw_small
from overread.networks.generative.steps import plan_steps

FEATURES = (128, 256, 512, 1024)  # as published for images of 64


class Dcgan(LatentPair):
    """Batch normalisation in both players.

    image_size  [Z,] Y, X
    latent      random numbers that an image is made of
    features    channels after each step down; of these as many are taken as the image can be halved
    classes     that can be asked for
    """

    def __init__(
        self,
        out_channels: int,
        dimensions: int,
        *,
        image_size: Sequence[int] | None = None,
        latent: int = 64,
        features: Sequence[int] = FEATURES,
        classes: int = 0,
    ) -> None:
        steps = plan_steps(image_size, dimensions, "dcgan", most=len(features))
        widths = tuple(features)[: len(steps.strides)]
        generator = Maker(latent, out_channels, steps, widths, classes)
        critic = Critic(out_channels, steps, widths, classes, norm=NORM)
        super().__init__(generator, critic, steps, out_channels, latent, classes)
        draw_small(self)
