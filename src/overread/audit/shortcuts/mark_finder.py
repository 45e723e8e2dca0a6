"""Letters and marks in a film: small, bright, sharp things on darker ground near its border.

Own method. The film is brought to at most 512 pixels; what is thinner than a stroke of a letter and much brighter than
what is around it (white top-hat) is kept as connected components; components of the size and filling of a letter, among
the brightest of the film, with a dark surround, count. Neighbours make one mark. A proposal, no proof: a clip, a jewel
or the tip of a line may look the same, and letters in the middle of the film are not looked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from skimage.filters import gaussian
from skimage.measure import label, regionprops
from skimage.morphology import footprint_rectangle, white_tophat

LARGEST_SIDE = 512
SMALLEST_SIDE = 96  # pixels; a letter of a smaller film is a blot
STROKE = 0.05  # of the longer side: the top-hat keeps what is thinner
CONTRAST = 0.3  # of the range of the film, between a stroke and its ground
HEIGHT, WIDTH = (0.018, 0.13), (0.006, 0.13)  # of the longer side
FILLING = (0.2, 0.95)  # share of a letter's box that is ink
DIMMEST = 0.35  # of the range of the film: any pixel of the ink
BRIGHT, BRIGHTEST = 0.5, 0.75  # of the range of the film: mean of the ink (strokes are blurred), and its peak
SURROUND = 0.43  # of the range: how much darker the frame around the box is than the peak
BORDER = 0.28  # share of a side that counts as its border
MOST_COMPONENTS = 2000  # more is noise


@dataclass(frozen=True)
class Mark:
    """y, x of the centre, height, width: shares of the film's sides, from the upper left corner."""

    y: float
    x: float
    height: float
    width: float
    letters: int = 1

    @property
    def zone(self) -> str:
        """Where it lies, in thirds: "upper left", "upper middle" ... as displayed."""
        rows, columns = ("upper", "middle", "lower"), ("left", "middle", "right")
        return f"{rows[min(int(3 * self.y), 2)]} {columns[min(int(3 * self.x), 2)]}"


ZONES = tuple(f"{row} {column}" for row in ("upper", "middle", "lower") for column in ("left", "middle", "right"))


def find_marks(film: np.ndarray) -> list[Mark] | None:
    """Marks of a film (Y, X) of any number type; None where it is too small to tell."""
    if min(film.shape) < SMALLEST_SIDE:
        return None
    scaled = _scaled(film)
    side = max(scaled.shape)
    stroke = max(5, round(STROKE * side))
    hat = white_tophat(scaled, footprint_rectangle((stroke, stroke)))
    parts = label((hat > CONTRAST) & (scaled > DIMMEST), connectivity=2)
    if parts.max() > MOST_COMPONENTS:
        return []
    boxes = [region.bbox for region in regionprops(parts, intensity_image=scaled) if _is_letter(region, scaled, side)]
    return _joined(boxes, scaled.shape)


def _scaled(film: np.ndarray) -> np.ndarray:
    """(Y, X) float32 in 0..1, its longer side at most `LARGEST_SIDE`."""
    values = np.asarray(film, np.float32)
    step = -(-max(values.shape) // LARGEST_SIDE)
    if step > 1:
        values = gaussian(values, step / 3, preserve_range=True)[::step, ::step]
    low, high = np.percentile(values, (0.5, 99.9))
    if high <= low:
        return np.zeros(values.shape, np.float32)
    return np.asarray(np.clip((values - low) / (high - low), 0, 1), np.float32)


def _is_letter(region: Any, scaled: np.ndarray, side: int) -> bool:
    """region  one of `skimage.measure.regionprops`, whose class is not public"""
    y0, x0, y1, x1 = region.bbox
    height, width = (y1 - y0) / side, (x1 - x0) / side
    if not (HEIGHT[0] <= height <= HEIGHT[1] and WIDTH[0] <= width <= WIDTH[1] and FILLING[0] <= region.extent <= FILLING[1]):
        return False
    if not _near_border((y0 + y1) / 2 / scaled.shape[0], (x0 + x1) / 2 / scaled.shape[1]):
        return False
    peak = float(region.intensity_max)
    return region.intensity_mean >= BRIGHT and peak >= BRIGHTEST and peak - _frame(scaled, region.bbox) >= SURROUND


def _near_border(y: float, x: float) -> bool:
    return min(y, 1 - y, x, 1 - x) < BORDER


def _frame(scaled: np.ndarray, box: tuple[int, int, int, int]) -> float:
    """The upper quartile of the frame around a box, two pixels away from it, a fifth of its size wide."""
    y0, x0, y1, x1 = box
    near, wide = 2, 2 + max(2, round(0.2 * max(y1 - y0, x1 - x0)))
    outer = np.zeros(scaled.shape, bool)
    outer[max(y0 - wide, 0) : y1 + wide, max(x0 - wide, 0) : x1 + wide] = True
    outer[max(y0 - near, 0) : y1 + near, max(x0 - near, 0) : x1 + near] = False
    return float(np.percentile(scaled[outer], 75)) if outer.any() else 1.0


def _joined(boxes: list[tuple[int, int, int, int]], shape: tuple[int, ...]) -> list[Mark]:
    """Letters that stand nearer than their height make one mark."""
    groups: list[list[tuple[int, int, int, int]]] = []
    for box in sorted(boxes, key=lambda b: (b[1], b[0])):
        reach = box[2] - box[0]
        near = [g for g in groups if any(_gap(box, other) <= reach for other in g)]
        groups = [g for g in groups if g not in near] + [[box, *(b for g in near for b in g)]]
    return [_mark(group, shape) for group in groups]


def _gap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> int:
    return max(a[0] - b[2], b[0] - a[2], a[1] - b[3], b[1] - a[3], 0)


def _mark(group: list[tuple[int, int, int, int]], shape: tuple[int, ...]) -> Mark:
    y0, x0 = min(b[0] for b in group), min(b[1] for b in group)
    y1, x1 = max(b[2] for b in group), max(b[3] for b in group)
    height, width = shape[0], shape[1]
    return Mark((y0 + y1) / 2 / height, (x0 + x1) / 2 / width, (y1 - y0) / height, (x1 - x0) / width, len(group))
