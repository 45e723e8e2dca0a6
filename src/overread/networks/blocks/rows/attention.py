"""Blocks that weigh: channels, places, tokens, slices."""

from collections.abc import Sequence

from torch import Tensor, nn

from overread.core.errors import OverreadError
from overread.networks.blocks.block import BOTH, MAPS, SLICES, VOLUME, Block, Shape, axes_of, kind_of
from overread.networks.blocks.pooling_over_slices import AttentionPooling
from overread.networks.blocks.recurrent import Recurrent
from overread.networks.blocks.self_attention import AttentionBeside, OverMaps, Position, TransformerBlock
from overread.networks.blocks.spatial_attention import SpatialAttention
from overread.networks.blocks.squeeze_excitation import SqueezeExcitation

Shapes = Sequence[Shape]


class Slices(nn.Module):
    """Each slice of a volume as one vector, its maps averaged: (B, C, Z, Y, X) to (B, Z, C)."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.flatten(3).mean(3).transpose(1, 2)


class Pooled(nn.Module):
    """Attention pooling without its weights, which ``pooling.weights_of`` gives: (B, slices, F) to (B, F)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.pooling = AttentionPooling(width, inner)

    def forward(self, slices: Tensor) -> Tensor:
        exam, _weights = self.pooling(slices)
        return exam


def _squeeze_excitation(shapes: Shapes, *, ratio: int = 16) -> nn.Module:
    return SqueezeExcitation(shapes[0][0], axes_of(shapes), ratio)


def _spatial_attention(shapes: Shapes, *, kernel: int = 7) -> nn.Module:
    if kernel % 2 == 0:
        raise OverreadError(f"a kernel of {kernel} has no voxel in its middle", next="take an odd size")
    return SpatialAttention(axes_of(shapes), kernel)


def _self_attention(shapes: Shapes, *, heads: int = 4) -> nn.Module:
    return _over(shapes[0], AttentionBeside(_width(shapes[0]), heads))


def _transformer(shapes: Shapes, *, heads: int = 4, ratio: int = 4, dropout: float = 0.0) -> nn.Module:
    return _over(shapes[0], TransformerBlock(_width(shapes[0]), heads, ratio, dropout))


def _position(shapes: Shapes) -> nn.Module:
    return Position(shapes[0])


def _slices(shapes: Shapes) -> nn.Module:
    return Slices()


def _recurrent(shapes: Shapes, hidden: int, *, kind: str = "lstm") -> nn.Module:
    return Recurrent(shapes[0][1], hidden, kind)


def _attention_pooling(shapes: Shapes, inner: int = 128) -> nn.Module:
    return Pooled(shapes[0][1], inner)


def _over(shape: Shape, block: nn.Module) -> nn.Module:
    return OverMaps(block) if kind_of(shape) == MAPS else block


def _width(shape: Shape) -> int:
    return shape[0] if kind_of(shape) == MAPS else shape[1]


ROWS = (
    Block(
        "squeeze_excitation",
        "Squeeze and excitation",
        BOTH,
        "Hu 2018, arXiv:1709.01507",
        "Lets the whole image decide how much each feature counts.",
        _squeeze_excitation,
    ),
    Block(
        "spatial_attention",
        "Spatial attention",
        BOTH,
        "Woo 2018, arXiv:1807.06521",
        "Lets the image decide how much each place counts.",
        _spatial_attention,
    ),
    Block(
        "self_attention",
        "Self-attention (non-local block)",
        BOTH,
        "Vaswani 2017, arXiv:1706.03762; Wang 2018, arXiv:1711.07971",
        "Every place takes what it needs from every other place; put it where maps are small.",
        _self_attention,
        reads=(MAPS, SLICES),
    ),
    Block(
        "transformer",
        "Transformer block",
        BOTH,
        "Dosovitskiy 2021, arXiv:2010.11929",
        "Self-attention, then two layers at each place; behind patches and position a vision transformer.",
        _transformer,
        reads=(MAPS, SLICES),
    ),
    Block(
        "position",
        "Learned position",
        BOTH,
        "Dosovitskiy 2021, arXiv:2010.11929",
        "Tells attention where each place lies; ties the network to one size of image.",
        _position,
        reads=(MAPS, SLICES),
        needs_size=True,
    ),
    Block(
        "slices",
        "Volume to slices",
        VOLUME,
        "Bien 2018, doi:10.1371/journal.pmed.1002699",
        "Averages the maps within each slice, so that what follows reads an exam slice by slice.",
        _slices,
    ),
    Block(
        "recurrent",
        "Recurrent layer over slices (LSTM, GRU)",
        VOLUME,
        "Hochreiter 1997, doi:10.1162/neco.1997.9.8.1735; Cho 2014, arXiv:1406.1078",
        "Reads each slice with those above and below in mind.",
        _recurrent,
        reads=(SLICES,),
    ),
    Block(
        "attention_pooling",
        "Attention pooling over slices",
        VOLUME,
        "Ilse 2018, arXiv:1802.04712",
        "Joins the slices of an exam by how much each counts, learned from labels per exam.",
        _attention_pooling,
        reads=(SLICES,),
    ),
)
