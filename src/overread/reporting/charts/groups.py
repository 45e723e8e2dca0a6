"""Charts over groups and thresholds: forest plot of subgroups, decision curve, risk against coverage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from overread.reporting.charts import svg

_ROW = 24.0
_LABEL = 170.0


def forest_chart(row: Mapping[str, Any], overall: Mapping[str, Any] | None) -> str:
    """One group per line: estimate and interval; hollow where the group is too small to say; the whole as a dotted line.

    row      a row of the evaluation's "subgroups"
    overall  the interval of all cases; None where it is not known
    """
    levels = [found for found in row["levels"] if found["interval"]["estimate"] is not None]
    ends = [found["interval"][end] for found in levels for end in ("low", "high", "estimate")]
    ends += [overall["estimate"]] if overall and overall.get("estimate") is not None else []
    known = [float(end) for end in ends if end is not None]
    if not known:
        return ""
    frame = svg.Frame(_span(known, row), (0.0, 1.0), left=_LABEL, width=560 - _LABEL - 8, height=_ROW * len(levels) + 8)
    unit = f" ({row['unit']})" if row.get("unit") else ""
    parts = [frame.axes(f"{row['name']}{unit}", "", None, ())]
    if overall and overall.get("estimate") is not None:
        x = frame.x(overall["estimate"])
        parts.append(svg.line(x, frame.top, x, frame.top + frame.height, "chance"))
    for number, found in enumerate(levels):
        parts.append(_line(frame, found, frame.top + 4 + _ROW * (number + 0.5)))
    said = "; ".join(f"{f['level']}: {f['interval']['estimate']:.3g}" for f in levels)
    return svg.picture(f"{row['name']} by {row['column']}", said, "".join(parts), 560, frame.height + 58, "chart forest")


def _line(frame: svg.Frame, found: Mapping[str, Any], y: float) -> str:
    interval, small = found["interval"], bool(found.get("too_few"))
    parts = [svg.text(_LABEL - 10, y + 4, f"{str(found['level'])[:22]} (n = {found['n_cases']})", "tick", "end")]
    if interval["low"] is not None and interval["high"] is not None:
        parts.append(svg.line(frame.x(interval["low"]), y, frame.x(interval["high"]), y, "whisker faint" if small else "whisker"))
    says = f"{found['level']}: {interval['estimate']:.3g}{', too few to say' if small else ''}"
    title = f"<title>{svg.escape(says)}</title>"
    kind = "hollow" if small else "best"
    return (
        "".join(parts) + f'<circle class="{kind}" cx="{frame.x(interval["estimate"]):.1f}" cy="{y:.1f}" r="4.5">{title}</circle>'
    )


def _span(known: Sequence[float], row: Mapping[str, Any]) -> tuple[float, float]:
    low, high = min(known), max(known)
    margin = 0.06 * (high - low) or 0.05
    is_share = not row.get("unit") and low >= 0 and high <= 1
    return (max(0.0, low - margin), min(1.0, high + margin)) if is_share else (low - margin, high + margin)


def decision_chart(name: str, curve: Mapping[str, Any]) -> str:
    """Net benefit of acting on the model over thresholds, with its interval, beside acting on all and on none.

    curve  threshold, net_benefit, low, high, treat_all; see `overread.evaluation.decisions.decision_curve`
    """
    rows = [(t, b) for t, b in zip(curve["threshold"], curve["net_benefit"], strict=True) if b is not None]
    if not rows:
        return ""
    top = max(0.0, *(b for _, b in rows), *(v for v in curve["treat_all"] if v is not None))
    floor = -0.35 * (top or 0.1)  # acting on all falls without end; what lies below is of no use to anybody
    frame = svg.Frame((0.0, 1.0), (floor, 1.12 * top or 0.1), left=58.0, width=324.0)
    parts = [frame.axes("threshold probability", "net benefit per case", (0.0, 0.2, 0.4, 0.6, 0.8, 1.0))]
    bounds = list(zip(curve["threshold"], curve.get("low") or (), curve.get("high") or (), strict=False))
    ceiling = frame.y_range[1]
    band = [
        (t, min(max(low, floor), ceiling), min(max(high, floor), ceiling))
        for t, low, high in bounds
        if low is not None and high is not None
    ]
    if band:
        outline = [(t, low) for t, low, _ in band] + [(t, high) for t, _, high in reversed(band)]
        parts.append(f'<polygon class="band" points="{" ".join(f"{frame.x(t):.1f},{frame.y(v):.1f}" for t, v in outline)}"/>')
    for values, kind in ((rows, "line-a"), (list(zip(curve["threshold"], curve["treat_all"], strict=True)), "line-b")):
        inside = [(t, v) for t, v in values if v is not None and v >= floor]
        parts.append(frame.path([t for t, _ in inside], [v for _, v in inside], kind))
    parts.append(frame.across(0.0, "axis"))
    entries = [("line-a", "acting on the model"), ("line-b", "acting on all"), ("axis", "acting on none")]
    parts.append(svg.legend(entries, frame.left + frame.width - 168, frame.top + 14))
    at = min(rows, key=lambda row: abs(row[0] - 0.5))
    return svg.picture(f"Decision curve, {name}", f"At threshold {at[0]:.2f} net benefit {at[1]:.3f}.", "".join(parts))


def risk_chart(curve: Mapping[str, Sequence[float]]) -> str:
    """Share of wrong calls among the surest cases, from few answered to all."""
    coverage, risk = list(curve["coverage"]), list(curve["risk"])
    if not coverage:
        return ""
    frame = svg.Frame((0.0, 1.0), (0.0, 1.15 * max(risk) or 0.1), left=58.0, width=324.0)
    parts = [frame.axes("share of cases answered, the surest first", "share of wrong calls", (0.0, 0.2, 0.4, 0.6, 0.8, 1.0))]
    parts.append(frame.path(coverage, risk, "line-a"))
    said = f"All cases answered: {risk[-1]:.3f} wrong."
    return svg.picture("Risk against coverage", said, "".join(parts))
