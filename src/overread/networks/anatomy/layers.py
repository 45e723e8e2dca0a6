"""The table of a network's layers: shape, parameters, multiplications, memory, receptive field; and its totals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import nn

from overread.networks.anatomy.body import PyramidBody, body_of
from overread.networks.anatomy.receptive_field import Field, receptive_fields
from overread.networks.count import cost

FLOAT_BYTES = 4


@dataclass(frozen=True)
class LayerRow:
    """One layer in the order of a forward pass, for one image.

    output      shape of what it answers, (C, [Z,] Y, X) or (C,)
    parameters  its own learned numbers; 0 where it is met again
    macs        multiplications with addition
    bytes       of its answer, in float32
    field       what its furthest unit reads of the image; None where it reads a part that a proposal points to, or numbers
                beside the image
    """

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int
    macs: int
    bytes: int
    field: Field | None


@dataclass(frozen=True)
class LayerTable:
    """rows          layers without parts
    parameters    all of the network; those outside of a layer (tokens, scales) are in no row
    macs          of one forward pass; products of attention are in no row
    training_bytes  of activations that a training step keeps of one image, without weights
    """

    rows: tuple[LayerRow, ...]
    parameters: int
    macs: int
    training_bytes: int

    @property
    def parameters_elsewhere(self) -> int:
        return self.parameters - sum(row.parameters for row in self.rows)

    @property
    def macs_elsewhere(self) -> int:
        return self.macs - sum(row.macs for row in self.rows)

    def as_dict(self) -> dict[str, Any]:
        return {
            "rows": [_plain(row) for row in self.rows],
            "parameters": self.parameters,
            "macs": self.macs,
            "training_bytes": self.training_bytes,
            "parameters_elsewhere": self.parameters_elsewhere,
            "macs_elsewhere": self.macs_elsewhere,
        }


def layer_table(network: nn.Module, shape: Sequence[int]) -> LayerTable:
    """What each layer is and costs for one image; nothing is computed, only shapes.

    shape  (C, [Z,] Y, X) of the input
    Of a detector by regions the heads are counted for one region.
    """
    body = body_of(network)
    counted = cost(body, (1, *shape))
    fields = receptive_fields(body, (1, *shape))
    own = {name: _own(module) for name, module in body.named_modules()}
    calls: dict[str, int] = {}
    rows = []
    for layer in counted.layers:
        number = calls.get(layer.name, 0)
        calls[layer.name] = number + 1
        field = fields.get((layer.name, number))
        parameters = own[layer.name] if number == 0 else 0
        size = prod(layer.output) * FLOAT_BYTES
        rows.append(LayerRow(layer.name, layer.kind, layer.output[1:], parameters, layer.macs, size, field))
    return LayerTable(tuple(rows), sum(p.numel() for p in network.parameters()), counted.macs, counted.activation_bytes)


def reads_regions(network: nn.Module) -> bool:
    """Whether some of the layers read a part of the image that the network has proposed itself."""
    body = body_of(network)
    return isinstance(body, PyramidBody) and hasattr(body.inner, "roi_heads")


def _own(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters(recurse=False))


def _plain(row: LayerRow) -> dict[str, Any]:
    field = None if row.field is None else {"size": list(row.field.size), "why": row.field.why}
    return {
        "name": row.name,
        "kind": row.kind,
        "output": list(row.output),
        "parameters": row.parameters,
        "macs": row.macs,
        "bytes": row.bytes,
        "field": field,
    }
