"""Charts of weights before and after training: how far each layer moved, and how its weights are spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from overread.reporting.charts import svg

_ROW, _LABEL, _WIDTH = 17.0, 250.0, 680.0
_SMALL_WIDE, _SMALL_TALL, _COLUMNS = 196.0, 96.0, 3


def change_chart(rows: Sequence[Mapping[str, Any]]) -> str:
    """A bar per layer: the length of its change as a share of the length of its weights before."""
    known = [row for row in rows if row["change"] is not None]
    if not known:
        return ""
    top = max(row["change"] for row in known) * 1.05 or 1.0
    tall = _ROW * len(known)
    frame = svg.Frame((0.0, top), (0.0, float(len(known))), _LABEL, 8.0, _WIDTH - _LABEL - 20, tall)
    parts = [frame.axes("change of the weights, as a share of what they were", "", None, [])]
    for k, row in enumerate(known):
        y = frame.top + k * _ROW
        parts.append(svg.text(_LABEL - 8, y + 12, _short(row["name"]), "tick", "end"))
        says = f"{row['name']}: {row['change']:.3g}"
        parts.append(svg.box(frame.left, y + 3, frame.x(row["change"]) - frame.left, _ROW - 6, "bar", says))
    most = max(known, key=lambda row: row["change"])
    told = f"{len(known)} layers in the order of the network; most in {most['name']}: {most['change']:.2g}."
    return svg.picture("How far each layer moved in training", told, "".join(parts), _WIDTH, tall + 52, "chart weights")


def spread_chart(rows: Sequence[Mapping[str, Any]]) -> str:
    """Histograms of a few layers, before (dashed) and after (solid), each on a scale of its own."""
    parts = [svg.legend([("line-b", "before training"), ("line-a", "after training")], 8, 16)]
    for k, row in enumerate(rows):
        left = 8 + k % _COLUMNS * (_SMALL_WIDE + 26)
        top = 56 + k // _COLUMNS * (_SMALL_TALL + 58)
        edges = row["edges"]
        highest = max([*row["histogram_before"], *row["histogram_after"]]) or 1.0
        frame = svg.Frame((edges[0], edges[-1]), (0.0, highest * 1.05), left, top, _SMALL_WIDE, _SMALL_TALL)
        parts.append(svg.text(left, top - 7, _short(row["name"]), "note"))
        bottom = top + _SMALL_TALL
        parts.append(svg.line(left, bottom, left + _SMALL_WIDE, bottom, "axis"))
        parts.append(svg.line(frame.x(0), top, frame.x(0), bottom, "grid"))
        for value, anchor in ((edges[0], "start"), (0.0, "middle"), (edges[-1], "end")):
            parts.append(svg.text(frame.x(value), bottom + 15, f"{value:.2g}", "tick", anchor))
        for key, kind in (("histogram_before", "line-b"), ("histogram_after", "line-a")):
            parts.append(frame.path(*_steps(edges, row[key]), kind))
    tall = 56 + -(-len(rows) // _COLUMNS) * (_SMALL_TALL + 58)
    names = ", ".join(row["name"] for row in rows)
    told = f"Share of the weights by value in {names}."
    return svg.picture("Weights before and after training", told, "".join(parts), _WIDTH, tall, "chart weights")


def _steps(edges: Sequence[float], shares: Sequence[float]) -> tuple[list[float], list[float]]:
    """The outline of a histogram."""
    xs = [edge for k in range(len(shares)) for edge in (edges[k], edges[k + 1])]
    return xs, [share for share in shares for _ in range(2)]


def _short(name: str) -> str:
    return name if len(name) <= 38 else "…" + name[-37:]
