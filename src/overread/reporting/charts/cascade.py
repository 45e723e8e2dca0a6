"""How alike maps stay while a network loses its weights: one small chart per method, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from overread.reporting.charts import svg

ACROSS = 4
_WIDE, _TALL = 170.0, 150.0
_TICKS = (0.0, 0.5, 1.0)

Curve = tuple[str, Sequence[Mapping[str, Any]], float | None]


def cascade_chart(curves: Sequence[Curve]) -> str:
    """curves  title, points with "layers", "ssim" and "spearman" (None where not defined), likeness of different patients."""
    rows = -(-len(curves) // ACROSS)
    parts = [_small(place, *curve) for place, curve in enumerate(curves)]
    told = "; ".join(f"{title}: {_told(points)}" for title, points, _ in curves)
    width = _WIDE * min(ACROSS, len(curves)) + 10
    return svg.picture("Likeness of maps while weights are lost", told, "".join(parts), width, rows * _TALL + 8)


def _small(place: int, title: str, points: Sequence[Mapping[str, Any]], floor: float | None) -> str:
    left, top = (place % ACROSS) * _WIDE + 34, (place // ACROSS) * _TALL + 24
    values = [p[name] for p in points for name in ("ssim", "spearman") if p[name] is not None]
    low = min([0.0, *values, *([] if floor is None else [floor])])
    frame = svg.Frame((0.0, max(1.0, len(points) - 1.0)), (low, 1.0), left, top, _WIDE - 46, _TALL - 58)
    bottom = frame.top + frame.height
    parts = [svg.text(left, top - 9, title, "note")]
    for value in _TICKS:
        parts.append(svg.line(left, frame.y(value), left + frame.width, frame.y(value), "grid"))
        parts.append(svg.text(left - 6, frame.y(value) + 4, f"{value:g}", "tick", "end"))
    parts.append(svg.line(left, bottom, left + frame.width, bottom, "axis") + svg.line(left, top, left, bottom, "axis"))
    if floor is not None:
        parts.append(svg.line(left, frame.y(floor), left + frame.width, frame.y(floor), "axis"))
    for name, kind in (("ssim", "line-a"), ("spearman", "line-b")):
        known = [(k, p[name]) for k, p in enumerate(points) if p[name] is not None]
        parts.append(frame.path([k for k, _ in known], [v for _, v in known], kind))
    ends = (points[0]["layers"], points[-1]["layers"])
    for k, (count, anchor) in enumerate(zip(ends, ("start", "end"), strict=True)):
        words = f"{count} layer{'s' * (count != 1)}" if k else f"{count}"
        parts.append(svg.text(left + k * frame.width, bottom + 16, words, "tick", anchor))
    return "".join(parts)


def _told(points: Sequence[Mapping[str, Any]]) -> str:
    last = points[-1]
    known = [
        f"{word} {last[name]:.2f}"
        for name, word in (("ssim", "SSIM"), ("spearman", "rank correlation"))
        if last[name] is not None
    ]
    return f"at the end {' and '.join(known)}" if known else "not defined at the end"
