"""Accuracy against cost: points with their intervals, on a scale of cost on which equal steps are equal factors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from overread.reporting.charts.svg import Frame, line, picture, text
from overread.reporting.diagrams.labels import Area, Label, Point, placed

Row = Mapping[str, Any]
LEFT, TOP, WIDE, HIGH = 56.0, 34.0, 640.0, 380.0
_ROOM = {"x": 0.08, "y": 0.2}  # beyond the outermost values, as a share: names want room
_HALO = ' style="paint-order:stroke;stroke:#fffefc;stroke-width:3px"'


def scatter(rows: Sequence[Row], cost: str, front: Sequence[str], *, title: str, x_label: str, y_label: str) -> str:
    """One chart as SVG for a page with the report's style.

    rows   run, estimate, low, high, and the cost; runs without a cost are drawn as a line over the whole width
    front  names of the runs that no other beats, which are filled and joined
    """
    known = [row for row in rows if row["estimate"] is not None]
    dots = [row for row in known if row[cost]]
    frame = _frame(known, dots, cost)
    across = [_across(frame, row, number) for number, row in enumerate(row for row in known if not row[cost])]
    labels = placed([_point(frame, row, cost) for row in dots], Area(LEFT, TOP, WIDE, HIGH))
    body = [
        frame.axes(x_label, y_label, []),
        _decades(frame),
        *across,
        _joined(frame, [row for row in dots if row["run"] in front], cost),
        *(_bar(frame, row, cost) for row in dots),
        *(_dot(frame, row, cost, filled=row["run"] in front) for row in dots),
        *map(_label, labels),
        text(LEFT, 18, title, "label"),
    ]
    described = f"{len(dots)} models by {x_label}; not beaten by any other: {', '.join(front) or 'none'}"
    return picture(title, described, "".join(body), LEFT + WIDE + 130, TOP + HIGH + 46)


def _frame(known: Sequence[Row], dots: Sequence[Row], cost: str) -> Frame:
    heights = [value for row in known for value in (row["low"], row["estimate"], row["high"]) if value is not None]
    low, high = min(heights), max(heights)
    room = _ROOM["y"] * ((high - low) or 0.1)
    places = [math.log10(row[cost]) for row in dots] or [0.0, 1.0]
    aside = max(0.15, _ROOM["x"] * (max(places) - min(places)))
    return Frame((min(places) - aside, max(places) + aside), (low - room, high + room), LEFT, TOP, WIDE, HIGH)


def _decades(frame: Frame) -> str:
    """Lines at 1, 2 and 5 times the powers of ten that the axis holds; fewer where it holds many."""
    first, last = frame.x_range
    factors = (1, 2, 5) if last - first < 2.5 else (1,)
    parts = []
    for power in range(math.floor(first), math.ceil(last) + 1):
        for factor in factors:
            at = power + math.log10(factor)
            if first <= at <= last:
                bottom = frame.top + frame.height
                parts.append(line(frame.x(at), frame.top, frame.x(at), bottom, "grid"))
                parts.append(text(frame.x(at), bottom + 16, _short(factor * 10.0**power), "tick", "middle"))
    return "".join(parts)


def _short(value: float) -> str:
    """``2e6`` -> "2 M"."""
    for size, letter in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k"), (1.0, "")):
        if value >= size * 0.999:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def _across(frame: Frame, row: Row, number: int) -> str:
    """A run without a network: a line over the whole width, its interval at its right end."""
    right = frame.left + frame.width
    y, x = frame.y(row["estimate"]), right + 10 + 7 * number
    parts = [line(frame.left, y, right, y, "chance")]
    if row["low"] is not None and row["high"] is not None:
        parts.append(line(x, frame.y(row["low"]), x, frame.y(row["high"]), "whisker faint"))
    parts.append(text(right + 16 + 7 * number, y + 4 + 13 * number, str(row["run"]), "note"))
    return "".join(parts)


def _joined(frame: Frame, rows: Sequence[Row], cost: str) -> str:
    ordered = sorted(rows, key=lambda row: row[cost])
    return frame.path([math.log10(r[cost]) for r in ordered], [r["estimate"] for r in ordered], "line-thin") if rows else ""


def _bar(frame: Frame, row: Row, cost: str) -> str:
    if row["low"] is None or row["high"] is None:
        return ""
    x = frame.x(math.log10(row[cost]))
    low, high = frame.y(row["low"]), frame.y(row["high"])
    return line(x, low, x, high, "whisker") + line(x - 3, low, x + 3, low, "whisker") + line(x - 3, high, x + 3, high, "whisker")


def _point(frame: Frame, row: Row, cost: str) -> Point:
    y = frame.y(row["estimate"])
    top, bottom = (y if row[key] is None else frame.y(row[key]) for key in ("high", "low"))
    return Point(frame.x(math.log10(row[cost])), y, min(top, y - 5), max(bottom, y + 5), str(row["run"]))


def _dot(frame: Frame, row: Row, cost: str, *, filled: bool) -> str:
    """A circle; of an ensemble a square."""
    kind = "point-a" if filled else "hollow"
    if row["kind"] != "ensemble":
        return frame.dot(math.log10(row[cost]), row["estimate"], kind, 4.5, str(row["run"]))
    x, y = frame.x(math.log10(row[cost])), frame.y(row["estimate"])
    return f'<rect class="{kind}" x="{x - 4.5:.1f}" y="{y - 4.5:.1f}" width="9" height="9"/>'


def _label(label: Label) -> str:
    words = text(label.area.x + 2, label.area.y + 10, label.words, "note", mark=_HALO)
    return words if label.lead is None else line(*label.lead[0], *label.lead[1], "flow-line faint") + words
