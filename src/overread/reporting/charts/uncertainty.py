"""Charts of uncertainty against error: risk among the surest, uncertainty of right and wrong answers, sizes of errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from overread.reporting.charts import svg

BINS = 16
FEWEST = 0.1  # share of the cases from which on a curve is drawn
LINES = ("line-a", "line-b", "line-c", "line-d", "line-e")


def risks_chart(curves: Mapping[str, Mapping[str, Sequence[float]]], risk: str) -> str:
    """Mean error among the surest cases, from a tenth of them to all, a line per measure; fewer are ruled by chance.

    curves  words of the measure -> coverage and risk
    risk    what the error is, in words
    """
    drawn = {name: [p for p in _points(curve) if p[0] >= FEWEST] for name, curve in curves.items() if curve["coverage"]}
    if not drawn:
        return ""
    top = 1.1 * max(risk for points in drawn.values() for _, risk in points) or 0.1
    frame = svg.Frame((0.0, 1.0), (0.0, top), left=58.0, width=350.0)  # the legend stands beside: curves cross everywhere
    parts = [frame.axes("share of cases answered, the surest first", risk, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0))]
    last = next(iter(drawn.values()))[-1][1]
    parts.append(frame.path([0.0, 1.0], [last, last], "chance"))
    entries = []
    for kind, (name, points) in zip(LINES, drawn.items(), strict=False):
        parts.append(frame.path([share for share, _ in points], [error for _, error in points], kind))
        entries.append((kind, name))
    parts.append(svg.legend([*entries, ("chance", "without any order")], frame.left + frame.width + 16, frame.top + 14))
    return svg.picture("Risk against coverage", f"All cases answered: {last:.3g}.", "".join(parts), 668)


def right_wrong_chart(right: Sequence[float], wrong: Sequence[float], name: str, limit: float | None) -> str:
    """How many right and how many wrong answers lie at each uncertainty; wrong ones below the line."""
    values = np.array([*right, *wrong], dtype=float)
    if not len(values):
        return ""
    edges = np.linspace(*_span(values, limit), BINS + 1)
    up, down = (np.histogram(np.asarray(of, dtype=float), edges)[0] for of in (right, wrong))
    frame = svg.Frame(
        (float(edges[0]), float(edges[-1])), (-1.15 * max(down.max(), 1), 1.15 * max(up.max(), 1)), left=58.0, width=560.0
    )
    marks = [t for t in svg.ticks(*frame.y_range) if t >= 0 and float(t).is_integer()]
    parts = [frame.axes(name, "answers: right up, wrong down", None, marks)]
    for low, above, more, fewer in zip(edges, edges[1:], up, down, strict=False):
        left, width, span = frame.x(float(low)), frame.x(float(above)) - frame.x(float(low)) - 1, f"{low:.3g} to {above:.3g}"
        parts.append(svg.box(left, frame.y(more), width, frame.y(0) - frame.y(more), "bar", f"{span}: {more} right"))
        parts.append(svg.box(left, frame.y(0), width, frame.y(-fewer) - frame.y(0), "best", f"{span}: {fewer} wrong"))
    parts.append(frame.across(0, "axis"))
    if limit is not None:
        parts.append(svg.line(frame.x(limit), frame.top, frame.x(limit), frame.top + frame.height, "limit"))
        parts.append(svg.text(frame.x(limit) - 5, frame.top + 12, "limit", "note", "end"))
    said = f"{len(right)} right answers, median {_median(right)}; {len(wrong)} wrong answers, median {_median(wrong)}."
    return svg.picture("Uncertainty of right and wrong answers", said, "".join(parts), 634)


def error_chart(points: Sequence[tuple[str, float, float]], name: str, error: str, limit: float | None) -> str:
    """Every case a point: how unsure, and how far off.

    points  (case_id, uncertainty, error)
    """
    if not points:
        return ""
    unsure, off = (np.array([p[k] for p in points], dtype=float) for k in (1, 2))
    frame = svg.Frame(_span(unsure, limit), (0.0, 1.06 * float(off.max()) or 1.0), left=58.0, width=560.0)
    parts = [frame.axes(name, error)]
    parts += [frame.dot(u, e, "point-a", 3, f"{case}: {u:.3g}, error {e:.3g}") for case, u, e in points]
    if limit is not None:
        parts.append(svg.line(frame.x(limit), frame.top, frame.x(limit), frame.top + frame.height, "limit"))
        parts.append(svg.text(frame.x(limit) - 5, frame.top + 12, "limit", "note", "end"))
    return svg.picture("Uncertainty against error", f"{len(points)} cases.", "".join(parts), 634)


def _span(values: np.ndarray, limit: float | None) -> tuple[float, float]:
    """From 0, unless all values lie close together far from it."""
    low, high = float(values.min()), float(max(values.max(), limit or 0.0))
    margin = 0.03 * (high - low) or 0.05 * abs(high) or 0.5
    return (min(0.0, low) if low < high / 2 else low - margin), high + margin


def _points(curve: Mapping[str, Sequence[float]]) -> list[tuple[float, float]]:
    return list(zip(curve["coverage"], curve["risk"], strict=True))


def _median(values: Sequence[float]) -> str:
    return f"{np.median(values):.3g}" if len(values) else "none"
