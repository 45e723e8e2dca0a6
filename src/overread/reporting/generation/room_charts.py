"""Charts of a reading room: each reader's accuracy beside the line of chance, and ROC curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import escape

from overread.core.score import Interval
from overread.reporting.charts import svg

Record = Mapping[str, Any]
LINES = ("line-a", "line-b", "line-c", "line-d", "line-e", "line-f")


def accuracy_chart(record: Record) -> str:
    """Each reader's accuracy with its interval beside the line of chance."""
    rows = [(one["reader"], one["accuracy"]) for one in record["readers"]]
    if len(rows) > 1:
        rows.append(("all answers", record["pooled"]["accuracy"]))
    if record["mean"] is not None and record["mean"]["accuracy"] is not None:
        rows.append(("mean, for readers like them", record["mean"]["accuracy"]))
    step = 26.0
    frame = svg.Frame((0.0, 1.0), (0.0, 1.0), left=190.0, top=14.0, width=420.0, height=step * len(rows) + 8)
    bottom = frame.top + frame.height
    tenths = [k / 5 for k in range(6)]
    parts = [svg.line(frame.x(v), frame.top, frame.x(v), bottom, "grid") for v in tenths]
    parts += [svg.text(frame.x(v), bottom + 16, f"{v:.0%}", "tick", "middle") for v in tenths]
    parts.append(svg.line(frame.x(0.5), frame.top, frame.x(0.5), bottom, "limit"))
    parts.append(svg.text(frame.x(0.5) + 5, frame.top - 3, "chance", "note mark-text"))
    for number, (name, interval) in enumerate(rows):
        y = frame.top + 18 + step * number
        parts.append(svg.text(frame.left - 12, y + 4, name, "label", "end"))
        if interval["estimate"] is None:
            continue
        if interval["low"] is not None:
            parts.append(svg.line(frame.x(interval["low"]), y, frame.x(interval["high"]), y, "whisker"))
        at = frame.x(interval["estimate"])
        says = f"<title>{escape(f'{name}: {_words(interval)}')}</title>"
        parts.append(f'<circle class="point-a" cx="{at:.1f}" cy="{y:.1f}" r="4">{says}</circle>')
    return svg.picture(
        "Accuracy of each reader", "; ".join(f"{n} {_words(i)}" for n, i in rows), "".join(parts), 640, bottom + 30
    )


def roc_chart(curves: Mapping[str, Record]) -> str:
    """One line per reader."""
    fifths = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    frame = svg.Frame((0.0, 1.0), (0.0, 1.0), width=320.0, height=320.0)
    parts = [frame.axes("reals called fake", "fakes called fake", fifths, fifths), frame.path((0.0, 1.0), (0.0, 1.0), "chance")]
    kinds = [LINES[k % len(LINES)] for k in range(len(curves))]
    for kind, curve in zip(kinds, curves.values(), strict=True):
        parts.append(frame.path(curve["fpr"], curve["tpr"], kind))
    if len(curves) > 1:
        parts.append(svg.legend(list(zip(kinds, curves, strict=True)), frame.left + 350, frame.top + 20))
    return svg.picture("ROC curves of readers", f"readers {', '.join(curves)}", "".join(parts), 640, 378)


def _words(values: Record) -> str:
    return Interval.from_dict(dict(values)).short
