"""Hand-written SVG: a frame with axes, and the marks drawn in it. No library, no request, prints sharply.

Colours and line styles come from classes in the report's style sheet, so that a chart carries only
geometry. Each chart has a title and a description for readers who cannot see it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise


@dataclass(frozen=True)
class Frame:
    """The plotting area: where values lie on the sheet.

    x_range, y_range  values at the left and right, bottom and top edge
    """

    x_range: tuple[float, float]
    y_range: tuple[float, float]
    left: float = 50.0
    top: float = 12.0
    width: float = 332.0
    height: float = 250.0

    def x(self, value: float) -> float:
        low, high = self.x_range
        return self.left + (value - low) / ((high - low) or 1.0) * self.width

    def y(self, value: float) -> float:
        low, high = self.y_range
        return self.top + self.height - (value - low) / ((high - low) or 1.0) * self.height

    def axes(
        self, x_label: str, y_label: str, x_ticks: Sequence[float] | None = None, y_ticks: Sequence[float] | None = None
    ) -> str:
        """Light grid lines, tick numbers and the two labels."""
        x_ticks = ticks(*self.x_range) if x_ticks is None else x_ticks
        y_ticks = ticks(*self.y_range) if y_ticks is None else y_ticks
        bottom, right = self.top + self.height, self.left + self.width
        parts = []
        for value in x_ticks:
            parts.append(line(self.x(value), self.top, self.x(value), bottom, "grid"))
            parts.append(text(self.x(value), bottom + 16, tick_text(value, x_ticks), "tick", "middle"))
        for value in y_ticks:
            parts.append(line(self.left, self.y(value), right, self.y(value), "grid"))
            parts.append(text(self.left - 7, self.y(value) + 4, tick_text(value, y_ticks), "tick", "end"))
        parts.append(line(self.left, bottom, right, bottom, "axis") + line(self.left, self.top, self.left, bottom, "axis"))
        parts.append(text(self.left + self.width / 2, bottom + 36, x_label, "label", "middle"))
        turned = f"translate(13 {self.top + self.height / 2:.1f}) rotate(-90)"
        parts.append(f'<text class="label" text-anchor="middle" transform="{turned}">{escape(y_label)}</text>')
        return "".join(parts)

    def path(self, xs: Iterable[float], ys: Iterable[float], kind: str) -> str:
        """A line through points given in values; kept within the frame."""
        points = [f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in zip(xs, ys, strict=True)]
        return f'<polyline class="{kind}" points="{" ".join(points)}"/>'

    def dot(self, x: float, y: float, kind: str, radius: float = 3.0, says: str = "", mark: str = "") -> str:
        """A point in values; `says` is its tooltip, `mark` extra attributes."""
        title = f"<title>{escape(says)}</title>" if says else ""
        return f'<circle class="{kind}" cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="{radius:g}"{mark}>{title}</circle>'

    def across(self, y: float, kind: str, says: str = "") -> str:
        """A horizontal line through the whole frame with a note at its right end."""
        note = text(self.left + self.width - 4, self.y(y) - 5, says, "note", "end") if says else ""
        return line(self.left, self.y(y), self.left + self.width, self.y(y), kind) + note


def picture(title: str, description: str, body: str, width: float = 390, height: float = 308, kind: str = "chart") -> str:
    """Wrap marks into an accessible, scaling SVG element."""
    spoken = escape(f"{title}. {description}", quote=True)
    return (
        f'<svg class="{kind}" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{spoken}" '
        f'preserveAspectRatio="xMidYMid meet"><title>{escape(title)}</title>'
        f"<desc>{escape(description)}</desc>{body}</svg>"
    )


def text(x: float, y: float, words: str, kind: str = "note", anchor: str = "start", mark: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{mark}>{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def box(x: float, y: float, width: float, height: float, kind: str, says: str = "") -> str:
    title = f"<title>{escape(says)}</title>" if says else ""
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}">{title}</rect>'
    )


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers between two values, at about `wanted` steps of 1, 2 or 5 times a power of ten."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(span / wanted))
    step = next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= wanted + 0.5)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def tick_text(value: float, among: Sequence[float]) -> str:
    """A tick number with the decimals that its neighbours need."""
    step = min((abs(b - a) for a, b in pairwise(among)), default=abs(value) or 1.0)
    decimals = max(0, min(6, -math.floor(math.log10(step) + 1e-9))) if step > 0 else 2
    return f"{value:.{decimals}f}" if abs(value) > 1e-12 else "0"


def legend(entries: Sequence[tuple[str, str]], x: float, y: float) -> str:
    """Short lines with their meaning, one below the other: (class of the line, words)."""
    parts = []
    for row, (kind, words) in enumerate(entries):
        top = y + 17 * row
        parts.append(line(x, top - 4, x + 22, top - 4, kind) + text(x + 29, top, words, "note"))
    return "".join(parts)
