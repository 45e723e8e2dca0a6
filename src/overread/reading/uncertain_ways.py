"""Where several answers to one case may come from, and which of these a model has.

Dropout at reading time: Gal and Ghahramani, ICML 2016. Mirrored and changed readings: Wang et al., Neurocomputing 2019;338:34.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from overread.core.errors import OverreadError
from overread.reading.answering import Answering
from overread.reading.ensemble import Ensemble
from overread.reading.predictor import Predictor

MEMBERS, DROPOUT, MIRROR, CHANGES = "members", "dropout", "mirror", "changes"
SOURCES = (MEMBERS, DROPOUT, MIRROR, CHANGES)
PASSES = 10  # of each network, where they are drawn at random


@dataclass(frozen=True)
class Ways:
    """Where several answers to one case come from.

    by      names of `SOURCES`
    passes  of each network, where dropout or changes draw at random; rounded up so that every mirroring comes as often
    seed    of what is drawn; pass k of every case gets the same dropout, so that the same thinned networks answer all cases
    mirror  array axes (0 Z, 1 Y, 2 X) that training mirrored; None: those over which the model mirrors when it reads
    """

    by: tuple[str, ...]
    passes: int = PASSES
    seed: int = 0
    mirror: tuple[int, ...] | None = None

    def axes(self, reader: Predictor) -> tuple[int, ...]:
        return reader.mirror if self.mirror is None else self.mirror


def possible(answering: Answering, mirror: tuple[int, ...] | None = None) -> tuple[str, ...]:
    """What this model offers, see `refusal`; changes of the image always."""
    return tuple(source for source in SOURCES if not refusal(answering, Ways((source,), mirror=mirror), source))


def refusal(answering: Answering, ways: Ways, source: str) -> OverreadError | None:
    """Why this model cannot answer several times in this way; None where it can."""
    readers = readers_of(answering)
    if source == MEMBERS and len(readers) < 2:
        return OverreadError(
            "This is one network: there are no members that could disagree.",
            "join several runs with `overread ensemble DIR --runs A,B,C`, or leave members out of --by",
        )
    if source == DROPOUT and not all(dropout_layers(reader.network) for reader, _ in readers):
        return OverreadError(
            "This network was trained without dropout: with nothing to switch on, it answers the same every time.",
            "set dropout = 0.2 under [training] in project.toml and train anew, or leave dropout out of --by",
        )
    if source == MIRROR:
        return _no_mirror(readers, ways)
    return None


def _no_mirror(readers: Sequence[tuple[Predictor, float]], ways: Ways) -> OverreadError | None:
    if readers[0][0].task.question.sided and any(ways.axes(reader) for reader, _ in readers):
        return OverreadError("The question has sides: a mirrored left would be read as a right.", "leave mirror out of --by")
    if not any(ways.axes(reader) for reader, _ in readers):
        return OverreadError(
            "Training mirrored no image, so a mirrored one is strange to this model.",
            'train with [training.augmentation] mirror = ["x"], or leave mirror out of --by',
        )
    return None


def check(answering: Answering, ways: Ways) -> None:
    """Stop at a way that this model does not have."""
    unknown = [source for source in ways.by if source not in SOURCES]
    if unknown or not ways.by:
        named = (
            f"There is no way '{unknown[0]}' to answer several times." if unknown else "No way to answer several times is named."
        )
        raise OverreadError(named, f"--by takes, joined by commas: {', '.join(SOURCES)}")
    if ways.passes < 2:
        raise OverreadError(f"{ways.passes} passes cannot disagree.", "give --passes 2 or more")
    for source in ways.by:
        if (error := refusal(answering, ways, source)) is not None:
            raise error


def readers_of(answering: Answering) -> tuple[tuple[Predictor, float], ...]:
    """The networks behind an answer, each with its share of it; those without a share are not asked."""
    if isinstance(answering, Ensemble):
        return tuple((member, share) for member, share in zip(answering.members, answering.shares, strict=True) if share > 0)
    if isinstance(answering, Predictor):
        return ((answering, 1.0),)
    raise OverreadError(f"Nothing is known of how a {type(answering).__name__} answers.", "give a .overread model")


def dropout_layers(network: nn.Module) -> list[nn.Module]:
    """Layers that drop something in training."""
    return [layer for layer in network.modules() if isinstance(layer, _DropoutNd) and layer.p > 0]


@contextmanager
def dropout_on(network: nn.Module, seed: int) -> Iterator[None]:
    """Dropout as in training, everything else, normalisation above all, as in reading; afterwards as it was.

    seed  of what is dropped; torch's own random numbers go on afterwards as though nothing had been drawn
    """
    layers = dropout_layers(network)
    before = [layer.training for layer in layers]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            for layer in layers:
                layer.train()
            yield
        finally:
            for layer, was in zip(layers, before, strict=True):
                layer.train(was)
