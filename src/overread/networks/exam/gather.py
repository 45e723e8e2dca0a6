"""One row of numbers from the rows of all slices; slices that hold no image have no say.

Each takes rows (B, S, F) with which of them hold an image (B, S) bool, and gives (B, outputs).
"""

from torch import Tensor, nn

from overread.networks.blocks.pooling_over_slices import AttentionPooling
from overread.networks.blocks.recurrent import Recurrent


class MeanOfSlices(nn.Module):
    """The mean row."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.outputs = width

    def forward(self, rows: Tensor, holds: Tensor) -> Tensor:
        share = holds / holds.sum(1, keepdim=True)
        return (rows * share.to(rows.dtype)[..., None]).sum(1)


class MaxOfSlices(nn.Module):
    """The largest value of each column: one slice with a finding is enough (Bien 2018, doi:10.1371/journal.pmed.1002699)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.outputs = width

    def forward(self, rows: Tensor, holds: Tensor) -> Tensor:
        return rows.masked_fill(~holds[..., None], float("-inf")).amax(1)


class AttentionOverSlices(nn.Module):
    """The mean weighted by gated attention, in which every slice is asked how much it matters (Ilse 2018, arXiv:1802.04712)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.outputs = width
        self.attention = AttentionPooling(width, inner)

    def forward(self, rows: Tensor, holds: Tensor) -> Tensor:
        return self.attention(rows, holds)[0]

    def weights(self, rows: Tensor, holds: Tensor) -> Tensor:
        """(B, S) float32, 1 in all; 0 for slices that hold no image."""
        return self.attention.weights_of(rows, holds)


class RecurrentOverSlices(nn.Module):
    """A recurrent layer that walks through the slices in both directions, and the largest of its answers.

    Source of the maximum over both directions: Conneau et al. 2017, arXiv:1705.02364.
    """

    def __init__(self, width: int, hidden: int, kind: str) -> None:
        super().__init__()
        self.walk = Recurrent(width, hidden, kind)
        self.outputs = self.walk.outputs

    def forward(self, rows: Tensor, holds: Tensor) -> Tensor:
        if rows.is_meta:  # every slice counts, and to know where an exam ends asks for values
            return self.walk(rows).amax(1)
        order = holds.int().argsort(dim=1, descending=True, stable=True)  # slices that hold an image first, in their order
        walked = self.walk(rows.gather(1, order[..., None].expand(-1, -1, rows.shape[2])), holds)
        return walked.masked_fill(~holds.gather(1, order)[..., None], float("-inf")).amax(1)
