"""A recurrent layer over the slices of an exam: each slice is read with its neighbours in mind, upwards and downwards.

Sources: Hochreiter 1997, doi:10.1162/neco.1997.9.8.1735 (LSTM); Cho 2014, arXiv:1406.1078 (GRU);
Schuster 1997, doi:10.1109/78.650093 (both directions).
"""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from overread.core.errors import OverreadError

KINDS: dict[str, type[nn.LSTM] | type[nn.GRU] | type[nn.RNN]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class Recurrent(nn.Module):
    """Reads the slices of an exam one after the other in both directions: (B, slices, width) to (B, slices, 2 * hidden).

    width   features of a slice
    hidden  what is remembered, per direction
    kind    "lstm" (remembers longest), "gru" (lighter), "rnn" (the plain unit, forgets soon)
    """

    def __init__(self, width: int, hidden: int, kind: str = "lstm") -> None:
        super().__init__()
        if kind not in KINDS:
            raise OverreadError(f"no recurrent unit is called '{kind}'", next=f"choose one of {', '.join(KINDS)}")
        self.outputs = 2 * hidden
        self.unit = KINDS[kind](width, hidden, batch_first=True, bidirectional=True)

    def forward(self, slices: Tensor, present: Tensor | None = None) -> Tensor:
        """present  (B, slices) bool, where exams of one batch differ in length: true for real slices, which come first"""
        if present is None:
            return self.unit(slices)[0]
        lengths = present.sum(1).to("cpu", torch.int64)
        packed = pack_padded_sequence(slices, lengths, batch_first=True, enforce_sorted=False)
        read, _ = pad_packed_sequence(self.unit(packed)[0], batch_first=True, total_length=slices.shape[1])
        return read
