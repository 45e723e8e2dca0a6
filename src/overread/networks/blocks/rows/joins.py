"""Blocks that read labelled maps beside those at hand."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from overread.core.errors import OverreadError
from overread.networks.blocks.attention_gate import AttentionGate
from overread.networks.blocks.block import BOTH, Block, Shape, axes_of, in_words, way_between
from overread.networks.blocks.feature_pyramid import FeaturePyramid
from overread.networks.blocks.pooling import max_pool
from overread.networks.blocks.upsampling import Unpool

Shapes = Sequence[Shape]


class Concatenated(nn.Module):
    """Maps laid one behind the other: (B, C1, ...), (B, C2, ...) to (B, C1 + C2, ...)."""

    def forward(self, maps: Tensor, *labelled: Tensor) -> Tensor:
        return torch.cat([maps, *labelled], dim=1)


class Added(nn.Module):
    """Maps added to each other, all of one shape."""

    def forward(self, maps: Tensor, *labelled: Tensor) -> Tensor:
        for other in labelled:
            maps = maps + other
        return maps


class Gated(nn.Module):
    """Labelled maps that come through a gate steered by those at hand, laid behind them."""

    def __init__(self, at_hand: int, labelled: int, inner: int, dimensions: int) -> None:
        super().__init__()
        self.gate = AttentionGate(labelled, at_hand, inner, dimensions)

    def forward(self, maps: Tensor, labelled: Tensor) -> Tensor:
        return torch.cat([maps, self.gate(labelled, maps)], dim=1)


class Unpooled(nn.Module):
    """Each value at hand goes back to where the labelled maps, which were pooled, have their largest value."""

    def __init__(self, size: Sequence[int]) -> None:
        super().__init__()
        self.pool = max_pool(len(size), size)
        self.pool.return_indices = True
        self.unpool = Unpool()

    def forward(self, maps: Tensor, labelled: Tensor) -> Tensor:
        _, places = self.pool(labelled.detach())
        return self.unpool(maps, places, labelled.shape[2:])


class Finest(nn.Module):
    """The finest maps of a feature pyramid over labelled maps, finest first, and those at hand, the coarsest."""

    def __init__(self, widths: Sequence[int], features: int, dimensions: int) -> None:
        super().__init__()
        self.pyramid = FeaturePyramid(widths, features, dimensions, finest_alone=True)

    def forward(self, maps: Tensor, *labelled: Tensor) -> Tensor:
        return self.pyramid([*labelled, maps])[0]


def _concat(shapes: Shapes) -> nn.Module:
    _refuse_other_grids(shapes)
    return Concatenated()


def _add(shapes: Shapes) -> nn.Module:
    _refuse_other_grids(shapes)
    if len({shape[0] for shape in shapes}) > 1:
        raise OverreadError(
            f"{_both(shapes)}: maps are added one by one",
            next=f'put "conv {shapes[1][0]} kernel=1" before it, or take concat',
        )
    return Added()


def _attention_gate(shapes: Shapes, *, inner: int | None = None) -> nn.Module:
    _one_label(shapes)
    _refuse_other_grids(shapes)
    return Gated(shapes[0][0], shapes[1][0], inner or max(1, shapes[1][0] // 2), axes_of(shapes))


def _unpool(shapes: Shapes) -> nn.Module:
    _one_label(shapes)
    coarse, fine = shapes
    if coarse[0] != fine[0]:
        raise OverreadError(f"{_both(shapes)}: unpooling keeps the maps", next=f'put "conv {fine[0]}" before it')
    if any(long % short for long, short in zip(fine[1:], coarse[1:], strict=True)):
        raise OverreadError(
            f"{_both(shapes)}: the coarse grid has to divide the fine one", next="label the maps just before the max_pool"
        )
    return Unpooled([long // short for long, short in zip(fine[1:], coarse[1:], strict=True)])


def _feature_pyramid(shapes: Shapes, features: int) -> nn.Module:
    at_hand, *labelled = shapes
    for finer, coarser in zip(labelled, [*labelled[1:], at_hand], strict=True):
        if any(long < short for long, short in zip(finer[1:], coarser[1:], strict=True)):
            raise OverreadError(
                f"{in_words(finer)} stand before {in_words(coarser)} in the pyramid", next="name the labels from fine to coarse"
            )
    return Finest([shape[0] for shape in (*labelled, at_hand)], features, axes_of(shapes))


def _one_label(shapes: Shapes) -> None:
    if len(shapes) != 2:
        raise OverreadError(f"it reads one label and got {len(shapes) - 1}", next="name the label of one earlier block")


def _refuse_other_grids(shapes: Shapes) -> None:
    at_hand, *labelled = shapes
    for other in labelled:
        if other[1:] != at_hand[1:]:
            way = way_between(at_hand[1:], other[1:])
            next_step = f'put "{way}" before it' if way else "label the maps of another block"
            raise OverreadError(f"{_both([at_hand, other])}: both have to lie on one grid", next=next_step)


def _both(shapes: Shapes) -> str:
    return f"{in_words(shapes[0])} came, and the label holds {in_words(shapes[1])}"


ROWS = (
    Block(
        "concat",
        "Skip by concatenation",
        BOTH,
        "Ronneberger 2015, arXiv:1505.04597",
        "Lays labelled maps behind those at hand, so that fine detail comes back.",
        _concat,
        joins=True,
    ),
    Block(
        "add",
        "Skip by addition",
        BOTH,
        "He 2016, arXiv:1512.03385; Long 2015, arXiv:1411.4038",
        "Adds labelled maps to those at hand: a shortcut over any number of blocks.",
        _add,
        joins=True,
    ),
    Block(
        "attention_gate",
        "Attention gate",
        BOTH,
        "Oktay 2018, arXiv:1804.03999",
        "Concatenates labelled maps, but only the places that the deeper maps ask for come through.",
        _attention_gate,
        joins=True,
    ),
    Block(
        "unpool",
        "Unpooling",
        BOTH,
        "Badrinarayanan 2017, arXiv:1511.00561",
        "Puts each value back where max pooling found the largest one of the labelled maps: sharp edges, nothing learned.",
        _unpool,
        joins=True,
    ),
    Block(
        "feature_pyramid",
        "Feature pyramid",
        BOTH,
        "Lin 2017, arXiv:1612.03144",
        "Brings what coarse maps know to the finest labelled ones.",
        _feature_pyramid,
        joins=True,
    ),
)
