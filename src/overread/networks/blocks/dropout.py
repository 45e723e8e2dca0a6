"""Dropout: random silence while learning, so that no part of a network relies on one other part. Nothing is dropped when reading.

Sources: Srivastava 2014, jmlr.org/papers/v15/srivastava14a (elements); Tompson 2015, arXiv:1411.4280 (channels);
Huang 2016, arXiv:1603.09382 (paths).
"""

import torch
from torch import Tensor, nn

from overread.core.errors import OverreadError

KINDS = ("elements", "channels", "path")
_OF_CHANNELS: dict[int, type[nn.Module]] = {2: nn.Dropout2d, 3: nn.Dropout3d}


class DropPath(nn.Module):
    """Leaves out the whole branch for some images of a batch; belongs at the end of a branch, before it is added.

    (B, ...) to the same shape; what stays is scaled up, so that the mean does not change.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, maps: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return maps
        stays = torch.rand((len(maps), *(1,) * (maps.ndim - 1)), device=maps.device) >= self.rate
        return maps * (stays.to(maps.dtype) / (1 - self.rate))

    def extra_repr(self) -> str:
        return f"rate={self.rate}"


def make_dropout(kind: str, rate: float, dimensions: int) -> nn.Module:
    """Dropout by kind: single "elements", whole "channels", or the whole "path" of an image.

    rate        share that is silenced, 0 up to (not) 1
    dimensions  2 or 3, of the maps; elements and paths work on any shape
    """
    if not 0 <= rate < 1:
        raise OverreadError(f"a dropout rate of {rate} is no share of 0 up to 1", next="choose one such as 0.2")
    if kind == "elements":
        return nn.Dropout(rate)
    if kind == "channels":
        return _OF_CHANNELS[dimensions](rate)
    if kind == "path":
        return DropPath(rate)
    raise OverreadError(f"no dropout is of kind '{kind}'", next=f"choose one of {', '.join(KINDS)}")
