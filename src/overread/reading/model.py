"""A trained model as a folder and as one file: `model.safetensors` and `model.json`, zipped. No pickles.

Of an ensemble the tensors of member k are called "k.NAME", those of its gate "gate.NAME"; what a model needs to refuse images is
called "refusal.NAME". Of a model that reads the part of an image that a first one finds, the tensors of the first are called
"first.NAME".
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn

from overread import networks
from overread.core.errors import OverreadError
from overread.networks.device import best_device
from overread.networks.fusion.fused import fused
from overread.networks.layout import to_channels_last
from overread.reading.answering import Answering
from overread.reading.card import FORMAT_OF_TWO, ModelCard, card_of
from overread.reading.ensemble import Ensemble
from overread.reading.predictor import Predictor
from overread.reading.refusal.guard import Guard
from overread.reading.refusal.record import LimitsUnread
from overread.reading.region import Finder
from overread.record.files import digest_bytes, write_bytes, write_json, write_with
from overread.tasks import Scaling, make

__all__ = [
    "Model",
    "ModelCard",
    "build_network",
    "load_guard",
    "load_model",
    "load_network",
    "network_of",
    "pack_model",
    "predictor_of",
    "side_by_side",
    "write_model",
]

CARD, WEIGHTS = "model.json", "model.safetensors"
GATE = "gate"
REFUSAL = "refusal."
FIRST = "first."
WAITING = ".next.safetensors"  # new weights, until the card names them


def write_model(
    folder: Path, network: nn.Module, card: ModelCard, guard: Guard | None = None, first: nn.Module | None = None
) -> ModelCard:
    """Write `model.safetensors` and `model.json`; returns the card with its digests.

    guard  what refuses images unlike those of training; its limits go into the card, which has none without it
    first  network of the first model, where the card names one
    The new weights wait beside until the card names them, so that whoever reads meanwhile, or after a kill or a full disk,
    finds the old model or the new one.
    """
    tensors = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    if guard is not None:
        tensors |= {REFUSAL + k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in guard.tensors().items()}
    if card.first is not None and first is not None:
        tensors |= {FIRST + k: v.detach().cpu().contiguous() for k, v in first.state_dict().items()}
    card = replace(card, refusal=None if guard is None else guard.refusal)
    content = save_tensors(tensors)
    weights = digest_bytes([content])
    values = {**card.as_dict(), "weights": weights, "sha256": ""}
    values["sha256"] = digest_bytes([json.dumps(values, sort_keys=True).encode()])
    write_bytes(folder / WAITING, content)
    write_json(folder / CARD, values)
    os.replace(folder / WAITING, folder / WEIGHTS)
    return card_of(values)


def pack_model(folder: Path, file: Path) -> Path:
    """Zip a model folder into one `.overread` file; the same model always gives the same bytes."""

    def write(beside: Path) -> None:
        with zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as archive:
            for name in (CARD, WEIGHTS):
                archive.writestr(zipfile.ZipInfo(name), (folder / name).read_bytes())

    write_with(file, write)
    return file


@dataclass(frozen=True)
class Model:
    """A model that can read.

    guard  looks at every image first; None where the model file has none
    """

    card: ModelCard
    predictor: Answering
    guard: Guard | None = None


def load_model(path: Path, *, device: str = "auto", precision: str = "auto") -> Model:
    """Load a `.overread` file or a model folder; damage, or a newer form, is named."""
    card, network, guard, first = _load(path)
    reader = predictor_of(card, network, device=device, precision=precision)
    if card.first is not None and first is not None:
        assert isinstance(reader, Predictor)
        reader.finder = Finder(predictor_of(card.first, first, device=device, precision=precision))
    return Model(card, reader, guard)


def load_network(path: Path) -> tuple[ModelCard, nn.Module]:
    """The card and the network, with its weights, of a `.overread` file or a model folder; without the first of two."""
    return _load(path)[:2]


def load_guard(path: Path) -> Guard | None:
    """What refuses images, of a `.overread` file or a model folder; None where there is nothing of the kind."""
    return _load(path)[2]


def _load(path: Path) -> tuple[ModelCard, nn.Module, Guard | None, nn.Module | None]:
    path = Path(path)
    text, content = _contents(path)
    try:
        values = json.loads(text)
        if values["format"] > FORMAT_OF_TWO:
            raise OverreadError(
                f"{path.name} was made by a newer version of Overread (form {values['format']}; this one reads {FORMAT_OF_TWO}).",
                "update Overread, then try again",
            )
        _verify(path, values, content)
        card = card_of(values)
        network = network_of(card)
        tensors = load_tensors(content)
        own = {k.removeprefix(REFUSAL): tensors.pop(k).numpy() for k in [k for k in tensors if k.startswith(REFUSAL)]}
        before = {k.removeprefix(FIRST): tensors.pop(k) for k in [k for k in tensors if k.startswith(FIRST)]}
        first = None if card.first is None else network_of(card.first)
        if first is not None:
            first.load_state_dict(before)
        network.load_state_dict(tensors)
        guard = None if card.refusal is None else Guard.from_tensors(card.refusal, own)
    except LimitsUnread as error:
        raise LimitsUnread(f"The model {path.name}: {error.what}", error.next) from error
    except (json.JSONDecodeError, KeyError, TypeError, SafetensorError, RuntimeError) as error:
        raise _damaged(path, str(error).splitlines()[0]) from error
    return card, network, guard, first


def build_network(values: dict[str, Any], weights: str = "random") -> nn.Module:
    """The network that a card describes, with weights by name as in `networks.build`; these are of what reads the image."""
    fusion = values.get("fusion")
    network = networks.build(
        values["name"],
        in_channels=values["in_channels"],
        out_channels=fusion["summary"] if fusion else values["out_channels"],
        dimensions=values["dimensions"],
        serves=values["serves"],
        options=values["options"],
        weights=weights,
    )
    return fused(network, values) if fusion else network


def network_of(card: ModelCard) -> nn.Module:
    """The network of a card; of an ensemble those of its members and of its gate, side by side."""
    if not card.members:
        return build_network(card.network)
    members = [network_of(member.card) for member in card.members]
    return side_by_side(members, None if card.gate is None else network_of(card.gate))


def side_by_side(members: Sequence[nn.Module], gate: nn.Module | None) -> nn.ModuleDict:
    """Networks under the names that their tensors have in the file of an ensemble."""
    named = {str(number): network for number, network in enumerate(members)}
    return nn.ModuleDict(named if gate is None else {**named, GATE: gate})


def predictor_of(card: ModelCard, network: nn.Module, *, device: str = "auto", precision: str = "auto") -> Answering:
    """What reads by a card; `network` as from `network_of`, with its weights."""
    if not card.members:
        return _single(card, network, device, precision)
    assert isinstance(network, nn.ModuleDict)
    members = [_single(m.card, network[str(k)], device, precision) for k, m in enumerate(card.members)]
    gate = None if card.gate is None else predictor_of(card.gate, network[GATE], device=device, precision=precision)
    return Ensemble.of(members, [member.share for member in card.members], card.decisions, gate)


def _single(card: ModelCard, network: nn.Module, device: str, precision: str) -> Predictor:
    where = best_device() if device == "auto" else device
    task = make(
        card.question,
        loss=card.task["loss"],
        scaling=Scaling(tuple(card.task["centre"]), tuple(card.task["scale"])),
        route=card.task.get("route", ""),
        own=card.task.get("options"),
    )
    return Predictor(
        to_channels_last(network.to(where)).eval(),
        task,
        card.preparation,
        card.decisions,
        overlap=card.reading["overlap"],
        mirror=tuple(card.reading["mirror"]),
        precision=card.reading["precision"] if precision == "auto" else precision,
        device=where,
    )


def _contents(path: Path) -> tuple[str, bytes]:
    try:
        if path.is_dir():
            return _of_folder(path)
        with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
            return archive.read(CARD).decode(), archive.read(WEIGHTS)
    except FileNotFoundError as error:
        raise OverreadError(f"There is no model at {path}.", "give a .overread file, or the model folder of a run") from error
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError, OSError) as error:
        raise _damaged(path, str(error)) from error


def _of_folder(folder: Path) -> tuple[str, bytes]:
    """The card and the weights that it names; where the card was replaced meanwhile, those of the new one."""
    while True:
        text = (folder / CARD).read_text(encoding="utf-8")
        content = _weights(folder, text)
        if (folder / CARD).read_text(encoding="utf-8") == text:
            return text, content


def _weights(folder: Path, card: str) -> bytes:
    with suppress(FileNotFoundError):
        content = (folder / WAITING).read_bytes()
        if digest_bytes([content]) in card:
            return content
    return (folder / WEIGHTS).read_bytes()


def _verify(path: Path, values: dict[str, Any], content: bytes) -> None:
    if digest_bytes([content]) != values["weights"]:
        raise _damaged(path, "the weights do not match their digest")
    named = values["sha256"]
    if digest_bytes([json.dumps({**values, "sha256": ""}, sort_keys=True).encode()]) != named:
        raise _damaged(path, "model.json does not match its digest")


def _damaged(path: Path, why: str) -> OverreadError:
    return OverreadError(f"The model {path.name} is damaged: {why}.", "copy it again from its run folder, or train it again")
