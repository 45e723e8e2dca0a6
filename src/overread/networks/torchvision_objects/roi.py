"""RoI align for channels-last maps on a processor: the numbers of torchvision's, several times faster.

torchvision's kernel for processors runs on one core, one channel after the other. A pooled value is a weighted sum of 16 pixels
(2 x 2 places of 4 neighbours), the same for all channels, so that whole pixels of a channels-last map can be added up: a bag of
embeddings. The gradient is the same sum the other way round.

Source: He 2017, Mask R-CNN, arXiv:1703.06870; levels as in Lin 2017, arXiv:1612.03144, equation 1.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torchvision.ops import MultiScaleRoIAlign

_CANONICAL_EDGE, _CANONICAL_LEVEL = 224, 4  # a box of 224 pixels is read from the map of stride 2 ** 4


class ChannelsLastRoIAlign(MultiScaleRoIAlign):
    """torchvision's pooling of boxes from a pyramid; on a graphics processor its own kernel."""

    def forward(self, x: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]) -> Tensor:
        """Maps by name (B, C, Y, X), boxes per image (N, 4): to (sum of N, C, size, size)."""
        maps = [x[name] for name in self.featmap_names]
        if maps[0].device.type != "cpu":
            return super().forward(x, boxes, image_shapes)
        with torch.no_grad():
            indices, weights = _table(maps, boxes, image_shapes[0], self.output_size[0], self.sampling_ratio)
        channels = maps[0].shape[1]
        pixels = torch.cat([level.permute(0, 2, 3, 1).reshape(-1, channels) for level in maps]).to(torch.float32)
        pooled = _WeightedSum.apply(pixels, indices, weights)
        return pooled.view(len(pooled) // (self.output_size[0] * self.output_size[1]), *self.output_size, channels).permute(
            0, 3, 1, 2
        )


def _table(maps: list[Tensor], boxes: list[Tensor], size: tuple[int, int], cells: int, places: int) -> tuple[Tensor, Tensor]:
    """Which pixels of all maps, one below the other, make each pooled value, and with what weights: (values, 16) each."""
    rois = torch.cat(boxes)
    image = torch.repeat_interleave(torch.arange(len(boxes)), torch.tensor([len(b) for b in boxes]))
    strides = [2 ** round(torch.tensor(size[0] / level.shape[2]).log2().item()) for level in maps]
    lowest, highest = strides[0].bit_length() - 1, strides[-1].bit_length() - 1
    edge = ((rois[:, 2] - rois[:, 0]) * (rois[:, 3] - rois[:, 1])).sqrt()
    wanted = torch.floor(_CANONICAL_LEVEL + torch.log2(edge / _CANONICAL_EDGE) + 1e-6)
    of_level = (wanted.clamp(lowest, highest) - lowest).long()
    rows, columns = torch.tensor([m.shape[2] for m in maps])[of_level], torch.tensor([m.shape[3] for m in maps])[of_level]
    counts = torch.tensor([len(m) * m.shape[2] * m.shape[3] for m in maps])
    first = (counts.cumsum(0) - counts)[of_level] + image * rows * columns
    scaled = rois / torch.tensor(strides)[of_level, None]
    y, y_weights = _along(scaled[:, 1], scaled[:, 3], rows, cells, places)
    x, x_weights = _along(scaled[:, 0], scaled[:, 2], columns, cells, places)
    y = y * columns[:, None, None] + first[:, None, None]
    indices = y[:, :, None, :, None] + x[:, None, :, None, :]
    weights = y_weights[:, :, None, :, None] * x_weights[:, None, :, None, :]
    return indices.flatten(3).flatten(0, 2), weights.flatten(3).flatten(0, 2)


def _along(start: Tensor, end: Tensor, pixels: Tensor, cells: int, places: int) -> tuple[Tensor, Tensor]:
    """Along one axis: the two neighbours of each place in each cell of each box, and their weights: (N, cells, 2 * places)."""
    length = (end - start).clamp(min=1)
    steps = (torch.arange(cells * places) + 0.5) / places
    where = start[:, None] + steps * (length / cells)[:, None]
    last = (pixels - 1)[:, None]
    is_inside = (where >= -1) & (where <= pixels[:, None])
    where = torch.minimum(where.clamp(min=0), last)
    lower = where.floor().long()
    share = where - lower
    neighbours = torch.stack([lower, torch.minimum(lower + 1, last)], dim=-1)
    weights = torch.stack([1 - share, share], dim=-1) * is_inside[..., None] / places
    return neighbours.view(len(start), cells, 2 * places), weights.view(len(start), cells, 2 * places)


class _WeightedSum(torch.autograd.Function):
    """Rows of a table added up with weights: pixels (P, C), indices and weights (V, K), to (V, C)."""

    @staticmethod
    def forward(ctx: Any, pixels: Tensor, indices: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(indices, weights)
        ctx.pixels = len(pixels)
        return torch.nn.functional.embedding_bag(indices, pixels, mode="sum", per_sample_weights=weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        indices, weights = ctx.saved_tensors
        values = gradients[0].to(torch.float32).contiguous()
        if not len(values):
            return values.new_zeros((ctx.pixels, values.shape[1])), None, None
        flat = indices.flatten()
        order = torch.argsort(flat)
        counts = torch.bincount(flat, minlength=ctx.pixels)
        back = torch.nn.functional.embedding_bag(
            order // indices.shape[1],
            values,
            counts.cumsum(0) - counts,
            mode="sum",
            per_sample_weights=weights.flatten()[order],
        )
        return back, None, None
