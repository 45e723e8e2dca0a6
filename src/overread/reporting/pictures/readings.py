"""Findings and numbers as a picture: the image with the answer beside it in words."""

from __future__ import annotations

from collections.abc import Sequence

from overread.core.image import Image, reorient
from overread.core.kinds import Findings, Kind, Measurements
from overread.core.slices import SliceShare
from overread.reporting.pictures import canvas
from overread.reporting.pictures.display import grey
from overread.reporting.pictures.planes import canonical_index, planes, spread_slices

SHOWN = 6  # slices of a volume
_MOST_ROWS = 9  # of named probabilities or numbers beside a picture


def reading_panel(
    image: Image,
    truth: Kind | None,
    answer: Kind | None,
    title: str,
    is_phantom: bool,
    window: tuple[float, float] | None,
    slices: Sequence[SliceShare] = (),
) -> bytes:
    """The image with the answer beside it; of a volume slices spread over it, those among them that the answer rests on."""
    order, flips = image.grid.canonical_axes()
    pixels = grey(image, window)
    if pixels.ndim == 3:
        pixels = reorient(pixels, order, flips)
    plane = planes(image.grid.reoriented(order, flips))[order.index(0)]
    count = pixels.shape[plane.normal]
    named = {canonical_index(s.index, image.grid): f": {s.name}, {100 * s.share:.0f} %" for s in slices if s.axis == 0}
    indices = [0] if count == 1 else _with_named(spread_slices(count, SHOWN), list(named))
    rows = [indices[k : k + 3] for k in range(0, len(indices), 3)]
    aspect = plane.size[0] / plane.size[1]
    if len(rows) > 1 and len(rows[-1]) < 3:
        rows = [indices]
    made = canvas.sheet(
        [[aspect] * len(row) for row in rows], title=title, is_phantom=is_phantom, width=760 if count == 1 else 960, aside=270
    )
    extent = (0.0, plane.size[1], 0.0, plane.size[0])
    for axes, index in zip(made.cells, indices, strict=True):
        caption = "" if count == 1 else f"{index + 1} of {count}{named.get(index, '')}"
        canvas.show(axes, plane.cut(pixels, index), plane, caption, is_phantom=is_phantom, extent=extent)
    _write_reading(made, made.width - 258, truth, answer)
    return canvas.png(made)


def _with_named(spread: list[int], named: list[int]) -> list[int]:
    """Slices spread over a volume, the nearest of which give way to those that are named."""
    kept = list(spread)
    for index in named:
        others = [k for k in kept if k not in named]
        if index not in kept and others:
            kept[kept.index(min(others, key=lambda k: abs(k - index)))] = index
    return sorted(kept)


def _write_reading(made: canvas.Sheet, left: float, truth: Kind | None, answer: Kind | None) -> None:
    top = 44.0
    for name in _named(answer, truth)[:_MOST_ROWS]:
        canvas.write(made, left, top, name, size=10)
        for text, colour in _lines(name, truth, answer):
            top += 17
            canvas.write(made, left, top, text, colour=colour)
        top += 27
    if isinstance(answer, Findings):
        canvas.write(made, left, made.height - 24, "numbers are the model's probabilities", size=7.5, colour="#9a9a96")


def _named(*kinds: Kind | None) -> list[str]:
    """Names in order of the answer's probability, so that what the model thinks comes first."""
    for kind in kinds:
        if isinstance(kind, Findings):
            return sorted(kind.probabilities, key=lambda name: -(kind.probabilities[name] or 0))
        if isinstance(kind, Measurements):
            return list(kind.values)
    return []


def _lines(name: str, truth: Kind | None, answer: Kind | None) -> list[tuple[str, str]]:
    lines = []
    if isinstance(truth, Findings | Measurements):
        value = truth.probabilities.get(name) if isinstance(truth, Findings) else truth.values.get(name)
        lines.append((f"reference  {_truth_text(truth, name, value)}", canvas.TRUTH_COLOUR))
    if isinstance(answer, Findings) and answer.probabilities.get(name) is not None:
        lines.append((f"model  {answer.probabilities[name]:.3f}", canvas.ANSWER_COLOUR))
    if isinstance(answer, Measurements) and (given := answer.values.get(name)) is not None:
        unit = answer.units.get(name, "")
        known = truth.values.get(name) if isinstance(truth, Measurements) else None
        error = f"  (error {given - known:+.3g})" if known is not None else ""
        lines.append((f"model  {given:.4g} {unit}{error}", canvas.ANSWER_COLOUR))
    return lines


def _truth_text(truth: Findings | Measurements, name: str, value: float | None) -> str:
    if value is None:
        return "not known"
    if isinstance(truth, Findings):
        return "present" if value >= 0.5 else "absent"
    return f"{value:.4g} {truth.units.get(name, '')}".strip()
