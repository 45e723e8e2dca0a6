"""Which network is meant: a name of the table, or of a library, with options and an input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from overread.core.errors import OverreadError
from overread.networks import build
from overread.networks.libraries.adapters import unknown_name
from overread.networks.libraries.table import library_of
from overread.networks.table import ARCHITECTURES, WANTED

EDGE = {2: 128, 3: 64}  # of the image where no size is named
CLASSES = 2  # where their number is not named


@dataclass(frozen=True)
class Asked:
    """One network as it was asked for.

    dimensions, serves  None: the first that it takes
    size     of the image, ([Z,] Y, X); None: a usual one
    channels of the image; a network that answers with an image, or makes one, does so with as many
    classes  that it answers with, 2 where left out; that a network which makes images can be asked for, none where left out
    options  of the network, as in [training.network]
    """

    name: str
    dimensions: int | None = None
    serves: str | None = None
    size: tuple[int, ...] | None = None
    channels: int = 1
    classes: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Built:
    """A network that was built, and all that was settled on the way.

    shape     of one image, (C, [Z,] Y, X)
    options   everything it was built with beside its defaults
    defaults  name and default of every option; empty where a library takes its own
    """

    network: nn.Module
    name: str
    serves: str
    shape: tuple[int, ...]
    classes: int
    options: Mapping[str, Any]
    defaults: Mapping[str, Any]
    paper: str
    licence: str

    @property
    def dimensions(self) -> int:
        return len(self.shape) - 1


def built(asked: Asked, *, has_values: bool = False) -> Built:
    """Build it; without values, which takes no memory and no time, unless they are wanted."""
    if asked.channels < 1 or (asked.classes is not None and asked.classes < 1):
        raise OverreadError("A network reads one channel or more and answers with one class or more.", "give 1 or more")
    is_of_library = library_of(asked.name) is not None
    if not is_of_library and asked.name not in ARCHITECTURES:
        raise unknown_name(asked.name, "Overread", ARCHITECTURES)
    size = _size(asked)
    if is_of_library:
        return _of_library(asked, size, has_values)
    row = ARCHITECTURES[asked.name]
    serves = asked.serves or next(kind for kind in WANTED if kind in row.serves)
    options = {**_for_the_image(row.options, size), **asked.options}
    network = _network(asked, serves, len(size), options, has_values)
    answers = _channels(asked, serves)[1]
    return Built(network, asked.name, serves, (asked.channels, *size), answers, options, row.options, row.paper, row.licence)


def _size(asked: Asked) -> tuple[int, ...]:
    row = ARCHITECTURES.get(asked.name)
    known = min(row.dimensions) if row else 2
    if asked.size is None:
        dimensions = asked.dimensions or known
        return (EDGE[dimensions],) * dimensions
    if len(asked.size) not in EDGE or min(asked.size) < 1:
        raise OverreadError(f"--size {','.join(map(str, asked.size))} is no size of an image.", "give Y,X or Z,Y,X in voxels")
    if asked.dimensions is not None and asked.dimensions != len(asked.size):
        raise OverreadError(
            f"--dimensions {asked.dimensions} and a --size of {len(asked.size)} numbers do not fit each other.",
            "give one number per axis",
        )
    return tuple(asked.size)


def _for_the_image(options: Mapping[str, Any], size: Sequence[int]) -> dict[str, Any]:
    """What a plan would tell the network of its images."""
    found: dict[str, Any] = {name: list(size) for name in ("image_size", "img_size") if name in options}
    if {"patch", "spacing"} <= set(options):
        found["patch"] = list(size)
    return found


def _channels(asked: Asked, serves: str) -> tuple[int, int]:
    """The numbers of channels that a network of the table is built for."""
    if serves == "made":
        return asked.classes or 0, asked.channels
    if serves == "pictures":
        return asked.channels, asked.channels
    return asked.channels, asked.classes or CLASSES


def _network(asked: Asked, serves: str, dimensions: int, options: Mapping[str, Any], has_values: bool) -> nn.Module:
    into, answers = _channels(asked, serves)
    question: dict[str, Any] = {"in_channels": into, "out_channels": answers, "dimensions": dimensions}
    if not has_values:
        try:
            with torch.device("meta"):
                return build(asked.name, serves=serves, options=options, **question)
        except (OverreadError, NotImplementedError, RuntimeError, TypeError):
            pass  # some compute with numbers while they are built; what is the user's fault is said again below
    torch.manual_seed(0)
    return build(asked.name, serves=serves, options=options, **question)


def _of_library(asked: Asked, size: tuple[int, ...], has_values: bool) -> Built:
    """A library says by refusing what its network answers with."""
    refusals = []
    for serves in (asked.serves,) if asked.serves else ("image", "dense"):
        try:
            network = _network(asked, serves, len(size), asked.options, has_values)
        except OverreadError as refusal:
            refusals.append(refusal)
            continue
        paper, licence = "as its library says", "that of its library"
        return Built(
            network, asked.name, serves, (asked.channels, *size), _channels(asked, serves)[1], asked.options, {}, paper, licence
        )
    raise refusals[0]
