"""FROC: sensitivity against false positives per case, with its band, on a scale of doublings.

Source: Bunch et al., J Appl Photogr Eng 1978;4:166; the seven rates from 1/8 to 8 are those of LUNA16.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from overread.reporting.charts import svg

RATES = (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0)
RATE_WORDS = ("1/8", "1/4", "1/2", "1", "2", "4", "8")
_LOW, _HIGH = 1 / 16, 16.0
_FIFTHS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
COLUMNS = ("false positives per case", "sensitivity", "low", "high", "threshold")


def froc_chart(name: str, curve: Mapping[str, Any], point: tuple[float, float] | None = None, unit: str = "case") -> str:
    """FROC of one class.

    curve   fp_per_case, sensitivity, low, high, threshold (equally long)
    point   (false positives per case, sensitivity) at the frozen operating point on these cases
    """
    frame = svg.Frame((math.log2(_LOW), math.log2(_HIGH)), (0.0, 1.0), width=320.0, height=300.0)
    rates, found = _kept(curve)
    parts = [_axes(frame, unit), _band(frame, curve)]
    steps = _stairs(rates, found)
    if steps:
        parts.append(frame.path([math.log2(r) for r, _ in steps], [s for _, s in steps], "line-a"))
    told = []
    for rate, words in zip(RATES, RATE_WORDS, strict=True):
        reached = at_rate(curve, rate)
        if reached is not None:
            says = f"{reached:.3f} at {words} false positives per {unit}"
            told.append(says)
            parts.append(frame.dot(math.log2(rate), reached, "hollow", 3.4, says))
    if point is not None:
        says = f"frozen operating point: sensitivity {point[1]:.3f} at {point[0]:.2f} false positives per {unit}"
        parts.append(frame.dot(math.log2(min(max(point[0], _LOW), _HIGH)), point[1], "best", 5.5, says))
        parts.append(svg.text(frame.left + 8, frame.top + 16, "● frozen operating point", "note mark-text"))
        told.append(says)
    return svg.picture(f"FROC, {name}", "; ".join(told) or "no answer", "".join(parts), 390, 362)


def at_rate(curve: Mapping[str, Any], rate: float) -> float | None:
    """The highest sensitivity with at most so many false positives per case; None without a curve."""
    within = [s for r, s in zip(curve["fp_per_case"], curve["sensitivity"], strict=True) if r <= rate + 1e-9 and s is not None]
    return max(within, default=0.0) if curve["fp_per_case"] else None


def _kept(curve: Mapping[str, Any]) -> tuple[list[float], list[float]]:
    pairs = [(r, s) for r, s in zip(curve["fp_per_case"], curve["sensitivity"], strict=True) if s is not None]
    pairs.sort()
    return [r for r, _ in pairs], [s for _, s in pairs]


def _stairs(rates: Sequence[float], found: Sequence[float]) -> list[tuple[float, float]]:
    """A line that rises only where a threshold lies, clipped to the frame: (rate, sensitivity)."""
    steps: list[tuple[float, float]] = []
    before = 0.0
    for rate, sensitivity in zip(rates, found, strict=True):
        here = max(rate, _LOW)
        if rate > _HIGH:
            break
        if not steps:
            steps.append((_LOW, sensitivity if rate <= _LOW else 0.0))
        else:
            steps.append((here, before))
        steps.append((here, sensitivity))
        before = sensitivity
    if steps:
        steps.append((_HIGH, before))
    return steps


def _band(frame: svg.Frame, curve: Mapping[str, Any]) -> str:
    rows = [
        (math.log2(min(max(rate, _LOW), _HIGH)), low, high)
        for rate, low, high in zip(curve["fp_per_case"], curve.get("low") or (), curve.get("high") or (), strict=False)
        if low is not None and high is not None and rate <= _HIGH
    ]
    if len(rows) < 2:
        return ""
    rows.sort()
    edge = [(x, high) for x, _, high in rows] + [(x, low) for x, low, _ in reversed(rows)]
    points = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in edge)
    return f'<polygon class="band" points="{points}"/>'


def _axes(frame: svg.Frame, unit: str) -> str:
    bottom = frame.top + frame.height
    ticks = list(zip(RATES, RATE_WORDS, strict=True))
    upright = "".join(svg.line(frame.x(math.log2(r)), frame.top, frame.x(math.log2(r)), bottom, "grid") for r, _ in ticks)
    words = "".join(svg.text(frame.x(math.log2(r)), bottom + 16, w, "tick", "middle") for r, w in ticks)
    return frame.axes(f"false positives per {unit}", "sensitivity for objects", (), _FIFTHS) + upright + words
