"""A multilayer perceptron that reads each voxel by itself: what can be said without any neighbour.

The baseline of translation: whatever a network with a neighbourhood is better by, the neighbourhood has told. Every layer is
a convolution of one voxel (Lin et al., Network in network, ICLR 2014, arXiv:1312.4400), without norms, whose statistics would
tell of other voxels.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from overread.core.errors import OverreadError
from overread.networks.blocks.activations import make_activation
from overread.networks.blocks.convolution import convolution
from overread.networks.blocks.initial import he_initialise
from overread.networks.dense.one_scale import OneScale
from overread.networks.fit import refuse_indivisible

HIDDEN = (64, 64)  # neurons of each hidden layer


class Voxelwise(OneScale):
    """Answers of a voxel from its own channels alone; any size of image."""

    def __init__(self, in_channels: int, out_channels: int, dimensions: int, hidden: Sequence[int], activation: str) -> None:
        super().__init__()
        self.dimensions, self.divisor = dimensions, (1,) * dimensions
        one = (1,) * dimensions
        layers: list[nn.Module] = []
        for inputs, outputs in zip((in_channels, *hidden[:-1]), hidden, strict=True):
            layers += [convolution(inputs, outputs, one), make_activation(activation)]
        self.hidden, self.head = nn.Sequential(*layers), convolution(hidden[-1], out_channels, one)
        he_initialise(self, slope=0.0)

    def forward(self, images: Tensor) -> Tensor:
        """Answers per voxel: (B, C, [Z,] Y, X) to (B, out_channels, [Z,] Y, X)."""
        answer: Tensor = self.head(self.encode(images)[-1])
        return answer

    def encode(self, images: Tensor) -> list[Tensor]:
        refuse_indivisible(images.shape[2:], self.divisor, "this voxelwise network")
        return [self.hidden(images)]


def build_voxelwise(
    in_channels: int, out_channels: int, dimensions: int, *, hidden: Sequence[int] = HIDDEN, activation: str = "relu"
) -> Voxelwise:
    """hidden  neurons of each hidden layer"""
    if not hidden or min(hidden) < 1:
        raise OverreadError(f"voxelwise needs hidden layers with neurons; got {list(hidden)}.", "set hidden = [64, 64]")
    return Voxelwise(in_channels, out_channels, dimensions, tuple(hidden), activation)
