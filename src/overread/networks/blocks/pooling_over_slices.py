"""Attention pooling: an exam is the weighted mean of its slices, and the weights say which slices counted."""

import torch
from torch import Tensor, nn


class AttentionPooling(nn.Module):
    """Gated attention over slices: (B, slices, width) to (B, width) and the weights (B, slices), which sum to 1.

    A slice's weight is softmax over slices of w . (tanh(V slice) * sigmoid(U slice)): learned from labels per exam only.
    inner  width of the gated layer; the paper takes 128

    Source: Ilse 2018 (attention-based deep multiple instance learning), arXiv:1802.04712, equation 9.
    """

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.content, self.gate = nn.Linear(width, inner), nn.Linear(width, inner)
        self.score = nn.Linear(inner, 1, bias=False)

    def forward(self, slices: Tensor, present: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """present  (B, slices) bool, false for slices that only fill up a batch; at least one true per exam"""
        weights = self.weights_of(slices, present)
        return torch.einsum("bs,bsf->bf", weights, slices.to(weights.dtype)), weights

    def weights_of(self, slices: Tensor, present: Tensor | None = None) -> Tensor:
        """How much each slice counts: (B, slices), 0 to 1, each row sums to 1."""
        scores = self.score(torch.tanh(self.content(slices)) * torch.sigmoid(self.gate(slices))).squeeze(2)
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        if present is not None:
            scores = scores.masked_fill(~present, -torch.inf)
        return torch.softmax(scores, dim=1)
