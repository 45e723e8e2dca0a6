"""The adversarial pair of Wasserstein: the critic measures how far made images are from real ones, and stays smooth.

What it measures only means something while its slope is 1 at each image by itself (the gradient penalty), so nothing in it may
mix images of a batch: no batch normalisation.

Sources: Arjovsky 2017, arXiv:1701.07875; the gradient penalty: Gulrajani 2017 (WGAN-GP), arXiv:1704.00028.
"""

from __future__ import annotations

from collections.abc import Sequence

from overread.networks.blocks.initial import he_initialise
from overread.networks.generative.dcgan import FEATURES
from overread.networks.generative.latent_pair import LatentPair
from overread.networks.generative.maker import Critic, Maker
from overread.networks.generative.parts import draw_small
from overread.networks.generative.steps import SLOPE, plan_steps


class WassersteinGan(LatentPair):
    """The maker of DCGAN, and a critic without normalisation, whose weights keep the variance by themselves.

    image_size, latent, features, classes  as of DCGAN
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
        steps = plan_steps(image_size, dimensions, "wasserstein_gan", most=len(features))
        widths = tuple(features)[: len(steps.strides)]
        generator = Maker(latent, out_channels, steps, widths, classes)
        critic = Critic(out_channels, steps, widths, classes, norm="none")
        super().__init__(generator, critic, steps, out_channels, latent, classes)
        draw_small(generator)
        he_initialise(critic, slope=SLOPE)
