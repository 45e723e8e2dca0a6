"""The answers of a network that answers at full resolution alone."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class OneScale(nn.Module, ABC):
    """A network per voxel without answers at coarser resolution.

    dimensions  2 or 3 spatial axes
    divisor     to what each axis of an image must be a multiple of
    """

    dimensions: int
    divisor: tuple[int, ...]

    @abstractmethod
    def encode(self, images: Tensor) -> list[Tensor]:
        """The maps of the encoder, finest first; an image that does not fit is refused."""

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Logits per voxel: (B, C, [Z,] Y, X) to (B, out_channels, [Z,] Y, X)."""

    def forward_scales(self, images: Tensor) -> list[Tensor]:
        """The full resolution alone."""
        return [self(images)]

    def features(self, images: Tensor) -> Tensor:
        """The coarsest map of the encoder averaged over space: (B, F)."""
        return self.encode(images)[-1].flatten(2).mean(2)
