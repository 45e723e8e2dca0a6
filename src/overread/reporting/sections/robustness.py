"""Robustness: the drop of the score under each degradation, as a chart, as rows to print, and as source data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from overread.reporting.charts import svg
from overread.reporting.given import Panel, Record
from overread.reporting.sections.results import counts, decimals

COLUMNS = (
    "degradation", "severity", "score", "as they are", "degraded", "drop", "low", "high", "level", "method", "cases", "patients",
    "p", "p after Holm", "p of a drop as large as the tolerance, after Holm", "verdict", "reason",
)  # fmt: skip
MARKS = {"holds": "point-a", "drops": "best"}  # all else is hollow
_ROW, _LABEL, _WIDTH = 19.0, 292.0, 720.0


def robustness_section(name: str, found: Record, picture: Panel | None) -> dict[str, Any]:
    """What the report shows of robustness.json."""
    endpoint, rows = found["endpoint"], found["rows"]
    subject = "" if endpoint["subject"] in ("mean", "all") else f", {endpoint['subject']}"
    return {
        "name": name,
        "score": f"{endpoint['name']}{subject}",
        "told": f"Read under {len(rows)} conditions by the frozen model: {counts(found['n_cases'], found['n_patients'])} of the "
        f"tuning partition. {found['rule']}",
        "clean": _number(rows[0]["clean"], endpoint["unit"]),
        "unit": endpoint["unit"],
        "chart": Markup(drop_chart(found)),
        "rows": [_printed(row, endpoint["unit"]) for row in rows],
        "done": found["done"],
        "not_run": found["not_run"],
        "notes": found["notes"],
        "has_also": any(row["also"] for row in rows),
        "methods": list(dict.fromkeys(_method(row["drop"]) for row in rows)),
        "picture": picture,
    }


def _printed(row: Record, unit: str) -> dict[str, Any]:
    drop = row["drop"]
    return {
        "title": row["title"],
        "severity": row["severity"],
        "degraded": _number(row["degraded"], unit),
        "drop": _span(drop, unit),
        "why": (drop["reason"] or "") if drop["low"] is None else "",
        "remark": row["remark"],
        "also": [f"{one['name'].lower()} {_number(one['degraded'])}, drop {_span(one['drop'])}" for one in row["also"]],
        "verdict": row["verdict"],
    }


def _span(drop: Record, unit: str = "") -> str:
    shown = _number(drop["estimate"], unit)
    if drop["low"] is None or drop["high"] is None:
        return f"{shown} (no interval)"
    return f"{shown} ({_number(drop['low'], unit)} to {_number(drop['high'], unit)})"


def _number(value: float, unit: str = "") -> str:
    places = decimals(value, unit)
    return f"{round(value, places) + 0.0:.{places}f}"  # no "-0.000"


def _method(drop: Record) -> str:
    method = "" if drop["method"] == "none" else f"{100 * drop['level']:g} %, {drop['method']}; "
    return method + counts(drop["n_cases"], drop["n_patients"])


def drop_chart(found: Record) -> str:
    """One line per degradation and amount: the drop and its interval; dashed where a drop would matter, 0 is no change."""
    rows, tolerance = found["rows"], float(found["tolerance"])
    ends = [row["drop"][end] for row in rows for end in ("estimate", "low", "high")]
    known = [float(end) for end in ends if end is not None] + [0.0, tolerance]
    low, high = min(known), max(known)
    margin = 0.05 * (high - low) or 0.01
    frame = svg.Frame(
        (low - margin, high + margin), (0.0, 1.0), left=_LABEL, top=22.0, width=_WIDTH - _LABEL - 12, height=_ROW * len(rows) + 8
    )
    unit = found["endpoint"]["unit"]
    label = f"drop of {found['endpoint']['name']}{f' ({unit})' if unit else ''}: right of 0 is worse"
    bottom = frame.top + frame.height
    parts = [
        frame.axes(label, "", None, ()),
        svg.line(frame.x(0), frame.top, frame.x(0), bottom, "axis"),
        svg.line(frame.x(tolerance), frame.top, frame.x(tolerance), bottom, "limit"),
        svg.text(frame.x(tolerance), frame.top - 6, f"a drop of {tolerance:.3g}{f' {unit}' if unit else ''}", "tick", "middle"),
    ]
    parts += [_line(frame, row, frame.top + 4 + _ROW * (k + 0.5)) for k, row in enumerate(rows)]
    said = "; ".join(f"{row['title']} {row['severity']}: {row['drop']['estimate']:.3g}, {row['verdict']}" for row in rows)
    return svg.picture("Drop under each degradation", said, "".join(parts), _WIDTH, bottom + 46, "chart")


def _line(frame: svg.Frame, row: Record, y: float) -> str:
    drop = row["drop"]
    parts = [svg.text(_LABEL - 10, y + 4, f"{row['title']}, {row['severity']}", "tick", "end")]
    if drop["low"] is not None and drop["high"] is not None:
        parts.append(svg.line(frame.x(drop["low"]), y, frame.x(drop["high"]), y, "whisker"))
    says = svg.escape(f"{drop['estimate']:.3g}, {row['verdict']}")
    mark = MARKS.get(row["verdict"], "hollow")
    parts.append(
        f'<circle class="{mark}" cx="{frame.x(drop["estimate"]):.1f}" cy="{y:.1f}" r="4.5"><title>{says}</title></circle>'
    )
    return "".join(parts)


def source_rows(found: Record) -> list[Sequence[Any]]:
    """The numbers behind the chart, one row per degradation and amount, scores at the frozen threshold below each."""
    name = found["endpoint"]["endpoint"]
    rows: list[Sequence[Any]] = []
    for row in found["rows"]:
        rows.append(_source(row, name, row, (row["p"], row["p_holm"], row["p_holds"], row["verdict"])))
        rows += [_source(row, one["endpoint"], one, (None, None, None, "")) for one in row["also"]]
    return rows


def _source(row: Record, name: str, of: Record, said: Sequence[Any]) -> Sequence[Any]:
    drop = of["drop"]
    values = [of["clean"], of["degraded"], drop["estimate"], drop["low"], drop["high"], drop["level"], drop["method"]]
    return (row["title"], row["severity"], name, *values, drop["n_cases"], drop["n_patients"], *said, drop["reason"])
