"""A volume read slice by slice: a 2D network on every slice, one row gathered from all of them, one linear layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from overread.core.errors import OverreadError
from overread.networks.exam.gather import AttentionOverSlices
from overread.networks.exam.slices import present, with_neighbours
from overread.networks.small_maps import SmallMaps
from overread.networks.weights.loaded import Loaded

LEFT_OUT_AT_ONCE = 256  # answers computed together where slices are left out one by one
INSIDE = "encoder."  # names of tensors of the 2D network begin with it
READ_AT_ONCE = 64  # slices in one pass where nothing is learned
Behind = Callable[[Tensor, int], Tensor]  # (N, out_channels) that the network says of a volume, and its number in the batch


class ExamNetwork(nn.Module):
    """One answer for a volume from its slices. Slices of one value, with which short volumes are padded, have no say.

    encoder     the 2D network, (N, channels, H, W) to (N, F); weights of photographs go in here, and other parts stay random
    gather      rows of all slices to one (`networks.exam.gather`)
    head        that row to logits
    axis        along which slices follow each other: 0 foot to head (axial), 1 front to back, 2 right to left (sagittal)
    neighbours  slices before and after each that the encoder sees with it, as channels
    chunk       slices in one pass through the encoder, 0 for all at once. A training then keeps the maps of one pass and
                computes those of the others a second time (Chen et al. 2016, arXiv:1604.06174); batch normalisation sees one
                pass at a time
    published   loads published weights into the encoder; None where there are none
    """

    dimensions = 3

    def __init__(
        self,
        encoder: nn.Module,
        gather: nn.Module,
        out_channels: int,
        *,
        axis: int = 0,
        neighbours: int = 0,
        chunk: int = 0,
        dropout: float = 0.0,
        published: Callable[[nn.Module], Loaded] | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.gather = encoder, gather
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(int(gather.outputs), out_channels)  # type: ignore[arg-type]
        self.axis, self.neighbours, self.chunk, self._published = axis, neighbours, chunk, published

    def forward(self, images: Tensor) -> Tensor:
        """Logits per volume: (B, C, Z, Y, X) to (B, out_channels)."""
        return self.head(self.dropout(self.features(images)))

    def features(self, images: Tensor) -> Tensor:
        """What the linear layer reads: (B, F)."""
        rows, holds = self.rows(images)
        return self.gather(rows, holds)

    def rows(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """A row of numbers for each slice, (B, S, F), and which slices hold an image, (B, S); the others' rows are 0."""
        if images.ndim != 5:
            raise OverreadError(f"a network over slices reads volumes, and got an image of size {tuple(images.shape[2:])}")
        volumes = images.movedim(2 + self.axis, 2)
        holds = present(volumes)
        size = holds.numel() if volumes.is_meta else int(holds.sum())
        cases, places = _all(holds) if size == holds.numel() else holds.nonzero(as_tuple=True)
        at_once = self.chunk or (size if torch.is_grad_enabled() else READ_AT_ONCE)
        parts = -(-size // at_once)
        each = zip(cases.tensor_split(parts), places.tensor_split(parts), strict=True)
        encoded = [self._encode(volumes, holds, *some, keep=k + 1 == parts) for k, some in enumerate(each)]
        found = torch.cat(encoded)
        empty = found.new_zeros(*holds.shape, found.shape[1])
        return empty.index_put((cases, places), found), holds

    @torch.no_grad()
    def slice_weights(self, images: Tensor, behind: Behind | None = None) -> Tensor:
        """How much each slice shares in the answer: (B, C, Z, Y, X) to (B, S) float32, 1 in all, 0 where a slice is padding.

        With attention, its own weights. Else by how much the logits change (in sum over all of them, without sign) when the
        slice is left out of what is gathered; equal where no single slice changes them.

        behind  what makes the answer of what this network says, where it is not the last (`networks.fusion.fused`)

        Source of leaving out: Li et al., Understanding neural networks through representation erasure, arXiv:1612.08220.
        """
        rows, holds = self.rows(images)
        if isinstance(self.gather, AttentionOverSlices):
            return self.gather.weights(rows, holds)
        last = behind or (lambda said, volume: said)
        return torch.stack([self._left_out(rows[k], holds[k], k, last) for k in range(len(rows))])

    def _left_out(self, rows: Tensor, holds: Tensor, volume: int, last: Behind) -> Tensor:
        """The same of one volume, rows (S, F), by leaving out each of its slices in turn."""
        places = holds.nonzero()[:, 0]
        weights = torch.zeros(len(holds), device=rows.device)
        if len(places) == 1:
            weights[places] = 1.0
            return weights
        whole = last(self._answer(rows[None], holds[None]), volume)
        for some in places.split(LEFT_OUT_AT_ONCE):
            without = holds.repeat(len(some), 1)
            without[torch.arange(len(some)), some] = False
            answers = last(self._answer(rows.expand(len(some), *rows.shape), without), volume)
            weights[some] = (answers - whole).abs().sum(1).float()
        total = weights.sum()
        return weights / total if total > 0 else holds / holds.sum()

    def _answer(self, rows: Tensor, holds: Tensor) -> Tensor:
        return self.head(self.dropout(self.gather(rows, holds)))

    def _encode(self, volumes: Tensor, holds: Tensor, cases: Tensor, places: Tensor, *, keep: bool) -> Tensor:
        """Rows of some slices, (N, F); without `keep`, what a training needs of them is computed again when it is wanted."""
        slices = with_neighbours(volumes, holds, cases, places, self.neighbours)
        slices = slices.contiguous(memory_format=torch.channels_last)
        if keep or not torch.is_grad_enabled():
            return self.encoder(slices)
        return checkpoint(self.encoder, slices, use_reentrant=False, context_fn=self._twice)

    def _twice(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        """What surrounds the first pass, and the second, from which batch normalisation learns nothing."""
        return SmallMaps(), _remembering(self.encoder)

    def load_published(self) -> Loaded:
        """Give the encoder the weights that its library published; what follows it stays random."""
        if self._published is None:
            raise OverreadError(
                "this encoder has no published weights",
                next='set [training.network] encoder to one that has, e.g. "resnet18" or "timm:resnet18", or weights to a file',
            )
        found = self._published(self.encoder)
        return replace(
            found,
            loaded=tuple(INSIDE + name for name in found.loaded),
            adapted=tuple(INSIDE + name for name in found.adapted),
            random={
                **{INSIDE + name: why for name, why in found.random.items()},
                **{name: "follows the encoder" for name in self.state_dict() if not name.startswith(INSIDE)},
            },
        )


@contextmanager
def _remembering(encoder: nn.Module) -> Iterator[None]:
    """Batch normalisation keeps its running statistics as they are; small maps are convolved as in the first pass."""
    layers = [layer for layer in encoder.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    before = [layer.momentum for layer in layers]
    counted = [layer.num_batches_tracked.clone() if layer.num_batches_tracked is not None else None for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        with SmallMaps():
            yield
    finally:
        for layer, momentum, count in zip(layers, before, counted, strict=True):
            layer.momentum = momentum
            layer.num_batches_tracked = count


def _all(holds: Tensor) -> tuple[Tensor, Tensor]:
    """(N,) volume and number of every slice."""
    cases = torch.arange(holds.shape[0], device=holds.device).repeat_interleave(holds.shape[1])
    return cases, torch.arange(holds.shape[1], device=holds.device).repeat(holds.shape[0])
