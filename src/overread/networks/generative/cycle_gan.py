"""Unpaired translation: two networks translate forth and back, each watched by a critic of what it should look like.

Without pairs nothing says what an image should become, but that it is the same again after the way back (the cycle).

Source: Zhu 2017 (CycleGAN), arXiv:1703.10593.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from overread.networks.generative.parts import OfParts, draw_small
from overread.networks.generative.patch_critic import STEPS as OF_CRITIC
from overread.networks.generative.patch_critic import WIDTH, PatchCritic
from overread.networks.generative.steps import plan_steps
from overread.networks.generative.translator import STEPS, Translator


class CycleGan(OfParts):
    """Two translators and two critics.

    forth, back  (B, in_channels, [Z,] Y, X) to (B, out_channels, [Z,] Y, X), and the reverse
    critic_a     scores what should look like images that are read, (B, in_channels, [Z,] Y, X) to (B, 1, [z,] y, x)
    critic_b     scores what should look like pictures that are answered, (B, out_channels, [Z,] Y, X)

    image_size      [Z,] Y, X; says which axes are long enough to be halved
    base_features   of the translators at full resolution
    blocks          residual blocks of the translators
    critic_features channels after the critics' first step
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        dimensions: int,
        *,
        image_size: Sequence[int] | None = None,
        base_features: int = 64,
        blocks: int = 6,
        critic_features: int = WIDTH,
    ) -> None:
        super().__init__()
        self.dimensions = dimensions
        steps = plan_steps(image_size, dimensions, "cycle_gan", most=max(STEPS, OF_CRITIC)).strides
        self.forth = Translator(in_channels, out_channels, steps[:STEPS], base_features, blocks)
        self.back = Translator(out_channels, in_channels, steps[:STEPS], base_features, blocks)
        self.critic_a = PatchCritic(in_channels, steps[:OF_CRITIC], critic_features)
        self.critic_b = PatchCritic(out_channels, steps[:OF_CRITIC], critic_features)
        draw_small(self)

    def forward(self, images: Tensor) -> Tensor:
        """The picture of each image: (B, in_channels, [Z,] Y, X) to (B, out_channels, [Z,] Y, X)."""
        return self.forth(images)

    def whole(self, images: Tensor) -> Tensor:
        """The image on its way forth and back, scored at both ends: both maps of scores added."""
        picture = self.forth(images)
        return self.critic_b(picture) + self.critic_a(self.back(picture))

    def features(self, images: Tensor) -> Tensor:
        """The coarsest maps of the way forth averaged over space: (B, F)."""
        return self.forth.encode(images)[0].flatten(2).mean(2)
