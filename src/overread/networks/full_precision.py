"""Float32 within a training in bfloat16."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """No autocast inside; where tensors have shapes and no values there is none to switch off."""
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)
