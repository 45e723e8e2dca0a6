"""A network per image as the encoder of a network per voxel: its maps at every resolution, its strides made dilations.

Sources: Long et al., Fully convolutional networks, CVPR 2015, arXiv:1411.4038 (a classifier made dense);
Chen et al., DeepLab, 2018, arXiv:1606.00915 (dilation in place of strides).
"""

import copy
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from overread.core.errors import OverreadError
from overread.networks.image import rows

_LONG = 512  # voxels along each axis of the image that strides are measured with; it has shapes, no values


class Encoder(nn.Module):
    """Stem and stages of a network per image; its tensors keep the names that they have there.

    network   has `stages`, and a `stem` before them or none, that make maps of maps
    widths, strides  channels of the last map at each resolution, finest first, and voxels of the image per voxel of it
    smallest  voxels that each axis of an image must have at least
    """

    def __init__(self, network: nn.Module, name: str, in_channels: int, dimensions: int) -> None:
        super().__init__()
        stages = getattr(network, "stages", None)
        if not isinstance(stages, nn.Sequential):
            raise _no_encoder(name, "it is not made of stages")
        self.stem: nn.Module = getattr(network, "stem", nn.Sequential())
        self.stages: nn.Module = stages
        self.name, self.in_channels, self.dimensions = name, in_channels, dimensions
        self.smallest: int = getattr(network, "smallest", 1)
        self._measure()

    def forward(self, images: Tensor) -> list[Tensor]:
        """The last map at each resolution, finest first: (B, C, [Z,] Y, X) to a list of (B, widths[k], ...)."""
        self._refuse_unfit(tuple(images.shape[2:]))
        maps, kept = images, []
        for number, part in enumerate(self._parts()):
            maps = part(maps)
            if number in self._last:
                kept.append(maps)
        return kept

    def limit_stride(self, most: int) -> None:
        """Keep the resolution from a stride on: later steps become 1, and the convolutions after them reach further.

        most  voxels of the image per voxel of the coarsest map, at most
        The convolution that would have stepped keeps its reach, as in torchvision's dilated ResNets.
        """
        before, reached, rate = self.strides[-1], 1, 1
        maps = self._example()
        with torch.no_grad():
            for part, ghost in zip(self._parts(), self._ghost()._parts(), strict=True):
                finer, maps = maps, ghost(maps)
                step = round(finer.shape[-1] / maps.shape[-1])
                if reached * step <= most:
                    reached *= step
                    step = 1
                _dilate(part, rate, rate * step)
                rate *= step
        self._measure()
        if self.strides[-1] > most or self._coarsest * self.strides[-1] != _LONG:
            raise OverreadError(
                f"{self.name} steps by pooling or by patches, which dilation cannot stand in for",
                next=f"set output_stride = {before}, or a ResNet as encoder",
            )

    def _parts(self) -> Iterator[nn.Module]:
        yield from _unrolled(self.stem)
        yield from _unrolled(self.stages)

    def _ghost(self) -> "Encoder":
        """A copy that has shapes and no values."""
        return copy.deepcopy(self).to("meta").eval()

    def _example(self) -> Tensor:
        return torch.empty(1, self.in_channels, *(_LONG,) * self.dimensions, device="meta")

    def _measure(self) -> None:
        """Which parts make the last map of their resolution, with which width and stride."""
        maps, found = self._example(), dict[int, tuple[int, int]]()
        with torch.no_grad():
            for number, part in enumerate(self._ghost()._parts()):
                maps = part(maps)
                if maps.ndim != self.dimensions + 2:
                    raise _no_encoder(self.name, "its stages make tokens, not maps")
                found[round(_LONG / maps.shape[-1])] = (number, maps.shape[1])
        self.strides, self._coarsest = tuple(found), maps.shape[-1]
        self._last, self.widths = (tuple(values) for values in zip(*found.values(), strict=True))

    def _refuse_unfit(self, size: tuple[int, ...]) -> None:
        if len(size) != self.dimensions:
            raise OverreadError(f"{self.name} was built for {self.dimensions}D images, and got one of size {size}")
        why = ""
        if min(size) < self.smallest:
            why = f"each axis must have at least {self.smallest} voxels"
        elif max(size) <= self.strides[-1]:
            why = f"one voxel of its coarsest map stands for {self.strides[-1]} of the image"
        if why:
            raise OverreadError(
                f"an image of {size} does not fit {self.name} as an encoder: {why}",
                next="use larger images, or a U-Net, which has as many stages as fit",
            )


def make_encoder(
    name: str,
    in_channels: int,
    dimensions: int,
    *,
    width: int | None = None,
    image_size: Sequence[int] | None = None,
    norm: str | None = None,
    output_stride: int | None = None,
) -> Encoder:
    """The encoder of a network per image by its name in the table.

    width, image_size, norm  as that network takes them; left out, as published
    output_stride  largest stride of a map; steps beyond it become dilations
    """
    if ":" in name:
        raise _no_encoder(name, "only networks of ours can, and this is one of a library")
    known = {row.name: row for row in rows.ROWS}
    if name not in known:
        raise _no_encoder(name, "Overread has no network per image of that name")
    row = known[name]
    if dimensions not in row.dimensions:
        raise _no_encoder(name, f"it does not read {dimensions}D images")
    wanted = {"width": width, "image_size": image_size, "norm": norm}
    options = {option: value for option, value in wanted.items() if value is not None and option in row.options}
    encoder = Encoder(row.build(in_channels, 1, dimensions, **options), name, in_channels, dimensions)
    if output_stride is not None and encoder.strides[-1] > output_stride:
        encoder.limit_stride(output_stride)
    return encoder


def _no_encoder(name: str, why: str) -> OverreadError:
    return OverreadError(f"{name} cannot be an encoder: {why}", next="choose resnet18, resnet34 or resnet50 as encoder")


def _unrolled(module: nn.Module) -> Iterator[nn.Module]:
    """The parts of nested sequences, in order."""
    if type(module) is nn.Sequential:
        for part in module:
            yield from _unrolled(part)
    else:
        yield module


def _dilate(part: nn.Module, before: int, after: int) -> None:
    """Dilate convolutions; where the part steps in the original (after > before), it steps no longer.

    before, after  distance between the weights of a kernel up to the convolution that stepped, and behind it
    """
    rate = before
    for layer in part.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d):
            if rate > 1:
                layer.dilation = (rate,) * len(layer.kernel_size)
                layer.padding = tuple(size // 2 * rate for size in layer.kernel_size)
            if after > before and max(layer.stride) > 1:
                layer.stride = (1,) * len(layer.stride)
                rate = after if max(layer.kernel_size) > 1 else rate
