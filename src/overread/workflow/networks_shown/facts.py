"""All that can be said of a network before it has seen an image, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from overread.core.errors import OverreadError
from overread.networks.anatomy.body import body_of
from overread.networks.anatomy.layers import LayerTable, layer_table, reads_regions
from overread.networks.anatomy.structure import structure
from overread.networks.count import cost
from overread.networks.device import best_device
from overread.networks.fit import refuse_indivisible
from overread.training.measure import expected_memory_gib, free_memory_gib
from overread.workflow.networks_shown.asked import Built

FORMAT = 1
SPARE = 0.9  # share of the free memory that a training may take, as when it is planned


def facts_of(built: Built) -> dict[str, Any]:
    """One network: table of layers, blocks with the ways between them, totals, options."""
    refuse_unfit(built)
    body = body_of(built.network)
    table = layer_table(built.network, built.shape)
    drawn = structure(body, built.shape, cost(body, (1, *built.shape)).layers)
    return {
        "format": FORMAT,
        "name": built.name,
        "serves": built.serves,
        "dimensions": built.dimensions,
        "paper": built.paper,
        "licence": built.licence,
        "input": list(built.shape),
        "classes": built.classes,
        "options": {name: _plain(built.options.get(name, default)) for name, default in built.defaults.items()}
        | {name: _plain(value) for name, value in built.options.items()},
        "defaults": {name: _plain(value) for name, value in built.defaults.items()},
        "parameters": table.parameters,
        "macs": table.macs,
        "training_bytes": table.training_bytes,
        "layer_bytes": sum(row.bytes for row in table.rows),
        "reads": reads(table),
        "has_regions": reads_regions(built.network),
        "layers": table.as_dict(),
        "structure": drawn.as_dict(),
    }


def refuse_unfit(built: Built) -> None:
    """An image that the network would refuse, said before anything is counted."""
    divisor = getattr(built.network, "divisor", None)
    if divisor is not None:
        refuse_indivisible(built.shape[1:], divisor, built.name)


def reads(table: LayerTable) -> dict[str, Any]:
    """How far the network sees.

    answer  field of the last layer;  map  the widest of a layer that does not read the whole image; None where there is none
    """
    known = [row.field for row in table.rows if row.field is not None]
    partial = [field.size for field in known if not field.why and None not in field.size]
    widest = max(partial, key=lambda size: [edge or 0 for edge in size[::-1]], default=None)
    last = known[-1] if known else None
    return {
        "answer": None if last is None else {"size": list(last.size), "why": last.why},
        "map": None if widest is None else {"size": list(widest), "why": ""},
    }


def training_memory(built: Built, batch: int) -> dict[str, Any]:
    """What one training step takes with this batch, whether it fits here, and what to do where it does not."""
    device = torch.device(best_device())
    free = free_memory_gib(device)
    body = body_of(built.network)

    def needed(images: int, precision: str = "float32") -> float:
        return expected_memory_gib(body, torch.empty((images, *built.shape), device="meta"), precision)

    one, two = needed(1), needed(2)
    weights, image = 2 * one - two, two - one  # memory is a line in the number of images
    total = weights + image * batch
    fits = total <= SPARE * free
    most = int((SPARE * free - weights) // image) if image > 0 else batch
    advice = ""
    if not fits:
        halved = weights + (needed(2, "bfloat16") - needed(1, "bfloat16")) * batch
        advice = _advice(most, halved <= SPARE * free, weights > SPARE * free)
    return {
        "batch": batch,
        "device": device.type,
        "step_gib": round(total, 6),
        "free_gib": round(free, 2),
        "fits": fits,
        "largest_batch": max(0, most),
        "advice": advice,
    }


def _advice(most: int, half_fits: bool, weights_are_too_much: bool) -> str:
    if weights_are_too_much:
        return "its weights alone do not fit: take a smaller network"
    if most >= 1:
        more = ', or training.precision="bfloat16", which halves the maps' if half_fits else ""
        return f"set training.batch={most}{more}"
    return 'not one image fits: set a smaller training.patch, or training.precision="bfloat16"'


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    raise OverreadError(f"The option {value!r} is no plain value.", "give numbers, words, or lists of them")
