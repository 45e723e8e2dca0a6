"""The matching criterion drawn to scale: one answer that just finds a truth, and one that just does not."""

from __future__ import annotations

import re

from overread.reporting.charts import svg

_SIDE = 96.0
_OVERLAP = re.compile(r"overlap by at least ([0-9.]+)")
_DISTANCE = re.compile(r"at most ([0-9.]+) (mm|pixels) apart")


def matching_chart(rule: str) -> str:
    """An SVG for the criterion in the words of `rules.matching`; "" where it is none that can be drawn."""
    if overlap := _OVERLAP.search(rule):
        limit = float(overlap[1])
        what = "intersection over union"
        return _pair(rule, _of_iou(limit), (f"{what} {limit:g}: found", f"{what} {limit * 0.8:.2g}: a miss and a false positive"))
    if distance := _DISTANCE.search(rule):
        words = (f"centres {distance[1]} {distance[2]} apart: found", "farther apart: a miss and a false positive")
        return _pair(rule, (0.5, 0.85), words, marks_centres=True)
    if "lies in" in rule:
        words = ("centre inside: found", "centre outside: a miss and a false positive")
        return _pair(rule, (0.42, 0.62), words, marks_centres=True)
    return ""


def _of_iou(limit: float) -> tuple[float, float]:
    """By how much of its side a box of the same size is shifted to have that overlap, and four fifths of it."""
    return _shift(limit), _shift(0.8 * limit)


def _shift(overlap: float) -> float:
    """Two equal boxes, one shifted by t of its side along both axes: IoU = s / (2 - s) with s = (1 - t)^2."""
    common = 2 * overlap / (1 + overlap)
    return float(1 - common**0.5)


def _pair(rule: str, shifts: tuple[float, float], words: tuple[str, str], *, marks_centres: bool = False) -> str:
    parts = []
    for k, (shift, told) in enumerate(zip(shifts, words, strict=True)):
        left, top = 30.0 + 300 * k, 34.0
        away = shift * _SIDE
        answer = "found-box" if k == 0 else "false-box"
        parts.append(svg.box(left, top, _SIDE, _SIDE, "truth-box", "reference"))
        parts.append(svg.box(left + away, top + away, _SIDE, _SIDE, answer, "answer"))
        if marks_centres:
            for x, kind in ((left, "truth-box"), (left + away, answer)):
                centre = top + (x - left) + _SIDE / 2
                parts.append(f'<circle class="{kind}" cx="{x + _SIDE / 2:.1f}" cy="{centre:.1f}" r="3"/>')
        parts.append(svg.text(left, top - 10, "reference", "note"))
        parts.append(svg.text(left + away + _SIDE + 6, top + away + _SIDE - 4, "model", "note"))
        parts.append(svg.text(left, 222, told, "label"))
    return svg.picture("What counts as found", rule, "".join(parts), 620, 232)
