"""Words beside boxes on a picture, each where no others stand yet."""

from __future__ import annotations

from matplotlib.axes import Axes

_SIZE = 8  # points
_WIDE, _TALL = 0.6, 1.5  # of a letter and of a line, in heights of the letters
_POINTS = 72

Place = tuple[float, float, float, float]  # left, low, right, top in the coordinates of the picture


class Free:
    """The room that is left on one picture.

    width, height  of the picture, in the coordinates of its axes
    """

    def __init__(self, axes: Axes, width: float, height: float) -> None:
        self.axes, self.width, self.height = axes, width, height
        letter = _SIZE / _POINTS * axes.figure.dpi * width / axes.bbox.width
        self.letter, self.line = _WIDE * letter, _TALL * letter
        self.taken: list[Place] = []

    def write(self, words: str, colour: str, box: Place, *, prefers_below: bool) -> None:
        """Words above or below a box, from its left or to its right edge: the first place that is on the picture and free."""
        left, low, right, top = box
        wide = self.letter * len(words)
        lines = [low - self.line, top] if prefers_below else [top, low - self.line]
        places = [(x, y, x + wide, y + self.line) for y in lines for x in (left, right - wide)]
        inside = [p for p in places if self._is_inside(p)] or [self._pushed(places[0])]
        chosen = next((p for p in inside if not any(_meet(p, other) for other in self.taken)), inside[0])
        self.taken.append(chosen)
        self.axes.text(
            chosen[0],
            (chosen[1] + chosen[3]) / 2,
            words,
            ha="left",
            va="center",
            fontsize=_SIZE,
            color=colour,
            parse_math=False,
            bbox={"facecolor": "#0d0f11", "alpha": 0.5, "edgecolor": "none", "pad": 0.6},
        )

    def _is_inside(self, place: Place) -> bool:
        return place[0] >= 0 and place[1] >= 0 and place[2] <= self.width and place[3] <= self.height

    def _pushed(self, place: Place) -> Place:
        """The nearest place on the picture."""
        x = max(0.0, min(place[0], self.width - (place[2] - place[0])))
        y = max(0.0, min(place[1], self.height - self.line))
        return x, y, x + place[2] - place[0], y + self.line


def _meet(a: Place, b: Place) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
