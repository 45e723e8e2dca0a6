"""Where memory ends fewer windows go through at once, the numbers stay the same, and it is said."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from overread.core.errors import OverreadError
from overread.explanation.batching import in_batches, telling

WINDOWS = [torch.full((1, 4, 4), float(k)) for k in range(11)]


def narrow(most: int) -> Callable[[Tensor], Tensor]:
    """A network for which memory suffices for so many windows at once."""

    def answers(windows: Tensor) -> Tensor:
        if len(windows) > most:
            raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes")
        return windows.flatten(1).mean(1)

    return answers


def test_batches_are_halved_until_they_fit_and_that_is_said() -> None:
    said: list[str] = []
    with telling(said.append):
        found = in_batches(narrow(3), WINDOWS, 8)
    assert np.array_equal(found, np.arange(11))
    assert [words.partition(";")[0] for words in said] == [f"Memory ended with {batch} windows at once" for batch in (8, 4)]
    with pytest.warns(UserWarning, match="it went on with 1"):  # nobody listens: it is not kept silent
        in_batches(narrow(1), WINDOWS, 2)


def test_what_cannot_become_smaller_or_is_another_fault_goes_on() -> None:
    with pytest.raises(OverreadError, match="does not suffice for one window") as refusal:
        in_batches(narrow(0), WINDOWS, 1)
    assert "more memory" in refusal.value.next

    def broken(_windows: Tensor) -> Tensor:
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        in_batches(broken, WINDOWS, 8)
