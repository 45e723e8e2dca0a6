"""Muon: momentum whose every step is made orthogonal, so that a weight matrix moves in all its directions alike.

A gradient of a convolution is nearly of low rank: few directions are large, and the steps of other optimizers follow
them alone. Here the momentum of each weight, as a matrix of output channels by everything they read, is replaced by
the nearest orthogonal matrix. Weights that read the image or give the answer, norms and biases are taught by AdamW.

Sources: Jordan 2024 (Muon, with the Newton-Schulz coefficients); Liu 2025, arXiv:2502.16982 (steps of the size that
AdamW takes, so that one learning rate serves both). AdamW: Loshchilov and Hutter 2019.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from overread.training.rates import split_by_rate

FEWEST = 8  # channels in and out from which a weight is a matrix worth making orthogonal
MOMENTUM = 0.95
BETAS = (0.9, 0.99)
EPSILON = 1e-8
SIZE = 0.2  # root mean square of an AdamW step, in learning rates
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ROUNDS = 5


def is_matrix(weight: Tensor) -> bool:
    """Whether a weight lies between hidden layers: it neither reads the image nor gives the answer."""
    return weight.ndim > 1 and weight.shape[0] >= FEWEST and weight.shape[1] >= FEWEST


def orthogonal(matrix: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Nearly the orthogonal matrix nearest to an (R, C) matrix: singular values between 0.7 and 1.2.

    Newton-Schulz iteration of the fifth order; it tolerates the rounding of bfloat16.
    """
    first, second, third = COEFFICIENTS
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.mT if is_tall else matrix
    x = (x / (x.norm() + 1e-7)).to(dtype)
    for _ in range(ROUNDS):
        square = x @ x.mT
        x = first * x + (second * square + third * square @ square) @ x
    return (x.mT if is_tall else x).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Muon for the hidden weights of a network, AdamW for the rest.

    lr            learning rate of both
    weight_decay  share of a weight that a step of size 1 takes away; none for norms and biases
    dtype         in which matrices are made orthogonal: what multiplies fastest here
    shares        name of a weight -> its share of the rate; None where all have the full one
    """

    def __init__(
        self,
        network: nn.Module,
        lr: float,
        weight_decay: float,
        dtype: torch.dtype = torch.float32,
        shares: Mapping[str, float] | None = None,
    ) -> None:
        self.dtype = dtype
        weights = [p for p in network.parameters() if p.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": [p for p in weights if is_matrix(p)], "is_matrix": True, "weight_decay": weight_decay},
            {"params": [p for p in weights if p.ndim > 1 and not is_matrix(p)], "is_matrix": False, "weight_decay": weight_decay},
            {"params": [p for p in weights if p.ndim <= 1], "is_matrix": False, "weight_decay": 0.0},
        ]
        super().__init__(split_by_rate(groups, network, shares), {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Change every weight that has a gradient."""
        for group in self.param_groups:
            weights = [p for p in group["params"] if p.grad is not None]
            move = self._step_matrix if group["is_matrix"] else self._step_adamw
            for weight in weights:
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                move(weight, group["lr"])

    def _step_matrix(self, weight: nn.Parameter, rate: float) -> None:
        """Nesterov momentum, made orthogonal."""
        assert weight.grad is not None
        momentum = self._moment(weight, "momentum")
        momentum.lerp_(weight.grad, 1 - MOMENTUM)
        change = weight.grad.lerp(momentum, MOMENTUM).flatten(1)
        size = SIZE * max(change.shape) ** 0.5
        weight.add_(orthogonal(change, self.dtype).reshape(weight.shape), alpha=-rate * size)

    def _step_adamw(self, weight: nn.Parameter, rate: float) -> None:
        assert weight.grad is not None
        mean, square = self._moment(weight, "mean"), self._moment(weight, "square")
        state = self.state[weight]
        state["step"] = int(state.get("step", 0)) + 1
        mean.lerp_(weight.grad, 1 - BETAS[0])
        square.lerp_(weight.grad.square(), 1 - BETAS[1])
        spread = (square / (1 - BETAS[1] ** state["step"])).sqrt_().add_(EPSILON)
        weight.addcdiv_(mean, spread, value=-rate / (1 - BETAS[0] ** state["step"]))

    def _moment(self, weight: nn.Parameter, name: str) -> Tensor:
        state = self.state[weight]
        if name not in state:
            state[name] = torch.zeros_like(weight)
        moment: Tensor = state[name]
        return moment
