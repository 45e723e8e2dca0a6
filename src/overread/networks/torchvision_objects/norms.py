"""Normalisation without running statistics, in place of batch normalisation, which two images of a batch do not feed."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import FrozenBatchNorm2d

from overread.core.errors import OverreadError

NORMS = ("group", "frozen")
_GROUPS = 32  # as in Wu and He


class FrozenNorm(FrozenBatchNorm2d):
    """Batch normalisation with fixed statistics, as torchvision's, in one pass and without leaving bfloat16."""

    activation: nn.Module | None = None

    def forward(self, x: Tensor) -> Tensor:
        normal = functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        return normal if self.activation is None else self.activation(normal)


class GroupNorm(nn.GroupNorm):
    """Group normalisation with 32 groups, or as many as divide the channels (Wu and He 2018, arXiv:1803.08494)."""

    activation: nn.Module | None = None

    def __init__(self, channels: int) -> None:
        super().__init__(next(groups for groups in (_GROUPS, 16, 8, 4, 2, 1) if channels % groups == 0), channels)

    def forward(self, maps: Tensor) -> Tensor:
        normal = super().forward(maps)
        return normal if self.activation is None else self.activation(normal)


def norm_layer(kind: str) -> Callable[[int], FrozenNorm | GroupNorm]:
    """The maker of a normalisation by name."""
    if kind not in NORMS:
        raise OverreadError(f"the detectors of torchvision have no normalisation '{kind}'", next=f"choose {' or '.join(NORMS)}")
    return GroupNorm if kind == "group" else FrozenNorm


def replace_batch_norms(network: nn.Module, kind: str) -> None:
    """Put the normalisation of a name in place of every batch normalisation; names of tensors stay.

    timm joins an activation to its batch normalisation, which is kept.
    """
    make = norm_layer(kind)
    for parent in list(network.modules()):
        for name, norm in list(parent.named_children()):
            if isinstance(norm, nn.BatchNorm2d):
                fresh = make(norm.num_features)
                fresh.eps = norm.eps
                fresh.activation = getattr(norm, "act", None)
                setattr(parent, name, fresh)
