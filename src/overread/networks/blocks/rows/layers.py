"""Blocks of one layer, on maps, slices or a vector."""

from collections.abc import Sequence

from torch import nn

from overread.core.errors import OverreadError
from overread.networks.blocks.activations import make_activation
from overread.networks.blocks.block import BOTH, MAPS, SLICES, VECTOR, Block, Shape, axes_of, kind_of
from overread.networks.blocks.dropout import make_dropout
from overread.networks.blocks.norms import make_norm

Shapes = Sequence[Shape]
ANY = (MAPS, SLICES, VECTOR)


def _norm(shapes: Shapes, kind: str) -> nn.Module:
    return make_norm(kind, shapes[0][0], axes_of(shapes), activate=False)


def _activation(shapes: Shapes, name: str) -> nn.Module:
    return make_activation(name)


def _dropout(shapes: Shapes, rate: float, *, kind: str = "elements") -> nn.Module:
    if kind == "path":
        raise OverreadError(
            "without a shortcut beside it, dropping the path loses the image", next='write it as "residual ... path=0.1"'
        )
    if kind == "channels" and kind_of(shapes[0]) != MAPS:
        raise OverreadError("only maps have channels to drop", next='leave kind at "elements"')
    return make_dropout(kind, rate, axes_of(shapes) if kind_of(shapes[0]) == MAPS else 2)


def _flatten(shapes: Shapes) -> nn.Module:
    return nn.Flatten()


def _linear(shapes: Shapes, features: int) -> nn.Module:
    return nn.Linear(shapes[0][-1], features)


ROWS = (
    Block(
        "norm",
        "Normalisation: batch, instance, group, layer",
        BOTH,
        "Ioffe 2015, arXiv:1502.03167; Ulyanov 2016, arXiv:1607.08022; Wu 2018, arXiv:1803.08494; Ba 2016, arXiv:1607.06450",
        "Brings maps to one scale, so that learning is quick and steady; batch needs batches of 8 or more.",
        _norm,
    ),
    Block(
        "activation",
        "Activation: relu, leaky_relu, elu, gelu, silu, hardswish, prelu, sigmoid, tanh ...",
        BOTH,
        "Nair 2010; He 2015, arXiv:1502.01852; Hendrycks 2016, arXiv:1606.08415",
        "The bend after a layer, without which a stack of layers would be one straight line.",
        _activation,
        reads=ANY,
    ),
    Block(
        "dropout",
        "Dropout of elements or channels",
        BOTH,
        "Srivastava 2014, jmlr.org/papers/v15/srivastava14a; Tompson 2015, arXiv:1411.4280",
        "Silences a share at random while learning, so that no part relies on one other part.",
        _dropout,
        reads=ANY,
    ),
    Block(
        "flatten",
        "Maps to a vector",
        BOTH,
        "LeCun 1998, doi:10.1109/5.726791",
        "Lays all voxels of all maps in one vector; ties the network to one size of image.",
        _flatten,
        reads=(MAPS, SLICES),
        needs_size=True,
    ),
    Block(
        "linear",
        "Fully connected layer",
        BOTH,
        "Rosenblatt 1958, doi:10.1037/h0042519",
        "Every number reads every number; without a number at the end of the list it gives the answer.",
        _linear,
        reads=(SLICES, VECTOR),
    ),
)
