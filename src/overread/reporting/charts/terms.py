"""Curves of what a training says of itself beside its loss: each term, and each sign that alarms rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from overread.reporting.charts import svg

MEASURES = {"losses": "term of the loss", "signs": "sign"}
SIGNS = {  # names of `overread.tasks.generative.signs`, in words
    "diversity": "distance between two made images, over that between two real ones,",
    "nearest to training": "smallest distance of a made image to a training image, over that of a tuning image,",
    "kl nats": "nats that the code says of an image",
    "active numbers": "numbers of the code that are in use",
}


def term_charts(events: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """(Name, chart): a small chart for each term, with its weight, where there are several, and for each sign: scales differ."""
    weights = next((event.get("terms") or {} for event in events if event.get("event") == "started"), {})
    epochs = [event for event in events if event.get("event") == "epoch"]
    charts = []
    for key, what in MEASURES.items():
        names = list(dict.fromkeys(name for epoch in epochs for name in epoch.get(key) or {}))
        if key == "losses" and len(names) < 2:
            continue
        charts += [(_titled(name, weights if key == "losses" else {}), _chart(name, what, key, epochs)) for name in names]
    return [(name, chart) for name, chart in charts if chart]


def _titled(name: str, weights: Mapping[str, float]) -> str:
    return f"{name} (weight {weights[name]:g})" if name in weights else SIGNS.get(name, name)


def _chart(name: str, what: str, key: str, epochs: Sequence[Mapping[str, Any]]) -> str:
    points = [(e["epoch"], value) for e in epochs if (value := (e.get(key) or {}).get(name)) is not None]
    if not points:
        return ""
    values = [value for _, value in points]
    low, high = min(0.0, *values), max(0.0, *values)
    room = 0.06 * (high - low or 1.0)
    first, last = points[0][0], points[-1][0]
    frame = svg.Frame((first, max(last, first + 1)), (low - (room if low < 0 else 0), high + room), height=130.0)
    parts = [frame.axes("epoch", what), frame.path([x for x, _ in points], values, "line-a")]
    if len(points) == 1:
        parts.append(frame.dot(first, values[0], "point-a", 3, f"epoch {first}: {values[0]:.4g}"))
    described = f"{len(points)} epochs, from {values[0]:.4g} to {values[-1]:.4g}"
    return svg.picture(name, described, "".join(parts), 390, 188)
