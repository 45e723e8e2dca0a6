"""Masked images: parts of an image are hidden, and the network fills them in; what it must know to do so it keeps.

A network that answers per voxel answers with the image itself. One that answers per image has one linear layer put on its last
map, each of whose places fills in the block of voxels that it stands for; the layer is thrown away afterwards.

Sources: Xie et al., SimMIM, CVPR 2022, arXiv:2111.09886 (one linear layer, absolute error of hidden places alone); Zhou et al.,
ISBI 2023, arXiv:2203.05573 (self pre-training on the images of the task itself). Hidden voxels are 0, the mean of a normalised
image, as convolutions have no token for "hidden".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from overread.core.errors import OverreadError

LOSS = "masked L1"


class Reconstructing(nn.Module):
    """A network and what makes images of its answer: (B, C, [Z,] Y, X) with gaps -> the same without.

    network   answers per voxel with as many channels as the image has, or per image
    channels  of the image
    size      of the window, voxels per axis
    """

    def __init__(self, network: nn.Module, channels: int, size: tuple[int, ...], *, is_dense: bool) -> None:
        super().__init__()
        self.network, self.channels = network, channels
        self.last = "" if is_dense else _last_map(network, channels, size)
        self.fill: nn.Module = nn.Identity()
        self.block: tuple[int, ...] = ()
        if not is_dense:
            with _only_asked(network):
                maps = self._maps(torch.zeros(1, channels, *size))
            self.block = tuple(-(-voxels // places) for voxels, places in zip(size, maps.shape[2:], strict=True))
            kernel = nn.Conv2d if len(size) == 2 else nn.Conv3d
            self.fill = kernel(maps.shape[1], channels * prod(self.block), 1)

    def forward(self, images: Tensor) -> Tensor:
        if not self.last:
            answer: Tensor = self.network(images)
            return answer
        blocks = self.fill(self._maps(images))
        return _woven(blocks, self.channels, self.block)[(slice(None), slice(None), *map(slice, images.shape[2:]))]

    def _maps(self, images: Tensor) -> Tensor:
        """The last map before the network averages over space."""
        seen: list[Tensor] = []
        hook = self.network.get_submodule(self.last).register_forward_hook(lambda _, __, maps: seen.append(maps))
        try:
            self.network.features(images)  # type: ignore[operator]
        finally:
            hook.remove()
        return seen[-1]


def _last_map(network: nn.Module, channels: int, size: tuple[int, ...]) -> str:
    """Name of the last part with kernels that answers with a map: what averages over space has none."""
    found: list[str] = []

    def noting(name: str) -> Callable[[nn.Module, object, Any], None]:
        def note(_module: nn.Module, _given: object, maps: Any) -> None:
            if isinstance(maps, Tensor) and maps.ndim == len(size) + 2:
                found.append(name)

        return note

    with_kernels = [(n, m) for n, m in network.named_modules() if n and any(p.ndim > 1 for p in m.parameters())]
    hooks = [module.register_forward_hook(noting(name)) for name, module in with_kernels]
    try:
        with _only_asked(network):
            network.features(torch.zeros(1, channels, *size))  # type: ignore[operator]
    finally:
        for hook in hooks:
            hook.remove()
    if not found:
        raise OverreadError(
            "This network has no maps in which hidden parts of an image could be filled in.",
            "pretrain it with --method contrastive, or choose another architecture",
        )
    return found[-1]


@contextmanager
def _only_asked(network: nn.Module) -> Iterator[None]:
    """A question that teaches nothing and changes no statistics."""
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        network.train(was_training)


def _woven(blocks: Tensor, channels: int, block: tuple[int, ...]) -> Tensor:
    """(B, C * block, places) -> (B, C, places * block): each place becomes its block of voxels."""
    axes = len(block)
    parted = blocks.reshape(len(blocks), channels, *block, *blocks.shape[2:])
    order = [place for axis in range(axes) for place in (2 + axes + axis, 2 + axis)]
    size = [places * edge for places, edge in zip(blocks.shape[2:], block, strict=True)]
    return parted.permute(0, 1, *order).reshape(len(blocks), channels, *size)


def masked_error(answer: Tensor, images: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute error over hidden voxels alone.

    answer, images  (B, C, [Z,] Y, X);  mask  (B, 1, [Z,] Y, X), 1 where hidden
    """
    error = functional.l1_loss(answer.float(), images.float(), reduction="none") * mask
    return error.sum() / (mask.sum() * images.shape[1]).clamp_min(1)


@dataclass(frozen=True)
class MaskedImages:
    """The task as the training loop asks for it; targets are the whole images with the mask as their last channel."""

    name: ClassVar[str] = "masked"
    loss: ClassVar[str] = LOSS

    def losses(self, network: nn.Module, images: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
        return {LOSS: masked_error(network(images), targets[:, :-1], targets[:, -1:])}
