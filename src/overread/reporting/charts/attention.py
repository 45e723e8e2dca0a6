"""Charts of how much each channel counts in a case, one small chart per block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from overread.reporting.charts import svg

_WIDTH, _WIDE, _TALL, _COLUMNS = 680.0, 196.0, 76.0, 3
_LEFT, _TOP, _ACROSS, _DOWN = 26.0, 26.0, 24.0, 54.0


def channel_chart(rows: Sequence[Mapping[str, Any]]) -> str:
    """A bar per channel, or per few neighbours where there are many, from the one that counts most to the one that counts least.

    rows  of blocks: name, bars (0 to 1, falling), channels, lowest, highest
    """
    parts = []
    for k, row in enumerate(rows):
        left = _LEFT + k % _COLUMNS * (_WIDE + _ACROSS)
        top = _TOP + k // _COLUMNS * (_TALL + _DOWN)
        bars = row["bars"]
        frame = svg.Frame((0.0, float(len(bars))), (0.0, 1.0), left, top, _WIDE, _TALL)
        parts.append(svg.text(left, top - 7, _short(row["name"]), "note"))
        for level, kind in ((0.0, "axis"), (0.5, "grid"), (1.0, "grid")):
            parts.append(svg.line(left, frame.y(level), left + _WIDE, frame.y(level), kind))
            parts.append(svg.text(left - 5, frame.y(level) + 4, f"{level:g}", "tick", "end"))
        step = _WIDE / len(bars)
        gap = 1.0 if step >= 4 else 0.0
        for j, weight in enumerate(bars):
            parts.append(svg.box(frame.x(j), frame.y(weight), step - gap, frame.y(0) - frame.y(weight), "bar"))
        told = f"{row['channels']} channels, {row['highest']:.2f} to {row['lowest']:.2f}"
        parts.append(svg.text(left, top + _TALL + 15, told, "tick"))
    tall = _TOP + -(-len(rows) // _COLUMNS) * (_TALL + _DOWN) - 20
    told = f"Weights of the channels in {', '.join(row['name'] for row in rows)}, each from the highest to the lowest."
    return svg.picture("How much each channel counts", told, "".join(parts), _WIDTH, tall, "chart weights")


def _short(name: str) -> str:
    return name if len(name) <= 32 else "…" + name[-31:]
