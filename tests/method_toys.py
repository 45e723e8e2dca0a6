"""Questions to networks made for one test: an answer per image, about a class of three, of a random window."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from overread.batches.prepare import Prepared
from overread.core.grid import Grid
from overread.core.question import Question
from overread.explanation.asked import Asked
from overread.tasks import Scaling, make
from overread.tasks.target import Target


def asked_about(network: nn.Module, size: tuple[int, ...], number: int = 1, channels: int = 1, seed: int = 0) -> Asked:
    """size ([Z,] Y, X) of a window of noise; number of the class."""
    patch = (1,) * (3 - len(size)) + size
    array = np.random.default_rng(seed).normal(size=(channels, *patch)).astype(np.float32)
    grid = Grid.from_spacing(patch, spacing_known=len(size) == 3, is_planar=len(size) == 2)
    task = make(Question("classification", ("a", "b", "c")), scaling=Scaling())
    images = torch.from_numpy(array.reshape(1, channels, *size))
    prepared = Prepared(array, grid, grid, ((0, 1, 2), (False, False, False)))
    return Asked(network.eval(), task, prepared, (0, 0, 0), patch, len(size), Target("b", number), images)  # type: ignore[arg-type]


class Plain(nn.Module):
    """Two convolutions and a linear layer on the mean of the last maps; rectified by modules, in place or not."""

    def __init__(self, dimensions: int = 2, channels: int = 1, *, is_inplace: bool = False, leak: float = 0.0) -> None:
        super().__init__()
        conv = nn.Conv2d if dimensions == 2 else nn.Conv3d
        self.first, self.second, self.head = conv(channels, 6, 3, 2, 1), conv(6, 8, 3, 2, 1), nn.Linear(8, 3)
        kind = (lambda: nn.LeakyReLU(leak, is_inplace)) if leak else (lambda: nn.ReLU(is_inplace))
        self.act, self.last_act = kind(), kind()

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.last_act(self.second(self.act(self.first(images)))).flatten(2).mean(2))


class Functional(Plain):
    """The same, rectified by functions: one as it is, one in place."""

    def forward(self, images: Tensor) -> Tensor:
        maps = torch.relu(self.first(images))
        return self.head(F.relu(self.second(maps), inplace=True).flatten(2).mean(2))


def seeded(make_network: type[nn.Module], *args: object, seed: int = 0, **options: object) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make_network(*args, **options).eval()


def state_of(network: nn.Module) -> tuple[object, ...]:
    """Everything that asking must leave as it was: hooks, modes, what learns, slopes, switches, and the numbers."""
    hooks = [
        (len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks), len(m._backward_pre_hooks), m.training)
        for m in network.modules()
    ]
    learning = [(p.requires_grad, p.grad is None) for p in network.parameters()]
    switches = [(getattr(m, "fused_attn", None), getattr(m, "use_flash_attention", None)) for m in network.modules()]
    numbers = [(name, float(value.double().sum())) for name, value in network.state_dict().items()]
    return hooks, learning, switches, numbers
