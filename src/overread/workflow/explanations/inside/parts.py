"""The parts of `overread inside`: each looks at one network and gives plain values and pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from overread.core.errors import OverreadError
from overread.explanation.inside.effective import effective_field
from overread.explanation.inside.excite import (
    Excited,
    Objective,
    channel_objective,
    class_objective,
    excite,
    picture_shape,
    steps_for,
)
from overread.explanation.inside.feature_maps import feature_maps
from overread.explanation.inside.kernels import first_kernels
from overread.explanation.inside.window import window_of
from overread.explanation.methods.layers import layers_of
from overread.networks.anatomy.body import body_of
from overread.networks.anatomy.layers import reads_regions
from overread.networks.anatomy.receptive_field import Field, receptive_fields
from overread.networks.count import cost
from overread.reporting.pictures.inside.field import field_picture
from overread.reporting.pictures.inside.kernels import kernel_picture
from overread.reporting.pictures.inside.maps import excited_picture, maps_picture
from overread.workflow.explanations.inside.attention import attention_part
from overread.workflow.explanations.inside.looked import Looked, Made

MOST_CLASSES = 4
MOST_CHANNELS = 4  # of a layer that are maximised
BRIGHTEST = 3.0  # normalised units, where no case says how bright an image gets


def layers_part(looked: Looked) -> Made:
    shape = [int(n) for n in looked.windows[0].images.shape[1:]]
    return {**looked.table.as_dict(), "input": shape, "has_regions": reads_regions(looked.predictor.network)}, {}


def kernels_part(looked: Looked) -> Made:
    kernels = first_kernels(looked.predictor.network, len(looked.channels), looked.table)
    limit = float(np.percentile(np.abs(kernels.weights), 99.5))
    pictures, rows = {}, []
    for number, channel in enumerate(looked.channels):
        file = f"kernels-{number}.png"
        of_channel = f" of channel {channel}" if len(looked.channels) > 1 else ""
        title = f"First layer: {len(kernels.weights)} kernels{of_channel}"
        pictures[file] = kernel_picture(kernels.weights, number, limit, title)
        rows.append({"file": file, "channel": channel})
    return {"layer": kernels.layer, "shape": list(kernels.weights.shape), "limit": limit, "pictures": rows}, pictures


def maps_part(looked: Looked) -> Made:
    if not looked.several:
        raise OverreadError("Maps are of a study, and none was given.", "name a study after the model")
    pictures, rows = {}, []
    for number, layer in enumerate(looked.layers):
        found = feature_maps(looked.windows[0], layer)
        file = f"maps-{number}.png"
        pictures[file] = maps_picture(
            looked.image, looked.channels, looked.windows[0].prepared.grid, found.maps, found.numbers,
            f"Maps of {layer}", is_phantom=looked.is_phantom,
        )  # fmt: skip
        rows.append({"file": file, "layer": layer, "numbers": list(found.numbers), "channels": found.channels})
    return {"layers": rows}, pictures


def field_part(looked: Looked) -> Made:
    layers = list(looked.layers)
    if looked.layer is None and looked.predictor.task.serves in ("dense", "centres"):
        layers.append(list(layers_of(looked.windows[0]))[-1])  # the answer of each voxel
    fields = receptive_fields(body_of(looked.windows[0].network), (1, *looked.windows[0].images.shape[1:]))
    pictures, rows = {}, []
    for number, layer in enumerate(dict.fromkeys(layers)):
        found = effective_field(looked.windows, layer)
        theory = fields.get((layer, 0))
        file = f"field-{number}.png"
        pictures[file] = field_picture(
            looked.image, looked.channels, looked.windows[0].prepared.grid, found.energy, found.centre, found.radius,
            None if theory is None or theory.why else theory.size, f"What one point of {layer} sees",
            is_phantom=looked.is_phantom,
        )  # fmt: skip
        rows.append(
            {
                "file": file,
                "layer": layer,
                "radius": found.radius,
                "is_mm": found.is_mm,
                "theoretical": None if theory is None else {"size": list(theory.size), "why": theory.why},
                "is_beyond": _is_beyond(theory, looked.windows[0].images.shape[2:]),
            }
        )
    if not rows:
        raise OverreadError("No layer of this network gives maps of the image.", "leave field out of --part")
    return {"images": len(looked.windows), "is_noise": not looked.several, "layers": rows}, pictures


def _is_beyond(theory: Field | None, shape: Sequence[int]) -> bool:
    if theory is None:
        return False
    return any(edge is not None and edge > n for edge, n in zip(theory.size, shape, strict=True))


def excite_part(looked: Looked) -> Made:
    asked = looked.windows[0]
    shape = (asked.images.shape[1], *picture_shape(asked))
    steps = steps_for(cost(body_of(asked.network), (1, *shape)).macs)
    bounds = _bounds(looked)
    groups = [*_classes(looked), *_channels(looked)]
    pictures: dict[str, bytes] = {}
    rows, sheets = [], []
    for number, (title, caption, layer, named) in enumerate(groups):
        made = [excite(name, objective, shape, steps, bounds) for name, objective in named]
        file = f"excited-{number}.png"
        drawn = [(f"{one.name}: {one.start:.2g} to {one.reached:.2g}", one.values) for one in made]
        grid = asked.prepared.grid
        pictures[file] = excited_picture(drawn, looked.channels, grid, bounds, title)
        sheets.append({"file": file, "caption": caption})
        rows += [_excited_row(looked, one, objective, layer, shape) for one, (_, objective) in zip(made, named, strict=True)]
    return {"pictures": rows, "sheets": sheets, "bounds": list(bounds)}, pictures


Group = tuple[str, str, str, list[tuple[str, Objective]]]  # title, caption, layer, objectives by name


def _classes(looked: Looked) -> list[Group]:
    names = looked.predictor.task.question.classes[:MOST_CLASSES]
    shown = looked.windows[0].prepared
    try:
        named = [(name, class_objective(window_of(looked.predictor, shown, k))) for k, name in enumerate(names)]
    except OverreadError:  # lists of objects, where channels alone can be raised
        return []
    caption = "Optimised pictures, no patients: what raises the number behind each answer."
    return [("What raises each answer", caption, "answer", named)]


def _channels(looked: Looked) -> list[Group]:
    groups: list[Group] = []
    is_quick = looked.predictor.preparation.dimensions == 2
    for layer in looked.layers[1:] if is_quick and looked.layer is None else looked.layers[-1:]:
        numbers = feature_maps(looked.windows[0], layer, MOST_CHANNELS).numbers
        named = [(f"channel {k}", channel_objective(looked.windows[0], layer, k)) for k in numbers]
        caption = f"Optimised pictures, no patients: what raises the channels of {layer} that vary most."
        groups.append((f"What raises channels of {layer}", caption, layer, named))
    return groups


def _excited_row(looked: Looked, made: Excited, objective: Objective, layer: str, shape: Sequence[int]) -> dict[str, Any]:
    return {
        "name": made.name,
        "layer": layer,
        "start": made.start,
        "reached": made.reached,
        "of_case": _of_case(looked, objective, shape[1:]) if looked.several else None,
        "steps": made.steps,
        "planned": made.planned,
    }


def _of_case(looked: Looked, objective: Objective, shape: Sequence[int]) -> float:
    """The same number on the case, in its middle where the picture is smaller than the window."""
    images = looked.windows[0].images
    for axis, size in enumerate(shape, 2):
        images = images.narrow(axis, (images.shape[axis] - size) // 2, size)
    with torch.no_grad():
        return float(objective(images))


def _bounds(looked: Looked) -> tuple[float, float]:
    """How dark and bright a normalised image of this kind gets."""
    if not looked.several:
        return -BRIGHTEST, BRIGHTEST
    low, high = np.percentile(np.concatenate([w.images.cpu().numpy().ravel() for w in looked.windows]), (0.5, 99.5))
    return float(low), float(high)


PARTS: Mapping[str, Callable[[Looked], Made]] = {
    "layers": layers_part,
    "kernels": kernels_part,
    "maps": maps_part,
    "attention": attention_part,
    "field": field_part,
    "excite": excite_part,
}
TITLES = {
    "layers": "layer table",
    "kernels": "kernels of the first layer",
    "maps": "maps of layers",
    "attention": "learned weights of channels and places",
    "field": "receptive fields",
    "excite": "activation maximisation",
    "weights": "weights before and after training",
}
