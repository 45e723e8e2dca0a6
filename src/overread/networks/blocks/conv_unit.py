"""Convolution, normalisation, activation: the brick of classification networks."""

from collections.abc import Sequence

from torch import Tensor, nn

from overread.networks.blocks.activations import make_activation
from overread.networks.blocks.convolution import convolution
from overread.networks.blocks.dropout import make_dropout
from overread.networks.blocks.norms import make_norm


class ConvUnit(nn.Module):
    """Convolution, normalisation, activation, and dropout of whole channels where asked for.

    (B, inputs, [Z,] Y, X) to (B, outputs, [Z,] Y, X), each axis divided by its stride (rounded up)

    kernel      odd sizes, one per axis: their number says 2D or 3D
    norm        "batch", "group", "instance", "layer" or "none"; only with "none" has the convolution a bias of its own
    activation  of activations.py; "none" for a unit whose answer is added to something

    Source: Ioffe 2015, arXiv:1502.03167.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: Sequence[int],
        stride: Sequence[int] | int = 1,
        *,
        norm: str = "batch",
        activation: str = "relu",
        dilation: Sequence[int] | int = 1,
        groups: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        dimensions = len(tuple(kernel))
        self.conv = convolution(inputs, outputs, kernel, stride, norm == "none", dilation, groups)
        self.norm = make_norm(norm, outputs, dimensions, activate=False)
        self.activation = make_activation(activation, overwrite=True)
        self.dropout = make_dropout("channels", dropout, dimensions) if dropout else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        return self.dropout(self.activation(self.norm(self.conv(maps))))
