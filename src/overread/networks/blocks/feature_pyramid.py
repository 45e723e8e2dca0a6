"""The feature pyramid: what deep stages know is brought back to the fine maps."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from overread.networks.blocks.convolution import convolution


class FeaturePyramid(nn.Module):
    """From the maps of several stages to as many maps of one width, each knowing what the coarser ones know.

    widths   channels of each stage, finest first
    outputs  channels of every map of the answer
    finest_alone  only the finest map is smoothed and answered, in a list of one

    forward: list of (B, widths[k], [Z,] Y, X), finest first, to a list of (B, outputs, [Z,] Y, X) on the same grids. The
    coarser map is enlarged by its nearest values and added; a 3x3 convolution then smooths the steps.

    Source: Lin 2017, arXiv:1612.03144.
    """

    def __init__(self, widths: Sequence[int], outputs: int, dimensions: int, *, finest_alone: bool = False) -> None:
        super().__init__()
        self.match = nn.ModuleList(convolution(width, outputs, (1,) * dimensions) for width in widths)
        self.smooth = nn.ModuleList(
            convolution(outputs, outputs, (3,) * dimensions) for _ in widths[: 1 if finest_alone else None]
        )

    def forward(self, stages: Sequence[Tensor]) -> list[Tensor]:
        matched = [match(maps) for match, maps in zip(self.match, stages, strict=True)]
        joined = matched[-1:]
        for maps in reversed(matched[:-1]):
            joined.insert(0, maps + functional.interpolate(joined[0], maps.shape[2:], mode="nearest"))
        return [smooth(maps) for smooth, maps in zip(self.smooth, joined, strict=False)]
