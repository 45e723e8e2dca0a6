"""The networks over slices: how each is built, and its row in the table."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from torch import nn

from overread.core.errors import OverreadError
from overread.networks.architecture import IMAGE, Architecture
from overread.networks.exam.encoder import make_encoder, published
from overread.networks.exam.gather import AttentionOverSlices, MaxOfSlices, MeanOfSlices, RecurrentOverSlices
from overread.networks.exam.network import ExamNetwork

VOLUME = frozenset({3})
Gather = Callable[[int, int], nn.Module]
GATHERS: dict[str, Gather] = {
    "attention": AttentionOverSlices,
    "lstm": partial(RecurrentOverSlices, kind="lstm"),
    "gru": partial(RecurrentOverSlices, kind="gru"),
    "mean": lambda width, hidden: MeanOfSlices(width),
    "max": lambda width, hidden: MaxOfSlices(width),
}


def _over_slices(pooling: str, neighbours: int = 0) -> Callable[..., nn.Module]:
    alongside = neighbours

    def make(
        in_channels: int,
        out_channels: int,
        dimensions: int,
        *,
        encoder: str = "resnet18",
        encoder_options: Mapping[str, Any] | None = None,
        features: int = 128,
        hidden: int = 64,
        neighbours: int = alongside,
        axis: int = 0,
        dropout: float = 0.0,
        chunk: int = 0,
        image_size: Sequence[int] | None = None,
    ) -> nn.Module:
        """A network over slices.

        encoder, encoder_options  the 2D network, and what it is asked for
        features                  numbers that it gives for each slice
        hidden                    inner width of the attention; of the recurrent layer, in each direction
        neighbours, axis, dropout, chunk   see `ExamNetwork`
        image_size                (Z, Y, X) of the input, for encoders that ask for the size of a slice
        """
        _refuse_odd(axis, neighbours, chunk)
        size = None if image_size is None else [n for place, n in enumerate(image_size) if place != axis]
        channels = in_channels * (2 * neighbours + 1)
        made = partial(make_encoder, encoder, channels, features, image_size=size, options=encoder_options or {})
        return ExamNetwork(
            made(),
            GATHERS[pooling](features, hidden),
            out_channels,
            axis=axis,
            neighbours=neighbours,
            chunk=chunk,
            dropout=dropout,
            published=published(encoder, made),
        )

    return make


def _refuse_odd(axis: int, neighbours: int, chunk: int) -> None:
    if axis not in (0, 1, 2):
        raise OverreadError(
            f"slices along axis {axis}: a volume has three axes", next="set axis = 0 (axial), 1 (coronal) or 2 (sagittal)"
        )
    if neighbours < 0 or chunk < 0:
        raise OverreadError(
            f"neighbours = {neighbours}, chunk = {chunk}: neither can be negative", next="set 0 for none, and for all at once"
        )


def _row(name: str, paper: str, build: Callable[..., nn.Module]) -> Architecture:
    return Architecture(name, IMAGE, VOLUME, paper, "Apache-2.0", build)


ROWS = (
    _row("slices_attention", "Ilse 2018, arXiv:1802.04712", _over_slices("attention")),
    _row("slices_lstm", "Hochreiter 1997, doi:10.1162/neco.1997.9.8.1735", _over_slices("lstm")),
    _row("slices_gru", "Cho 2014, arXiv:1406.1078", _over_slices("gru")),
    _row("slices_mean", "Su 2015, arXiv:1505.00880", _over_slices("mean")),
    _row("slices_max", "Bien 2018, doi:10.1371/journal.pmed.1002699", _over_slices("max")),
    _row("stack_2_5d", "Roth 2014, arXiv:1406.2639", _over_slices("attention", neighbours=1)),
)
NAMES = frozenset(row.name for row in ROWS)


def slices_axis(row: Mapping[str, Any]) -> int | None:
    """Along which axis the network of a card reads slices; None where it is none of these.

    row  of the card: name and options
    """
    return int(row["options"].get("axis", 0)) if row["name"] in NAMES else None
