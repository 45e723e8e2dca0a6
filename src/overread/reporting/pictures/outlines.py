"""A segmentation as a picture: the outlines of reference and model on the slices that say most."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes

from overread.core.image import Image, reorient
from overread.core.kinds import Kind, LabelMap
from overread.reporting.pictures import canvas
from overread.reporting.pictures.display import grey
from overread.reporting.pictures.planes import Plane, largest_slice, planes, region_of_interest


def outlined_panel(
    image: Image, truth: Kind | None, answer: Kind | None, title: str, is_phantom: bool, window: tuple[float, float] | None
) -> bytes:
    order, flips = image.grid.canonical_axes()
    shown = reorient(grey(image, window), order, flips) if image.channels != ("red", "green", "blue") else grey(image, window)
    cuts = planes(image.grid.reoriented(order, flips))
    names = _structure_names(truth, answer)
    masks = {
        who: {name: reorient(kind.mask(name), order, flips) for name in kind.names} if isinstance(kind, LabelMap) else {}
        for who, kind in (("truth", truth), ("answer", answer))
    }
    views = _segmentation_views(masks, names, shown.shape[:3], cuts, order.index(0), planar=image.grid.is_planar)
    rows = [views] if len(views) == 3 else [views[k : k + 2] for k in range(0, len(views), 2)]
    made = canvas.sheet(
        [[plane.size[0] / plane.size[1] for plane, *_ in row] for row in rows],
        title=title,
        is_phantom=is_phantom,
        width=880 if len(views) > 1 else 620,
    )
    for axes, (plane, index, caption, region) in zip(made.cells, views, strict=True):
        extent = (0.0, plane.size[1], 0.0, plane.size[0])
        canvas.show(axes, plane.cut(shown, index), plane, caption, is_phantom=is_phantom, extent=extent)
        for who, colour in (("truth", canvas.TRUTH_COLOUR), ("answer", canvas.ANSWER_COLOUR)):
            for number, name in enumerate(names):
                if name in masks[who]:
                    style = canvas.STYLES[number % len(canvas.STYLES)]
                    canvas.outline(axes, plane.cut(masks[who][name], index), colour, style, extent)
        _zoom(axes, plane, region, plane.cut(shown, index).shape[:2])
    _legend(made, names, has_truth=truth is not None, has_answer=answer is not None)
    return canvas.png(made)


_View = tuple[Plane, int, str, tuple[slice, slice] | None]


def _segmentation_views(
    masks: dict[str, dict[str, np.ndarray]],
    names: tuple[str, ...],
    shape: tuple[int, ...],
    cuts: tuple[Plane, Plane, Plane],
    normal: int,
    *,
    planar: bool,
) -> list[_View]:
    """The slice with most reference, the one with worst disagreement, and two reformats through the reference."""
    empty = np.zeros(shape, dtype=bool)
    truth = _any(masks["truth"].values(), empty) if masks["truth"] else _any(masks["answer"].values(), empty)
    wrong = empty
    if masks["truth"] and masks["answer"]:
        wrong = _any((masks["truth"].get(n, empty) ^ masks["answer"].get(n, empty) for n in names), empty)
    focus = truth if truth.any() else wrong
    what = "most of the reference" if masks["truth"] and truth.any() else "most of the answer" if focus.any() else "middle"
    if planar:
        return [(cuts[0], 0, "whole picture", None), *_worst_view(wrong, cuts[0], zoom_only=True)]
    main = largest_slice(focus, normal)
    views: list[_View] = [(cuts[normal], main, _caption(cuts[normal], main, shape, what), None)]
    views += _worst_view(wrong, cuts[normal])
    for plane in cuts:
        if plane.normal != normal:
            index = largest_slice(focus, plane.normal)
            views.append((plane, index, _caption(plane, index, shape, "reformat"), None))
    return views


def _worst_view(wrong: np.ndarray, plane: Plane, *, zoom_only: bool = False) -> list[_View]:
    if not wrong.any():
        return []
    index = largest_slice(wrong, plane.normal)
    region = region_of_interest(plane.cut(wrong, index))
    if zoom_only and region is None:
        return []
    caption = "worst disagreement" + (", enlarged" if region else "")
    return [(plane, index, caption if zoom_only else _caption(plane, index, wrong.shape, caption), region)]


def _any(masks: Iterable[np.ndarray], empty: np.ndarray) -> np.ndarray:
    found = empty
    for mask in masks:
        found = found | mask
    return found


def _caption(plane: Plane, index: int, shape: tuple[int, ...], what: str) -> str:
    return f"{plane.name} {index + 1} of {shape[plane.normal]}: {what}"


def _zoom(axes: Axes, plane: Plane, region: tuple[slice, slice] | None, shape: tuple[int, ...]) -> None:
    height, width = plane.size
    rows, columns = region or (slice(0, shape[0]), slice(0, shape[1]))
    axes.set_xlim(columns.start / shape[1] * width, columns.stop / shape[1] * width)
    axes.set_ylim(height - rows.stop / shape[0] * height, height - rows.start / shape[0] * height)


def _structure_names(*kinds: Kind | None) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for kind in kinds:
        if isinstance(kind, LabelMap):
            names |= dict.fromkeys(kind.names)
    return tuple(names)


def _legend(made: canvas.Sheet, names: tuple[str, ...], *, has_truth: bool, has_answer: bool) -> None:
    top = made.height - 24
    left = 10.0
    readers = [("reference", canvas.TRUTH_COLOUR)] * has_truth + [("model", canvas.ANSWER_COLOUR)] * has_answer
    for text, colour in readers:
        left = canvas.legend_entry(made, left, top, text, colour, "solid")
    if len(names) > 1:
        for number, name in enumerate(names[: len(canvas.STYLES)]):
            left = canvas.legend_entry(made, left, top, name, "#b8b8b4", canvas.STYLES[number])
        if len(names) > len(canvas.STYLES):
            canvas.write(made, left, top, f"and {len(names) - len(canvas.STYLES)} more", colour="#b8b8b4")
    elif names:
        canvas.write(made, left, top, names[0], colour="#b8b8b4")
