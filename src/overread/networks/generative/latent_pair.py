"""A maker of images from random numbers, and its critic, in one network."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from overread.networks.generative.maker import Critic, Maker
from overread.networks.generative.parts import OfParts, fixed_latents
from overread.networks.generative.steps import Steps


class LatentPair(OfParts):
    """What the adversarial pairs share.

    latent       random numbers that an image is made of
    classes      that can be asked for; 0 for none
    image_shape  (C, [Z,] Y, X) of one image
    generator    (latents (B, latent), condition (B, classes) or None) to (B, C, [Z,] Y, X)
    critic       (images (B, C, [Z,] Y, X), condition) to (B,), unbounded
    """

    def __init__(self, generator: Maker, critic: Critic, steps: Steps, out_channels: int, latent: int, classes: int) -> None:
        super().__init__()
        self.dimensions, self.latent, self.classes = len(steps.sizes[0]), latent, classes
        self.image_shape = (out_channels, *steps.sizes[0])
        self.generator, self.critic = generator, critic

    def forward(self, images: Tensor) -> Tensor:
        """As many images as are given, made of the same random numbers each time, of every class in turn."""
        latents = fixed_latents(len(images), self.latent, images.device)
        return self.generator(latents, self._in_turn(len(images), images.device))

    def whole(self, images: Tensor) -> Tensor:
        """The score of images to which made ones were added."""
        latents = images.new_zeros((len(images), self.latent))
        condition = self._in_turn(len(images), images.device)
        return self.critic(images + self.generator(latents, condition), condition)

    def as_in_training(self, images: Tensor, random: torch.Generator) -> None:
        """New random numbers each time; the critic sees real and made images apart."""
        latents = torch.randn((len(images), self.latent), generator=random).to(images.device)
        condition = self._in_turn(len(images), images.device)
        for shown in (images, self.generator(latents, condition)):
            self.critic(shown.to(images.dtype), condition)

    def features(self, images: Tensor) -> Tensor:
        """The last maps of the critic averaged over space: (B, F)."""
        return self.critic.steps(images).flatten(2).mean(2)

    def _in_turn(self, count: int, device: torch.device) -> Tensor | None:
        if not self.classes:
            return None
        classes = torch.arange(count, device=device) % self.classes
        return functional.one_hot(classes, self.classes).float()
