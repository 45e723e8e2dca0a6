"""What a pretraining left in its run folder: a record, and the weights of a network without a head that anybody asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from overread.core.errors import OverreadError
from overread.networks.weights import weights_digest
from overread.record.files import read_json, write_json, write_with
from overread.record.run import RunFolder

RECORD, WEIGHTS, PLAN = "pretraining.json", "pretrained.safetensors", "pretraining.toml"


def is_pretraining(run: RunFolder) -> bool:
    return (run.path / RECORD).is_file()


def write_record(run: RunFolder, record: dict[str, Any]) -> None:
    write_json(run.path / RECORD, {"format": 1, **record})


def read_record(run: RunFolder) -> dict[str, Any]:
    return dict(read_json(run.path / RECORD))


def write_pretrained(run: RunFolder, network: nn.Module) -> str:
    """Write the weights; returns their digest."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_with(run.path / WEIGHTS, lambda beside: save_file(tensors, beside))
    return weights_digest(network)


def read_pretrained(run: RunFolder) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The record and the weights; one that has not ended is refused."""
    record = read_record(run)
    if not record.get("ended"):
        raise OverreadError(f"The pretraining '{run.name}' has not ended.", "go on with it: overread pretrain DIR --resume")
    path: Path = run.path / WEIGHTS
    try:
        return record, load_file(path)
    except (SafetensorError, OSError) as error:
        raise OverreadError(f"The weights of '{run.name}' cannot be read ({error}).", "pretrain again") from error
