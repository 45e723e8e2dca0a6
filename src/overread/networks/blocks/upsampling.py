"""Ways to a finer grid: learned, interpolated, shuffled from channels, or back to where a maximum was found."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from overread.core.errors import OverreadError
from overread.networks.blocks.convolution import convolution
from overread.networks.blocks.norms import favours_channels_last
from overread.networks.blocks.pooling import LINEAR, max_pool

TRANSPOSED: dict[int, type[nn.ConvTranspose2d] | type[nn.ConvTranspose3d]] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


class Upsample(nn.Module):
    """A transposed convolution whose kernel is its stride: each voxel becomes a small block of voxels.

    Source: Zeiler 2010; Long 2015 (FCN), arXiv:1411.4038.
    """

    def __init__(self, inputs: int, outputs: int, stride: Sequence[int]) -> None:
        super().__init__()
        self.stride = tuple(stride)
        self.conv = TRANSPOSED[len(stride)](inputs, outputs, self.stride, self.stride)  # type: ignore[arg-type]

    def forward(self, maps: Tensor) -> Tensor:
        return self._multiply(maps) if favours_channels_last(maps) else self.conv(maps)

    def _multiply(self, maps: Tensor) -> Tensor:
        """The same as one matrix product and one copy, whose gradients are fast too."""
        axes = len(self.stride)
        weight, bias = self.conv.weight, self.conv.bias
        assert bias is not None
        matrix = weight.movedim(1, -1).flatten(1).t()  # (places in the block x outputs, inputs)
        blocks = functional.linear(maps.movedim(1, -1), matrix, bias.repeat(prod(self.stride)))
        blocks = blocks.unflatten(-1, (*self.stride, -1))  # (B, z, y, x, kz, ky, kx, outputs)
        woven = [place for axis in range(1, axes + 1) for place in (axis, axis + axes)]
        size = [voxels * step for voxels, step in zip(maps.shape[2:], self.stride, strict=True)]
        return blocks.permute(0, *woven, -1).reshape(len(maps), *size, -1).movedim(-1, 1)


def to_size(maps: Tensor, like: Tensor) -> Tensor:
    """Linear interpolation to the grid of other maps: (B, C, [z,] y, x) to (B, C, [Z,] Y, X)."""
    return functional.interpolate(maps, like.shape[2:], mode=LINEAR[maps.ndim], align_corners=False)


class Interpolated(nn.Module):
    """Linear interpolation between voxels, nothing learned: (B, C, [Z,] Y, X) to the same, each axis times its scale."""

    def __init__(self, scale: Sequence[int] | int) -> None:
        super().__init__()
        self.scale = scale if isinstance(scale, int) else tuple(scale)

    def forward(self, maps: Tensor) -> Tensor:
        axes = maps.ndim - 2
        scale = (self.scale,) * axes if isinstance(self.scale, int) else self.scale
        size = [voxels * step for voxels, step in zip(maps.shape[2:], scale, strict=True)]
        return functional.interpolate(maps, size, mode=LINEAR[maps.ndim], align_corners=False)

    def extra_repr(self) -> str:
        return f"scale={self.scale}"


class PixelShuffle(nn.Module):
    """A convolution makes many channels, which are then laid out as the voxels of a finer grid.

    (B, inputs, [Z,] Y, X) to (B, outputs, [Z,] Y, X), each axis times its stride
    All voxels of a block start with the same weights, so that no checkerboard shows (Aitken 2017, arXiv:1707.02937).

    Source: Shi 2016 (sub-pixel convolution), arXiv:1609.05158; in 3D with one more axis.
    """

    def __init__(self, inputs: int, outputs: int, stride: Sequence[int] | int, dimensions: int) -> None:
        super().__init__()
        self.stride = (stride,) * dimensions if isinstance(stride, int) else tuple(stride)
        self.conv = convolution(inputs, outputs * prod(self.stride), (3,) * dimensions)
        self.own_start()

    def own_start(self) -> None:
        """Give all voxels of a block the weights of the first."""
        with torch.no_grad():
            for values in (self.conv.weight, self.conv.bias):
                assert values is not None
                values.copy_(values[:: prod(self.stride)].repeat_interleave(prod(self.stride), dim=0))

    def forward(self, maps: Tensor) -> Tensor:
        axes = len(self.stride)
        blocks = self.conv(maps).unflatten(1, (-1, *self.stride))  # (B, outputs, kz, ky, kx, z, y, x)
        woven = [place for axis in range(2, axes + 2) for place in (axis + axes, axis)]
        size = [voxels * step for voxels, step in zip(maps.shape[2:], self.stride, strict=True)]
        return blocks.permute(0, 1, *woven).reshape(len(maps), -1, *size)


class PoolWithPlaces(nn.Module):
    """The largest value of each block, and where it was: (B, C, [Z,] Y, X) to maps and places, each axis divided by its size."""

    def __init__(self, dimensions: int, size: Sequence[int] | int = 2) -> None:
        super().__init__()
        self.pool = max_pool(dimensions, size)
        self.pool.return_indices = True

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        pooled, places = self.pool(maps)
        return pooled, places


class Unpool(nn.Module):
    """Each value goes back to where its maximum was found, zero elsewhere: edges stay sharp and nothing is learned.

    forward: maps (B, C, [z,] y, x), places of the same shape (from PoolWithPlaces) and the finer size, to (B, C, [Z,] Y, X)

    Source: Zeiler 2011; Badrinarayanan 2017 (SegNet), arXiv:1511.00561.
    """

    def forward(self, maps: Tensor, places: Tensor, size: Sequence[int]) -> Tensor:
        if maps.shape != places.shape:
            raise OverreadError(
                f"unpooling needs maps of the shape that was pooled, {tuple(places.shape[1:])}; got {tuple(maps.shape[1:])}",
                next="bring the maps to the channels and size of the pooling with a convolution",
            )
        finer = maps.new_zeros(*maps.shape[:2], prod(size))
        return finer.scatter(2, places.flatten(2), maps.flatten(2)).unflatten(2, tuple(size))
