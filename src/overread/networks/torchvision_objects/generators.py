"""Anchors in pixels, in float32, made once per size of image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList

_KEPT = 8  # sizes of images whose anchors are remembered


class _Remembered:
    """Anchors by size of image and of maps."""

    def __init__(self) -> None:
        self._kept: dict[tuple[object, ...], Tensor] = {}

    def of(self, generator: FineAnchors | PixelBoxes, images: ImageList, maps: list[Tensor]) -> list[Tensor]:
        sizes = [(int(level.shape[-2]), int(level.shape[-1])) for level in maps]
        size = (int(images.tensors.shape[-2]), int(images.tensors.shape[-1]))
        device = maps[0].device
        key = (size, tuple(sizes), device)
        if key not in self._kept:
            if len(self._kept) >= _KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = generator.lay(size, sizes).to(device)
        return [self._kept[key]] * len(images.image_sizes)


class FineAnchors(AnchorGenerator):
    """torchvision's anchors, unrounded, since an anchor of 5 pixels is not one of 4."""

    def __init__(self, sizes: Sequence[Sequence[float]], aspect_ratios: Sequence[float]) -> None:
        super().__init__(tuple(map(tuple, sizes)), (tuple(aspect_ratios),) * len(sizes))
        self._remembered = _Remembered()

    def generate_anchors(
        self, scales: Sequence[float], aspect_ratios: Sequence[float], dtype: torch.dtype = torch.float32, device: object = None
    ) -> Tensor:
        """Boxes (x0, y0, x1, y1) around 0: (sizes * ratios, 4)."""
        heights = torch.tensor([math.sqrt(ratio) * scale for ratio in aspect_ratios for scale in scales])
        widths = torch.tensor([scale / math.sqrt(ratio) for ratio in aspect_ratios for scale in scales])
        return torch.stack([-widths, -heights, widths, heights], dim=1) / 2

    def lay(self, size: tuple[int, int], grids: list[tuple[int, int]]) -> Tensor:
        strides = [[torch.tensor(edge // cells) for edge, cells in zip(size, grid, strict=True)] for grid in grids]
        return torch.cat(self.grid_anchors([list(grid) for grid in grids], strides)).to(torch.float32)

    def forward(self, image_list: ImageList, feature_maps: list[Tensor]) -> list[Tensor]:
        return self._remembered.of(self, image_list, feature_maps)


class PixelBoxes(DefaultBoxGenerator):
    """The default boxes of SSD with sizes in pixels instead of shares of the image, so that images may have any size.

    Source: Liu 2016, arXiv:1512.02325, section 2.2.
    """

    def __init__(self, sizes: Sequence[float], aspect_ratios: Sequence[Sequence[float]]) -> None:
        super().__init__([list(ratios) for ratios in aspect_ratios], scales=list(sizes), clip=False)
        self._remembered = _Remembered()

    def lay(self, size: tuple[int, int], grids: list[tuple[int, int]]) -> Tensor:
        levels = []
        for pairs, (rows, columns) in zip(self._wh_pairs, grids, strict=True):
            down = (torch.arange(rows) + 0.5) * (size[0] / rows)
            across = (torch.arange(columns) + 0.5) * (size[1] / columns)
            y, x = torch.meshgrid(down, across, indexing="ij")
            centres = torch.stack([x, y], dim=-1).reshape(-1, 1, 2)
            levels.append(torch.cat([centres - pairs / 2, centres + pairs / 2], dim=-1).reshape(-1, 4))
        return torch.cat(levels).to(torch.float32)

    def forward(self, image_list: ImageList, feature_maps: list[Tensor]) -> list[Tensor]:
        return self._remembered.of(self, image_list, feature_maps)
