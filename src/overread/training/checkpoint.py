"""The state of a run, to resume from: tensors in safetensors, the rest in its header; no pickles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from overread.core.errors import OverreadError
from overread.record.files import write_with
from overread.training.average import Average


def save_checkpoint(
    path: Path,
    network: nn.Module,
    average: Average,
    optimizer: torch.optim.Optimizer,
    state: dict[str, Any],
    best: Mapping[str, torch.Tensor],
) -> None:
    """Write everything that the next step depends on.

    state  plain values: step, epoch, seconds, progress, plan digest ...
    best   the averaged weights of the best look, where early stopping remembers them; may be empty
    """
    tensors = {f"best.{k}": v.contiguous() for k, v in best.items()}
    for name, module in (("network", network), ("average", average.network)):
        tensors |= {f"{name}.{k}": v.detach().contiguous() for k, v in module.state_dict().items()}
    for number, values in optimizer.state_dict()["state"].items():
        for key, value in values.items():
            if value is not None:
                tensors[f"optimizer.{number}.{key}"] = torch.as_tensor(value).detach().contiguous()
    header = {"state": json.dumps(state)}
    write_with(path, lambda beside: save_file(tensors, beside, metadata=header))


def load_checkpoint(
    path: Path, network: nn.Module, average: Average, optimizer: torch.optim.Optimizer
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Put the saved state back into network, average and optimizer; returns the plain values, and the best weights."""
    try:
        with safe_open(str(path), "pt") as file:
            state: dict[str, Any] = json.loads(file.metadata()["state"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (not a dict)
    except (SafetensorError, OSError, json.JSONDecodeError, TypeError) as error:
        raise OverreadError(
            f"The checkpoint {path.name} is damaged: {error}.", "delete it and train again without --resume"
        ) from error
    for name, module in (("network", network), ("average", average.network)):
        module.load_state_dict({k[len(name) + 1 :]: v for k, v in tensors.items() if k.startswith(name + ".")})
    saved = optimizer.state_dict()
    saved["state"] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, number, name = key.split(".", 2)
            saved["state"].setdefault(int(number), {})[name] = value
    optimizer.load_state_dict(saved)
    _match_layout(optimizer)
    return state, {k.removeprefix("best."): v for k, v in tensors.items() if k.startswith("best.")}


def _match_layout(optimizer: torch.optim.Optimizer) -> None:
    """Give each moment the memory layout of its weight: fused optimizers walk both by address, not by index."""
    for parameter, values in optimizer.state.items():
        for key, value in values.items():
            if torch.is_tensor(value) and value.shape == parameter.shape:
                values[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
