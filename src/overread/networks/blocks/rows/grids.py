"""Blocks that summarise, to a coarser grid, a finer one, or none."""

from collections.abc import Sequence

from torch import Tensor, nn

from overread.networks.blocks.block import BOTH, MAPS, SLICES, Block, Shape, Size, axes_of, kind_of, per_axis
from overread.networks.blocks.pooling import GlobalAverage, GlobalMax, PyramidPooling, average_pool, max_pool
from overread.networks.blocks.upsampling import Interpolated, PixelShuffle, Upsample

Shapes = Sequence[Shape]


class OverSlices(nn.Module):
    """A summary over places put to slices: (B, slices, F) to (B, F)."""

    def __init__(self, summary: nn.Module) -> None:
        super().__init__()
        self.summary = summary

    def forward(self, slices: Tensor) -> Tensor:
        return self.summary(slices.transpose(1, 2))


def _max_pool(shapes: Shapes, size: Size = 2, *, stride: Size | None = None, padding: int = 0) -> nn.Module:
    axes = axes_of(shapes)
    return max_pool(axes, per_axis(size, axes, "size"), stride and per_axis(stride, axes, "stride"), padding)


def _average_pool(shapes: Shapes, size: Size = 2, *, stride: Size | None = None, padding: int = 0) -> nn.Module:
    axes = axes_of(shapes)
    return average_pool(axes, per_axis(size, axes, "size"), stride and per_axis(stride, axes, "stride"), padding)


def _global_average(shapes: Shapes) -> nn.Module:
    return GlobalAverage() if kind_of(shapes[0]) == MAPS else OverSlices(GlobalAverage())


def _global_max(shapes: Shapes) -> nn.Module:
    return GlobalMax() if kind_of(shapes[0]) == MAPS else OverSlices(GlobalMax())


def _pyramid_pooling(
    shapes: Shapes,
    features: int | None = None,
    *,
    sizes: tuple[int, ...] = (1, 2, 3, 6),
    norm: str = "batch",
    activation: str = "relu",
) -> nn.Module:
    channels = shapes[0][0]
    return PyramidPooling(channels, features or channels, sizes, axes_of(shapes), norm=norm, activation=activation)


def _upsample(shapes: Shapes, scale: Size = 2) -> nn.Module:
    return Interpolated(per_axis(scale, axes_of(shapes), "scale"))


def _transposed(shapes: Shapes, features: int, *, scale: Size = 2) -> nn.Module:
    return Upsample(shapes[0][0], features, per_axis(scale, axes_of(shapes), "scale"))


def _pixel_shuffle(shapes: Shapes, features: int, *, scale: Size = 2) -> nn.Module:
    axes = axes_of(shapes)
    return PixelShuffle(shapes[0][0], features, per_axis(scale, axes, "scale"), axes)


ROWS = (
    Block(
        "max_pool",
        "Max pooling",
        BOTH,
        "Ranzato 2007, doi:10.1109/CVPR.2007.383157",
        "Keeps the strongest answer of each neighbourhood on a coarser grid: is it there, wherever exactly.",
        _max_pool,
        coarser=("stride", "size"),
    ),
    Block(
        "average_pool",
        "Average pooling",
        BOTH,
        "LeCun 1998, doi:10.1109/5.726791",
        "Keeps the mean of each neighbourhood on a coarser grid.",
        _average_pool,
        coarser=("stride", "size"),
    ),
    Block(
        "global_average",
        "Global average pooling",
        BOTH,
        "Lin 2014, arXiv:1312.4400",
        "One number per map, how much of it there is in the whole image, for images of any size.",
        _global_average,
        reads=(MAPS, SLICES),
    ),
    Block(
        "global_max",
        "Global max pooling",
        BOTH,
        "Oquab 2015, doi:10.1109/CVPR.2015.7298668",
        "One number per map, its strongest place: for small findings in large images.",
        _global_max,
        reads=(MAPS, SLICES),
    ),
    Block(
        "pyramid_pooling",
        "Pyramid pooling",
        BOTH,
        "Zhao 2017, arXiv:1612.01105",
        "Tells each place what its wide surroundings and the whole image look like.",
        _pyramid_pooling,
    ),
    Block(
        "upsample",
        "Linear interpolation",
        BOTH,
        "Odena 2016, doi:10.23915/distill.00003",
        "A finer grid without learning anything, and without a checkerboard.",
        _upsample,
        finer="scale",
    ),
    Block(
        "transposed",
        "Transposed convolution",
        BOTH,
        "Long 2015, arXiv:1411.4038",
        "A finer grid, learned: each voxel becomes a small block of voxels.",
        _transposed,
        finer="scale",
    ),
    Block(
        "pixel_shuffle",
        "Pixel shuffle (sub-pixel convolution)",
        BOTH,
        "Shi 2016, arXiv:1609.05158",
        "A finer grid from many channels, each of which becomes one place of a small block.",
        _pixel_shuffle,
        finer="scale",
    ),
)
