"""Where everything lies in the drawing of a network: boxes along a line, ways between them, lines of text below."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HIGHEST, LOWEST = 170.0, 12.0  # of a box that stands for a map, in pixels
WIDEST, NARROWEST = 46.0, 9.0
BAR = 11.0  # width of a vector
GAP = 20.0
LEAN = 0.17  # how far a box leans back, as a share of its height
MOST_LEAN = 22.0
MARGIN = 26.0
PARTS = 4  # equal blocks in a row are drawn as so many parts of a box at most
APART = 10.0  # between ways that run above each other


@dataclass(frozen=True)
class Scale:
    """What the largest map and the most channels are, so that several drawings can be compared."""

    edge: float
    channels: int

    @classmethod
    def of(cls, structures: Sequence[Mapping[str, Any]]) -> Scale:
        every = [block for one in structures for block in one["blocks"]]
        largest = max(edge(one["shape"][1:]) for one in structures)
        return cls(max([largest, *(edge(b["size"]) for b in every)]), max([2, *(b["channels"] for b in every)]))


@dataclass(frozen=True)
class Box:
    """x, width, height  of its front, which is centred on the line;  lean  how far its back lies to the right and above"""

    block: Mapping[str, Any]
    x: float
    width: float
    height: float
    lean: float
    parts: int

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def top(self) -> float:
        """Above the line, its back included."""
        return self.height / 2 + self.lean


@dataclass(frozen=True)
class Way:
    """From one box over those between to another; heights are above the line.

    start, end  places along the line;  up  how high it runs
    """

    source: int
    target: int
    start: float
    end: float
    up: float


@dataclass(frozen=True)
class Layout:
    """boxes[0] is the image;  steps  pairs of neighbours that one map passes between;  up, down  room above and below the line"""

    boxes: tuple[Box, ...]
    steps: tuple[tuple[int, int], ...]
    ways: tuple[Way, ...]
    width: float
    up: float
    down: float


def edge(size: Sequence[int]) -> float:
    """The edge of a square as large as a map; of tokens that of the square that they fill; of a vector 0."""
    if len(size) == 1:
        return math.sqrt(size[0])
    return math.sqrt(size[-1] * size[-2]) if size else 0.0


def laid_out(structure: Mapping[str, Any], scale: Scale) -> Layout:
    """Boxes in the order in which maps meet them; ways that pass over others lie above them."""
    shape = structure["shape"]
    image = {"label": "image", "kind": "image", "size": shape[1:], "channels": shape[0], "times": 1, "runs": 1, "maps": 1,
             "slices": 1}  # fmt: skip
    boxes: list[Box] = []
    x = MARGIN
    for block in (image, *structure["blocks"]):
        box = _box(block, x, scale)
        boxes.append(box)
        x = box.right + box.lean + GAP
    links = [(a + 1, b + 1) for a, b in structure["links"]]
    steps = tuple((a, b) for a, b in links if b == a + 1)
    ways = _ways([(a, b) for a, b in links if b != a + 1], boxes)
    up = max([way.up for way in ways] + [box.top for box in boxes]) + 10
    return Layout(tuple(boxes), steps, ways, x - GAP + MARGIN, up, max(box.height / 2 for box in boxes))


def _box(block: Mapping[str, Any], x: float, scale: Scale) -> Box:
    share = math.log2(1 + block["channels"]) / math.log2(1 + scale.channels)
    parts = min(PARTS, block["times"])
    if not block["size"]:
        return Box(block, x, BAR * parts, LOWEST + 60 * share, 0.0, parts)
    height = max(LOWEST, HIGHEST * (edge(block["size"]) / scale.edge) ** 0.6)
    width = NARROWEST + (WIDEST - NARROWEST) * share**1.5
    return Box(block, x, width * (1 + 0.4 * (parts - 1)), height, min(MOST_LEAN, LEAN * height), parts)


def _ways(links: Sequence[tuple[int, int]], boxes: Sequence[Box]) -> tuple[Way, ...]:
    """Short ways run low, longer ones above them; where several leave or reach one box they do so side by side."""
    leaving = {k: sorted(b for a, b in links if a == k) for k in range(len(boxes))}
    arriving = {k: sorted((a for a, b in links if b == k), reverse=True) for k in range(len(boxes))}
    ways: list[Way] = []
    for source, target in sorted(links, key=lambda link: (abs(link[1] - link[0]), link)):
        start = _port(boxes[source], leaving[source].index(target), len(leaving[source]), from_right=True)
        end = _port(boxes[target], arriving[target].index(source), len(arriving[target]), from_right=False)
        low, high = sorted((source, target))
        up = max(box.top for box in boxes[low : high + 1]) + APART
        crossed = [way.up for way in ways if max(start, way.start) + 2 > min(start, way.start) and _meet((start, end), way)]
        while any(abs(up - other) < APART - 1 for other in crossed):
            up += APART
        ways.append(Way(source, target, start, end, up))
    return tuple(ways)


def _meet(span: tuple[float, float], way: Way) -> bool:
    return min(span) - 3 < max(way.start, way.end) and min(way.start, way.end) - 3 < max(span)


def _port(box: Box, number: int, among: int, *, from_right: bool) -> float:
    """Where a way touches the top of a box: ways leave in its right half and arrive in its left."""
    room = max(4.0, box.width / 2 - 2) / among
    at = min(room, 7.0) * (number + 0.5)
    return box.middle + box.lean / 2 + (1 if from_right else -1) * at
