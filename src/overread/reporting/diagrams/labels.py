"""Names beside points that do not lie on each other, on points, or on their intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LETTER, LINE = 6.0, 12.0  # pixels of a letter, and of a line of text
_BESIDE = 8.0  # from a point to the words at its side
_STEPS = 9  # lines above and below a bar that are tried


@dataclass(frozen=True)
class Area:
    """A rectangle on the sheet, from its left upper corner."""

    x: float
    y: float
    width: float
    height: float

    def shared(self, other: Area) -> float:
        """The area in common; 0 where they do not meet."""
        across = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        down = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        return max(0.0, across) * max(0.0, down)

    def lies_in(self, other: Area) -> bool:
        across = self.x >= other.x and self.x + self.width <= other.x + other.width
        return across and self.y >= other.y and self.y + self.height <= other.y + other.height


@dataclass(frozen=True)
class Point:
    """x, y  of a point on the sheet;  top, bottom  of its bar;  words  its name"""

    x: float
    y: float
    top: float
    bottom: float
    words: str

    @property
    def bar(self) -> Area:
        return Area(self.x - 5, self.top - 2, 10, self.bottom - self.top + 4)


@dataclass(frozen=True)
class Label:
    """area  of the words;  lead  the two ends of a line from the bar to it, where it does not stand beside the point"""

    words: str
    area: Area
    lead: tuple[tuple[float, float], tuple[float, float]] | None


def placed(points: Sequence[Point], frame: Area) -> list[Label]:
    """A place for the name of every point: beside it, else above or below its bar; where all is full, where least is covered."""
    bars = [point.bar for point in points]
    found: list[Label] = []
    for point in points:
        others = [*bars, *(label.area for label in found)]
        inside = [label for label in _places(point) if label.area.lies_in(frame)] or list(_places(point))
        found.append(min(inside, key=lambda label: sum(label.area.shared(other) for other in others)))  # the first of the best
    return found


def _places(point: Point) -> Iterator[Label]:
    wide = LETTER * len(point.words) + 4
    for left in (point.x + _BESIDE, point.x - _BESIDE - wide):
        yield Label(point.words, Area(left, point.y - LINE / 2, wide, LINE), None)
    for step in range(_STEPS):
        for end, y in ((point.top, point.top - LINE * (step + 1) - 4), (point.bottom, point.bottom + LINE * step + 5)):
            near = y + LINE if y < end else y
            lead = ((point.x, end), (point.x, near)) if step else None
            for left in (point.x - wide / 2, point.x - 4, point.x - wide + 4):
                yield Label(point.words, Area(left, y, wide, LINE), lead)
