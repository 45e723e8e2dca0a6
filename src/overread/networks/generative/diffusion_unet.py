"""The denoiser of diffusion: a U-Net that is shown an image under noise and told how much, and says what the noise is.

Sources: Ho 2020 (DDPM), arXiv:2006.11239; one condition for class and none: Ho 2022 (guidance without a classifier),
arXiv:2207.12598; a mask beside the image: Saharia 2022 (Palette), arXiv:2111.05826.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from overread.core.errors import OverreadError
from overread.networks.blocks.convolution import convolution
from overread.networks.blocks.norms import make_norm
from overread.networks.blocks.self_attention import AttentionBeside, OverMaps
from overread.networks.generative.parts import checked_condition
from overread.networks.generative.steps import StepUp, kernel_of, plan_steps
from overread.networks.generative.time_embedding import TimeEmbedding
from overread.networks.generative.timed_block import TimedBlock, start_silent
from overread.networks.image.network import refuse_other_size

FEATURES = (64, 128, 256)
_TOLD = 4  # times as many numbers tell the time as there are channels at full resolution


class DiffusionUNet(nn.Module):
    """Timed residual blocks on the way down and up, attention at the coarsest resolution.

    image_size      [Z,] Y, X
    features        channels per resolution, the finest first; as many are taken as the image can be halved
    blocks          per resolution, down and up
    heads           of attention
    classes         that can be asked for
    guide_channels  of a mask or map that lies beside the image
    dropout         share of elements dropped in every block
    """

    def __init__(
        self,
        out_channels: int,
        dimensions: int,
        *,
        image_size: Sequence[int] | None = None,
        features: Sequence[int] = FEATURES,
        blocks: int = 2,
        heads: int = 4,
        classes: int = 0,
        guide_channels: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        steps = plan_steps(image_size, dimensions, "diffusion_unet", most=len(features) - 1, least=0)
        widths, strides = tuple(features)[: len(steps.sizes)], steps.strides
        self.dimensions, self.classes, self.guide_channels = dimensions, classes, guide_channels
        self.image_shape = (out_channels, *steps.sizes[0])
        told = _TOLD * widths[0]
        self.times = TimeEmbedding(told)
        self.of_class = nn.Linear(classes, told, bias=False) if classes else None
        self.entry = convolution(out_channels + guide_channels, widths[0], (3,) * dimensions)
        self.down, self.steps, self.up, self.back = (nn.ModuleList() for _ in range(4))
        for level, width in enumerate(widths):
            entry, is_last = widths[max(0, level - 1)], level == len(widths) - 1
            inputs, attends = [entry, *[width] * (blocks - 1)], heads if is_last else 0
            self.down.append(nn.ModuleList(_block(before, width, told, dimensions, dropout, attends) for before in inputs))
            self.up.append(nn.ModuleList(_block(2 * width, width, told, dimensions, dropout, attends) for _ in inputs))
            if not is_last:
                stride, wider = strides[level], widths[level + 1]
                self.steps.append(convolution(width, width, kernel_of(stride), stride))
                self.back.append(StepUp(wider, width, stride))
        coarsest = widths[-1]
        self.middle = nn.ModuleList(_block(coarsest, coarsest, told, dimensions, dropout, each) for each in (heads, 0))
        self.last_norm = make_norm("group", widths[0], dimensions, activate=False)
        self.last = convolution(widths[0], out_channels, (3,) * dimensions)
        start_silent(self.last)

    def forward(self, images: Tensor) -> Tensor:
        """What is noise in images of which nothing is said: time 0, no class, an empty guide."""
        return self.denoise(images, torch.zeros(len(images), device=images.device), guide=self._empty_guide(images))

    def denoise(self, noisy: Tensor, times: Tensor, condition: Tensor | None = None, guide: Tensor | None = None) -> Tensor:
        """What the task has taught it to say of noisy images, in their shape: the noise, or another mixture of both.

        noisy      (B, C, [Z,] Y, X)
        times      (B,) how far the noise has gone, in steps of the schedule
        condition  (B, classes), 1 where the class is asked for, 0 throughout for any; None for any
        guide      (B, guide_channels, [Z,] Y, X) masks or maps on the grid of the images
        """
        told = self._told(times, condition)
        maps, *skips = self._encode(noisy, told, guide)
        row: Any
        for row, back in zip(reversed(self.up), (None, *reversed(self.back)), strict=True):
            maps = maps if back is None else back(maps, skips[-1].shape[2:])
            for block in row:
                maps = block(torch.cat((maps, skips.pop()), dim=1), told)
        return self.last(functional.silu(self.last_norm(maps)))

    def features(self, images: Tensor) -> Tensor:
        """The coarsest maps of images without noise averaged over space: (B, F).

        Source: Baranchuk 2022, arXiv:2112.03126.
        """
        told = self._told(torch.zeros(len(images), device=images.device), None)
        return self._encode(images, told, self._empty_guide(images))[0].flatten(2).mean(2)

    def _told(self, times: Tensor, condition: Tensor | None) -> Tensor:
        told: Tensor = self.times(times)
        asked = None if condition is None else checked_condition(condition, self.classes, "diffusion_unet")
        return told if self.of_class is None or asked is None else told + self.of_class(asked)

    def _encode(self, noisy: Tensor, told: Tensor, guide: Tensor | None) -> list[Tensor]:
        """The coarsest maps, then those that are handed across, the finest first."""
        refuse_other_size(noisy.shape[2:], self.image_shape[1:], "diffusion_unet")
        maps, skips = self.entry(self._guided(noisy, guide)), []
        row: Any
        for row, step in zip_longest(self.down, self.steps):
            for block in row:
                maps = block(maps, told)
                skips.append(maps)
            maps = maps if step is None else step(maps)
        for block in self.middle:
            maps = block(maps, told)
        return [maps, *skips]

    def _empty_guide(self, images: Tensor) -> Tensor | None:
        size = (len(images), self.guide_channels, *images.shape[2:])
        return images.new_zeros(size) if self.guide_channels else None

    def _guided(self, noisy: Tensor, guide: Tensor | None) -> Tensor:
        given = 0 if guide is None else guide.shape[1]
        if given != self.guide_channels:
            raise OverreadError(
                f"this diffusion_unet is guided by {self.guide_channels} channels beside the image, and was given {given}",
                next="give a guide with the channels it was trained with" if self.guide_channels else "leave the guide out",
            )
        return noisy if guide is None else torch.cat((noisy, guide.to(noisy.dtype)), dim=1)


class AttendingBlock(nn.Module):
    """A timed block, then self-attention beside a shortcut."""

    def __init__(self, block: TimedBlock, width: int, heads: int) -> None:
        super().__init__()
        self.block, self.attention = block, OverMaps(AttentionBeside(width, heads))

    def forward(self, maps: Tensor, told: Tensor) -> Tensor:
        return self.attention(self.block(maps, told))


def _block(inputs: int, outputs: int, told: int, dimensions: int, dropout: float, heads: int) -> nn.Module:
    timed = TimedBlock(inputs, outputs, told, dimensions, dropout)
    return AttendingBlock(timed, outputs, heads) if heads else timed
