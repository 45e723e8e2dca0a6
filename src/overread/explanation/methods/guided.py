"""Guided backpropagation: a gradient that no activation hands on where it would lower the score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from overread.explanation.asked import Asked
from overread.explanation.methods.method import one_channel

_aten = torch.ops.aten
# How the gradient goes back through an activation that never falls; what comes from above is the first argument of each.
_BACKWARD = (
    _aten.threshold_backward.default,  # ReLU
    _aten.leaky_relu_backward.default,
    _aten._prelu_kernel_backward.default,
    _aten.elu_backward.default,  # ELU, CELU, SELU
    _aten.hardtanh_backward.default,  # ReLU6
    _aten.rrelu_with_noise_backward.default,
)
_RECTIFIERS = {"relu", "leaky_relu", "_prelu_kernel", "elu", "celu", "hardtanh", "rrelu_with_noise", "threshold"}
_FALLING = {"gelu": "GELU", "silu": "SiLU", "mish": "Mish", "hardswish": "Hardswish"}
_DEFINED = "guided backpropagation is defined for rectifiers (ReLU and its kin)"


@dataclass(frozen=True)
class GuidedBackpropagation:
    """The size of the gradient when every rectifier hands on only what raises the score; of several channels the largest.

    It is caught where the operators run, not where modules stand, so that it holds for functions (`torch.relu`), for
    activations in place, and for those inside an autograd function of our own. Of a leaky or parametric rectifier the slope
    of the negative side stays.
    """

    name: ClassVar[str] = "guided_backprop"
    title: ClassVar[str] = "Guided backpropagation"
    source: ClassVar[str] = "Springenberg, ICLR Workshop 2015, arXiv:1412.6806"
    is_signed: ClassVar[bool] = False

    def refusal(self, asked: Asked) -> str | None:
        """Where no rectifier runs it would be the plain gradient; GELU and its like fall in part, and have no rule."""
        with _Listener() as listener, torch.no_grad():
            asked.score(asked.images)
        falling = [title for operator, title in _FALLING.items() if operator in listener.ran]
        if falling:
            return f"{_DEFINED}, and this network has {', '.join(falling)}"
        if not listener.ran & _RECTIFIERS:
            return f"{_DEFINED}, and this network has none"
        return None

    def __call__(self, asked: Asked) -> np.ndarray:
        return asked.volume(one_channel(guided_gradient(asked, asked.images)[0]).abs())


def guided_gradient(asked: Asked, images: Tensor) -> Tensor:
    """(B, C, [Z,] Y, X): the gradient of the score of each window, guided."""
    with torch.enable_grad():
        given = images.detach().clone().requires_grad_()
        score = asked.score(given).sum()
        with _Guided():
            (gradient,) = torch.autograd.grad(score, given)
    return gradient.detach()


class _Guided(TorchDispatchMode):
    """Holds back negative slopes at every rectifier."""

    def __torch_dispatch__(
        self, operator: Any, types: Any, values: tuple[Any, ...] = (), named: Mapping[str, Any] | None = None
    ) -> Any:
        if operator in _BACKWARD:
            from_above, *more = values
            values = (from_above.clamp_min(0), *more)
        return operator(*values, **(named or {}))


class _Listener(TorchDispatchMode):
    """Notes which operators ran, by name; those in place without their underscore."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: set[str] = set()

    def __torch_dispatch__(
        self, operator: Any, types: Any, values: tuple[Any, ...] = (), named: Mapping[str, Any] | None = None
    ) -> Any:
        self.ran.add(operator.overloadpacket.__name__.removesuffix("_"))
        return operator(*values, **(named or {}))
