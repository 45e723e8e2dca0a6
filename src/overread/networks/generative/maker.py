"""The two players of an adversarial pair: one makes images of random numbers, one scores images.

Sources: Goodfellow 2014, arXiv:1406.2661; the layers: Radford 2016 (DCGAN), arXiv:1511.06434.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn

from overread.networks.blocks.norms import make_norm
from overread.networks.generative.parts import checked_condition
from overread.networks.generative.steps import Steps, StepUp, step_down

NORM = "batch"  # of the maker of images, in all published pairs


class Maker(nn.Module):
    """Random numbers to images: a linear layer lays out the smallest maps, and each step doubles them.

    forward: latents (B, latent) and a condition (B, classes) or None, to (B, outputs, [Z,] Y, X)

    features  channels after each step down of the critic, which the maker walks back
    classes   that can be asked for: the condition stands beside the latents (Mirza 2014, arXiv:1411.1784)

    The paper ends in a tanh, since its images lie between -1 and 1; ours have mean 0 and spread 1 and no bounds: no tanh.
    """

    def __init__(self, latent: int, outputs: int, steps: Steps, features: Sequence[int], classes: int) -> None:
        super().__init__()
        self.sizes, self.classes = steps.sizes, classes
        dimensions = len(steps.sizes[0])
        self.first = nn.Linear(latent + classes, features[-1] * prod(steps.sizes[-1]))
        self.norms, self.ups = nn.ModuleList(), nn.ModuleList()
        widths = (outputs, *features)
        for step in reversed(range(len(features))):
            self.norms.append(make_norm(NORM, widths[step + 1], dimensions, activate=False))
            self.ups.append(StepUp(widths[step + 1], widths[step], steps.strides[step]))

    def forward(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        condition = checked_condition(condition, self.classes, "maker of images")
        numbers = latents if condition is None else torch.cat((latents, condition.to(latents.dtype)), dim=1)
        maps = self.first(numbers).unflatten(1, (-1, *self.sizes[-1]))
        for norm, up, size in zip(self.norms, self.ups, reversed(self.sizes[:-1]), strict=True):
            maps = up(nn.functional.relu(norm(maps)), size)
        return maps


class Critic(nn.Module):
    """Images to one score each: higher for what looks like an image that was taken.

    forward: images (B, inputs, [Z,] Y, X) and a condition (B, classes) or None, to (B,)

    norm     of the steps after the first; "none" where the gradient at each image by itself is asked for
    classes  a direction of the last maps for each class is added to the score (Miyato 2018, arXiv:1802.05637)
    """

    def __init__(self, inputs: int, steps: Steps, features: Sequence[int], classes: int, *, norm: str) -> None:
        super().__init__()
        self.classes = classes
        self.steps = nn.Sequential()
        for (before, after), stride in zip(pairwise((inputs, *features)), steps.strides, strict=True):
            self.steps.append(step_down(before, after, stride, norm if len(self.steps) else "none"))
        self.score = nn.Linear(features[-1] * prod(steps.sizes[-1]), 1)
        self.of_class = nn.Linear(classes, features[-1], bias=False) if classes else None

    def forward(self, images: Tensor, condition: Tensor | None = None) -> Tensor:
        condition = checked_condition(condition, self.classes, "critic")
        maps = self.steps(images)
        scores = self.score(maps.flatten(1))[:, 0]
        if self.of_class is None or condition is None:
            return scores
        return scores + (self.of_class(condition) * maps.flatten(2).mean(2)).sum(1)
