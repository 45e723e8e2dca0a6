"""The network and weights of a MONAI bundle, read without running anything that lies in it.

A bundle is a folder, or a zip of one, with ``configs/inference.json`` and ``models/model.pt``. Its configuration may name any
Python object and hold expressions; of all that only ``network_def`` is read, only where it names a network of our table of
MONAI networks, and only plain values and references to plain values are taken. The weights are read as tensors.

Source: MONAI bundle specification, docs.monai.io/en/stable/mb_specification.html.
"""

from __future__ import annotations

import inspect
import io
import json
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor

from overread.core.errors import OverreadError
from overread.networks.libraries.from_monai import ROWS
from overread.networks.weights import named_tensors

CONFIG, WEIGHTS, ABOUT = "configs/inference.json", "models/model.pt", "configs/metadata.json"
_CHANNELS = {
    "in_channels",
    "n_input_channels",
    "out_channels",
    "num_classes",
    "spatial_dims",
}  # said by the question, not by options


@dataclass(frozen=True)
class Bundle:
    """What a bundle says.

    network  "monai:NAME";  options  of its constructor, without channels and dimensions
    serves   "dense" or "image"
    licence  as its metadata say, "" where they do not
    """

    network: str
    options: Mapping[str, Any]
    dimensions: int
    serves: str
    tensors: Mapping[str, Tensor]
    licence: str = ""


def is_bundle(path: Path) -> bool:
    """Whether a folder or zip looks like a bundle."""
    if path.is_dir():
        return (path / "configs").is_dir()
    if path.suffix.lower() != ".zip":
        return False
    try:
        return any(CONFIG in name for name in _names(path))
    except OverreadError:
        return False


def read_bundle(path: Path) -> Bundle:
    """The network, its options and its tensors; anything that would run code is refused by name."""
    config = _json(_content(path, CONFIG), path, CONFIG)
    name, given = _network(config, path)
    dimensions = given.get("spatial_dims", 3)
    if dimensions not in (2, 3):
        raise OverreadError(
            f"the bundle {path.name} does not say of how many dimensions its network is", next="give its model.pt as a file"
        )
    options = {**_left_unsaid(name, dimensions), **{key: value for key, value in given.items() if key not in _CHANNELS}}
    about = _content(path, ABOUT, is_needed=False)
    licence = "" if about is None else str(_json(about, path, ABOUT).get("license") or "")
    return Bundle(f"monai:{name}", options, dimensions, ROWS[name].serves, _tensors(path), licence)


def _left_unsaid(name: str, dimensions: int) -> dict[str, Any]:
    """What MONAI takes where a bundle says nothing, of the options that our table sets otherwise."""
    from monai.networks import nets  # heavy, and only wanted when named

    taken = inspect.signature(getattr(nets, name)).parameters
    ours = [key for key in ROWS[name].fixed(dimensions) if key in taken]
    return {key: taken[key].default for key in ours if taken[key].default is not inspect.Parameter.empty}


def _network(config: Mapping[str, Any], path: Path) -> tuple[str, dict[str, Any]]:
    found = config.get("network_def", config.get("network"))
    if not isinstance(found, dict) or not isinstance(found.get("_target_"), str):
        raise OverreadError(
            f"{CONFIG} of the bundle {path.name} has no network_def with a _target_",
            next='give its model.pt as a file and name the architecture, e.g. architecture = "monai:UNet"',
        )
    target = found["_target_"]
    front, _, name = target.rpartition(".")
    if name not in ROWS or (front not in ("", "monai.networks.nets") and not front.startswith("monai.networks.nets.")):
        raise OverreadError(
            f"the bundle {path.name} wants to build '{target}', which is no network of our table; nothing else is run from a "
            "bundle",
            next=f"use a bundle of one of {', '.join(sorted(ROWS))}",
        )
    return name, {key: _plain(value, config, f"network_def.{key}", path) for key, value in found.items() if key[:1] != "_"}


def _plain(value: Any, config: Mapping[str, Any], where: str, path: Path, depth: int = 0) -> Any:
    """Numbers, words, lists and tables; ``@name`` is followed to a plain value, ``$...`` is code and refused."""
    if (isinstance(value, str) and value.startswith("$")) or (isinstance(value, dict) and "_target_" in value):
        raise OverreadError(
            f"{where} of the bundle {path.name} is an expression to be run ({str(value)[:40]}); nothing is run from a bundle",
            next="write its value there as a plain number or word",
        )
    if isinstance(value, str) and value.startswith(("@", "%")):
        referred = config.get(value[1:].removeprefix("::"))
        if depth > 8 or referred is None:
            raise OverreadError(
                f"{where} of the bundle {path.name} refers to {value}, which is no plain value of {CONFIG}",
                next="write the value itself there",
            )
        return _plain(referred, config, where, path, depth + 1)
    if isinstance(value, list):
        return [_plain(inner, config, where, path, depth + 1) for inner in value]
    if isinstance(value, dict):
        return {key: _plain(inner, config, f"{where}.{key}", path, depth + 1) for key, inner in value.items()}
    return value


def _tensors(path: Path) -> dict[str, Tensor]:
    content = _content(path, WEIGHTS)
    assert content is not None
    try:
        found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise OverreadError(
            f"{WEIGHTS} of the bundle {path.name} holds Python objects beside tensors, which could run code when read",
            next="ask for a bundle whose model.pt is a state_dict",
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise OverreadError(f"{WEIGHTS} of the bundle {path.name} cannot be read ({error})", next="fetch it again") from error
    return named_tensors(found, f"{WEIGHTS} of the bundle {path.name}")


def _json(content: bytes | None, path: Path, name: str) -> Mapping[str, Any]:
    try:
        found = json.loads((content or b"").decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise OverreadError(f"{name} of the bundle {path.name} is no JSON ({error})", next="fetch the bundle again") from error
    return found if isinstance(found, dict) else {}


def _content(path: Path, name: str, *, is_needed: bool = True) -> bytes | None:
    """One file of the bundle; of a zip whatever folder it was packed in."""
    if path.is_dir():
        file = path / name
        content = file.read_bytes() if file.is_file() else None
    else:
        inside = [entry for entry in _names(path) if PurePosixPath(entry).parts[-2:] == PurePosixPath(name).parts]
        content = None
        if inside:
            with zipfile.ZipFile(path) as archive:
                content = archive.read(min(inside, key=len))
    if content is None and is_needed:
        raise OverreadError(
            f"the bundle {path.name} has no {name}", next="fetch the bundle again, or give its model.pt as a file"
        )
    return content


def _names(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise OverreadError(f"{path.name} is no readable zip of a bundle ({error})", next="fetch it again") from error
