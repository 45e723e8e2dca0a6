"""Ways to a finer grid."""

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn
from torch.nn import functional

from overread.networks.blocks.norms import favours_channels_last

TRANSPOSED: dict[int, type[nn.ConvTranspose2d] | type[nn.ConvTranspose3d]] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


class Upsample(nn.Module):
    """A transposed convolution whose kernel is its stride: each voxel becomes a small block of voxels."""

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
