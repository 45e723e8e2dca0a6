"""Reliability of the probabilities of voxels: one diagram per structure, before and after the frozen temperature."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from overread.reporting.charts import svg
from overread.reporting.sections.results import voxel_rows

Record = Mapping[str, Any]

CURVE = "voxel_calibration"
CAPTION = (
    "Reliability of voxels near the structure: of the volume given a probability, the share that has the structure by the truth, "
    "with intervals by patient; below, how the volume is spread over the probabilities, on a scale of powers of ten."
)
COLUMNS = ("state", "low", "high", "mean_probability", "rate", "rate_low", "rate_high", "volume", "unit", "n_patients")

_UNIT = (0.0, 1.0)
_FIFTHS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def voxel_chart(name: str, curve: Record) -> str:
    """Share of volume with the structure against predicted probability, and how much volume lies in each bin."""
    frame = svg.Frame(_UNIT, _UNIT, width=320.0, height=320.0)
    parts = [
        frame.axes("predicted probability", "share with the structure", _FIFTHS, _FIFTHS),
        frame.path(_UNIT, _UNIT, "chance"),
    ]
    if curve["before"]:
        before = curve["before"]
        parts.append(frame.path([b["mean_probability"] for b in before], [b["rate"] for b in before], "line-b"))
        parts.append(svg.legend([("line-a", "after the temperature"), ("line-b", "before it")], frame.left + 12, frame.top + 22))
    after = curve["after"]
    parts.append(frame.path([b["mean_probability"] for b in after], [b["rate"] for b in after], "line-thin"))
    for b in after:
        if b["rate_low"] is not None and b["rate_high"] is not None:
            x = frame.x(b["mean_probability"])
            parts.append(svg.line(x, frame.y(b["rate_low"]), x, frame.y(b["rate_high"]), "whisker"))
        parts.append(frame.dot(b["mean_probability"], b["rate"], "point-a", 4, _says(b, curve["unit"])))
    parts += _bars(after, curve["unit"])
    spoken = "; ".join(f"{b['mean_probability']:.2f} predicted, {b['rate']:.2f} observed" for b in after)
    return svg.picture(f"Calibration of voxels, {name}", spoken or "no voxels", "".join(parts), 390, 456)


def _bars(bins: Sequence[Record], unit: str) -> list[str]:
    """Volume by bin on a scale of powers of ten: most of it is surely outside or surely inside."""
    if not bins:
        return []
    powers = [math.log10(b["volume"]) for b in bins]
    low, high = math.floor(min(powers) - 0.3), math.ceil(max(powers))
    frame = svg.Frame(_UNIT, (float(low), float(high)), top=386.0, width=320.0, height=62.0)
    bottom = frame.top + frame.height
    parts = []
    for b, power in zip(bins, powers, strict=True):
        left, right, top = frame.x(b["low"]), frame.x(b["high"]), frame.y(power)
        parts.append(svg.box(left + 1, top, right - left - 2, bottom - top, "bar", _says(b, unit)))
    parts.append(svg.line(frame.left, bottom, frame.left + frame.width, bottom, "axis"))
    for power in (low, high):
        parts.append(svg.text(frame.left - 7, frame.y(power) + (9 if power == high else 0), f"{10.0**power:g}", "tick", "end"))
    parts.append(svg.text(frame.left - 7, frame.top + frame.height / 2 + 7, unit, "tick", "end"))
    parts.append(svg.text(frame.left + frame.width / 2, frame.top + 9, "volume by probability, powers of ten", "note", "middle"))
    return parts


def _says(b: Record, unit: str) -> str:
    ends = f" ({b['rate_low']:.3f} to {b['rate_high']:.3f})" if b["rate_low"] is not None and b["rate_high"] is not None else ""
    return f"{b['volume']:.4g} {unit} predicted {b['low']:.1f} to {b['high']:.1f}: observed {b['rate']:.3f}{ends}"


def voxel_section(evaluation: Record) -> dict[str, Any] | None:
    """Sentence and charts for the page; None where the answers are no masks."""
    if evaluation["task"] != "segmentation":
        return None
    curves = (evaluation.get("curves") or {}).get(CURVE) or {}
    sentence = (evaluation.get("rules") or {}).get("calibration", "not calibrated: no probability maps")
    charts = [{"chart": Markup(voxel_chart(name, c)), "noise": c.get("noise")} for name, c in curves.items() if c["after"]]
    return {"sentence": sentence, "charts": charts, "caption": CAPTION, "rows": voxel_rows(evaluation)}


def voxel_figures(evaluation: Record) -> Iterator[tuple[str, str, tuple[str, ...], list[Sequence[Any]]]]:
    """(structure, svg, columns, rows) of every diagram, for files."""
    for name, curve in ((evaluation.get("curves") or {}).get(CURVE) or {}).items():
        rows: list[Sequence[Any]] = [
            [state, *(({**b, "unit": curve["unit"]}).get(k) for k in COLUMNS[1:])]
            for state in ("after", "before")
            for b in curve[state]
        ]
        yield name, voxel_chart(name, curve), COLUMNS, rows
