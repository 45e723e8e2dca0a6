"""Many changed windows through a network, as many at once as memory allows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from overread.core.errors import OverreadError

BATCH = 16  # windows at once, where memory allows
VALUES = 2**22  # values of the input at once: about a volume of 160 voxels each way
_COMPLAINTS = ("not enough memory", "can't allocate memory", "out of memory", "bad allocation", "DefaultCPUAllocator")

Say = Callable[[str], None]


def _warn(words: str) -> None:
    warnings.warn(words, stacklevel=2)


_listener: ContextVar[Say] = ContextVar("listener", default=_warn)


@contextmanager
def telling(say: Say) -> Iterator[None]:
    """For a while `say` is told, in a sentence, where memory ended and fewer windows go through at once; else it is a warning."""
    before = _listener.set(say)
    try:
        yield
    finally:
        _listener.reset(before)


def batch_for(images: Tensor) -> int:
    """How many windows like this one go through the network at once."""
    return int(max(1, min(BATCH, VALUES // max(1, images[0].numel()))))


def in_batches(function: Callable[[Tensor], Tensor], windows: Iterable[Tensor], batch: int) -> np.ndarray:
    """What a function of a batch says of each window, in order: (N,) float64.

    function  (B, C, [Z,] Y, X) -> (B,)
    windows   (C, [Z,] Y, X) each; made one batch at a time
    batch     windows at once; halved where memory ends, which is said, see `telling`
    """
    answers: list[np.ndarray] = []
    waiting = iter(windows)
    while some := list(islice(waiting, batch)):
        while some:
            try:
                with torch.no_grad():
                    answers.append(function(torch.stack(some[:batch])).double().cpu().numpy())
                some = some[batch:]
            except (RuntimeError, MemoryError) as error:
                batch = smaller(batch, error)
    return np.concatenate(answers) if answers else np.zeros(0)


def smaller(batch: int, error: BaseException) -> int:
    """Half the batch, where the error is that memory ended; else, or with one window alone, the error goes on."""
    if not (isinstance(error, MemoryError | torch.OutOfMemoryError) or any(words in str(error) for words in _COMPLAINTS)):
        raise error
    if batch == 1:
        raise OverreadError(
            "Memory does not suffice for one window of this network.",
            "close other programs, or explain on a machine with more memory",
        ) from error
    _listener.get()(f"Memory ended with {batch} windows at once; it went on with {batch // 2}, which takes longer.")
    return batch // 2
