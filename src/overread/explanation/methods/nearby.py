"""Many windows that differ from one image in a patch each: only what the patch reaches is computed again, layer by layer.

Of a residual network whose normalisation is frozen, what lies beyond the reach of a patch stays as it was. So each stage is
computed on a cut around what has changed, and laid into the maps of the unchanged image, until a cut would be most of the map.
The numbers are those of whole windows, up to the order in which a processor adds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from overread.explanation.asked import Asked
from overread.networks.image.resnet import ResNet
from overread.networks.layout import memory_format

WORTH = 0.6  # of a map, from which on the whole of it is computed
Corner = tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """One layer or block: output o is made from the inputs stride * o - reach to stride * o + reach."""

    module: nn.Module
    stride: int
    reach: int


@dataclass(frozen=True)
class Changed:
    """Parts of maps that differ from those of the unchanged image.

    values  (B, C, [z,] y, x)
    starts  where each lies, one corner per window
    """

    values: Tensor
    starts: Sequence[Corner]


class _Given(nn.Module):
    """A network whose logits are known already."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, images: Tensor) -> Tensor:
        return self.logits


class Nearby:
    """A question about one window, asked again with a patch of it changed."""

    def __init__(self, asked: Asked, steps: Sequence[Step]) -> None:
        self.asked, self.steps = asked, steps
        maps = asked.images.contiguous(memory_format=memory_format(asked.images.ndim))
        self.before = [maps]
        with torch.no_grad():
            for step in steps:
                maps = step.module(maps)
                self.before.append(maps)

    @classmethod
    def of(cls, asked: Asked) -> Nearby | None:
        """None where the network is of another kind, or its maps do not divide evenly."""
        steps = _steps(asked.network)
        if steps is None:
            return None
        size = list(asked.images.shape[2:])
        for step in steps[:-1]:
            if any(n % step.stride for n in size):
                return None
            size = [n // step.stride for n in size]
        return cls(asked, steps)

    def scores(self, changed: Changed) -> Tensor:
        """(B,): the score of the window with each patch changed."""
        for number, step in enumerate(self.steps):
            cut = _cut(step, changed, self.before[number])
            if cut is None:
                return self._whole(number, changed)
            changed = _through(step, changed, self.before[number], *cut)
        return self._whole(len(self.steps), changed)

    def _whole(self, number: int, changed: Changed) -> Tensor:
        """The rest of the network on whole maps."""
        before = self.before[number]
        maps = before.repeat(len(changed.starts), *[1] * (before.ndim - 1))
        _paste(maps, [(0,) * (before.ndim - 2)] * len(maps), changed)
        maps = maps.contiguous(memory_format=memory_format(maps.ndim))
        for step in self.steps[number:]:
            maps = step.module(maps)
        network = self.asked.network
        assert isinstance(network, ResNet)
        logits = network.head(network.dropout(maps.flatten(2).mean(2)))
        return self.asked.task.score(_Given(logits), maps, self.asked.target)


def _steps(network: nn.Module) -> list[Step] | None:
    if not isinstance(network, ResNet) or network.training:
        return None
    norms = (nn.BatchNorm2d, nn.BatchNorm3d)
    known = (nn.Conv2d, nn.Conv3d, nn.ReLU, nn.MaxPool2d, nn.MaxPool3d, nn.Identity, nn.Dropout, nn.Linear, *norms)
    if any(not isinstance(m, known) for m in network.modules() if not list(m.children())):
        return None  # a normalisation by the whole image reaches everywhere
    steps = [_step([m for m in network.stem if not isinstance(m, (*norms, nn.ReLU))], network.stem)]
    for block in network.stages:
        steps.append(_step([m for m in block.body.modules() if isinstance(m, nn.Conv2d | nn.Conv3d)], block))  # type: ignore[union-attr]
    return steps


def _step(layers: Sequence[nn.Module], module: nn.Module) -> Step:
    """Stride and reach of layers one after the other; a kernel of k reaches k // 2 to either side."""
    stride, reach = 1, 0
    for layer in layers:
        kernel, by = (_first(getattr(layer, name)) for name in ("kernel_size", "stride"))
        reach, stride = reach + (kernel // 2) * stride, stride * by
    return Step(module, stride, reach)


def _first(value: int | tuple[int, ...]) -> int:
    return value if isinstance(value, int) else value[0]


def _cut(step: Step, changed: Changed, before: Tensor) -> tuple[list[int], list[int]] | None:
    """How many outputs change along each axis, and how long the cut is that makes them; None where it is not worth it."""
    outputs, lengths, share = [], [], 1.0
    for width, size in zip(changed.values.shape[2:], before.shape[2:], strict=True):
        many = min((width - 1 + 2 * step.reach) // step.stride + 1, -(-size // step.stride))
        length = (many - 1) * step.stride + 2 * step.reach + step.stride
        length = min(-(-length // step.stride) * step.stride, size)
        outputs.append(many)
        lengths.append(length)
        share *= length / size
    divides = all(n % step.stride == 0 for n in before.shape[2:])
    return (outputs, lengths) if share < WORTH and divides else None


def _through(step: Step, changed: Changed, before: Tensor, outputs: Sequence[int], lengths: Sequence[int]) -> Changed:
    """The step on a cut around each change; the cut begins where the step's stride begins, and ends within the map."""
    s, r = step.stride, step.reach
    firsts, starts = [], []
    for corner in changed.starts:
        axes = list(zip(corner, outputs, lengths, before.shape[2:], strict=True))
        first = [min(max(-(-(a - r) // s), 0), n // s - many) for a, many, _, n in axes]
        starts.append(tuple(min(max((o * s - r) // s * s, 0), n - long) for o, (_, _, long, n) in zip(first, axes, strict=True)))
        firsts.append(tuple(first))
    pieces = torch.stack([before[0][_place(start, lengths)] for start in starts])
    _paste(pieces, starts, changed)
    made = step.module(pieces.contiguous(memory_format=memory_format(pieces.ndim)))
    inner = [tuple(o - a // s for o, a in zip(first, start, strict=True)) for first, start in zip(firsts, starts, strict=True)]
    return Changed(torch.stack([one[_place(at, outputs)] for one, at in zip(made, inner, strict=True)]), firsts)


def _paste(pieces: Tensor, starts: Sequence[Corner], changed: Changed) -> None:
    """Lay each change into its piece of the map, as far as it lies in it."""
    for piece, start, values, corner in zip(pieces, starts, changed.values, changed.starts, strict=True):
        here: list[slice] = [slice(None)]
        there: list[slice] = [slice(None)]
        for a, c, long, width in zip(start, corner, piece.shape[1:], values.shape[1:], strict=True):
            low, high = max(c, a), min(c + width, a + long)
            here.append(slice(low - a, max(high, low) - a))
            there.append(slice(low - c, max(high, low) - c))
        piece[tuple(here)] = values[tuple(there)]


def _place(start: Corner, size: Sequence[int]) -> tuple[slice, ...]:
    return (slice(None), *(slice(a, a + n) for a, n in zip(start, size, strict=True)))
