"""A case that was outlined several times: the answer, and voxel by voxel how unsure it is and how far the passes disagree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from overread.core.image import Image, reorient
from overread.core.kinds import LabelMap
from overread.reporting.pictures import canvas
from overread.reporting.pictures.display import grey
from overread.reporting.pictures.heat import Scale
from overread.reporting.pictures.planes import planes

WIDTH = 1100
_BAR, _HIGH = 170, 9  # pixels


@dataclass(frozen=True)
class Layer:
    """Values over the image: (Z, Y, X) float on its grid, with the colours and the words for them."""

    values: np.ndarray
    scale: Scale
    caption: str


def uncertain_panel(
    image: Image, answer: LabelMap, truth: LabelMap | None, layers: Mapping[str, Layer], *, title: str, is_phantom: bool
) -> bytes:
    """Draw one case as PNG: one slice with outlines, then once for each layer.

    truth  the reference standard; None where it is sealed
    The slice is the one with most of the first layer in what is outlined; of the whole image where nothing is.
    """
    order, flips = image.grid.canonical_axes()
    pixels = grey(image)
    shown = reorient(pixels, order, flips) if pixels.ndim == 3 else pixels
    heats = {name: reorient(layer.values, order, flips) for name, layer in layers.items()}
    plane = planes(image.grid.reoriented(order, flips))[order.index(0)]
    across = tuple(axis for axis in range(3) if axis != plane.normal)
    outlined = np.any([who.mask(name) for who in (answer, truth) if who is not None for name in answer.names], axis=0)
    inside = reorient(outlined, order, flips) if outlined.any() else True
    place = int((next(iter(heats.values())) * inside).sum(axis=across).argmax())
    tall = plane.size[0] / plane.size[1]
    made = canvas.sheet([[tall] * (1 + len(layers))], title=title, is_phantom=is_phantom, width=WIDTH)
    extent = (0.0, plane.size[1], 0.0, plane.size[0])
    where = "" if image.grid.is_planar else f"{plane.name} {place + 1} of {shown.shape[plane.normal]}, "
    captions = [f"{where}outlined", *(layer.caption for layer in layers.values())]
    for axes, caption in zip(made.cells, captions, strict=True):
        canvas.show(axes, plane.cut(shown, place), plane, caption, is_phantom=is_phantom, extent=extent)
    for who, colour in ((truth, canvas.TRUTH_COLOUR), (answer, canvas.ANSWER_COLOUR)):
        for number, name in enumerate(answer.names):
            if who is not None:
                mask = plane.cut(reorient(who.mask(name), order, flips), place)
                canvas.outline(made.cells[0], mask, colour, canvas.STYLES[number % len(canvas.STYLES)], extent)
    made.cells[0].set(xlim=(0.0, plane.size[1]), ylim=(0.0, plane.size[0]))  # outlines at the edge would widen it
    for axes, (name, layer) in zip(made.cells[1:], layers.items(), strict=True):
        axes.imshow(layer.scale.over(plane.cut(heats[name], place)), extent=extent, aspect="equal", interpolation="nearest")
    _legend(made, layers, has_truth=truth is not None)
    return canvas.png(made)


def _legend(made: canvas.Sheet, layers: Mapping[str, Layer], *, has_truth: bool) -> None:
    left, top = 10.0, made.height - 24.0
    if has_truth:
        left = canvas.legend_entry(made, left, top, "reference", canvas.TRUTH_COLOUR, "solid")
    canvas.legend_entry(made, left, top, "answer", canvas.ANSWER_COLOUR, "solid")
    for cell, layer in zip(made.cells[1:], layers.values(), strict=True):
        start = cell.get_position().x0 * made.width
        canvas.write(made, start, top, "0", size=9)
        place = ((start + 14) / made.width, 1 - (top + 4 + _HIGH) / made.height, _BAR / made.width, _HIGH / made.height)
        bar = made.figure.add_axes(place)
        steps = np.linspace(0, layer.scale.limit, 256)[None]
        bar.imshow(layer.scale.colours(steps), extent=(0.0, 1.0, 0.0, 1.0), aspect="auto", interpolation="nearest")
        bar.set_axis_off()
        canvas.write(made, start + 20 + _BAR, top, f"{layer.scale.limit:.2g} {layer.scale.unit}", size=9)
