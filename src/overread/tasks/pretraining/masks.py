"""Which parts of an image are hidden: whole blocks, for a neighbour would give a single voxel away.

Sources: He et al., CVPR 2022, arXiv:2111.06377 (blocks, most of the image hidden); Xie et al., CVPR 2022, arXiv:2111.09886
(0.6 of it for networks that see the gaps too).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor
from torch.nn import functional

HIDDEN = 0.6  # share of the blocks
BLOCKS = 8  # along each axis of a window, where it has room for them
SMALLEST = 4  # voxels along an axis of a block, where the axis has so many


def block_shape(size: Sequence[int]) -> tuple[int, ...]:
    """Voxels of a block along each axis of a window."""
    return tuple(max(1, min(voxels, max(SMALLEST, voxels // BLOCKS))) for voxels in size)


def block_mask(count: int, size: Sequence[int], random: torch.Generator, hidden: float = HIDDEN) -> Tensor:
    """(B, 1, [Z,] Y, X) 1 where hidden: the same number of blocks in every image, at random."""
    block = block_shape(size)
    grid = [-(-voxels // edge) for voxels, edge in zip(size, block, strict=True)]
    blocks = prod(grid)
    chosen = max(1, min(blocks - 1, round(hidden * blocks))) if blocks > 1 else 1
    ranks = torch.rand(count, blocks, generator=random).argsort(1).argsort(1)
    coarse = (ranks < chosen).float().reshape(count, 1, *grid)
    fine = functional.interpolate(coarse, scale_factor=[float(edge) for edge in block], mode="nearest")
    return fine[(slice(None), slice(None), *(slice(0, voxels) for voxels in size))].contiguous()
