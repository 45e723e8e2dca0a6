"""A heat map beside its image and laid over it, with a colour bar, what the numbers mean, and the verdict of the trial."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle

from overread.core.image import Image, reorient
from overread.reporting.pictures import canvas
from overread.reporting.pictures.display import grey
from overread.reporting.pictures.heat_marks import Marks, draw_marks, turned_marks
from overread.reporting.pictures.planes import Plane, planes

WIDTH, ASIDE = 1280, 290  # pixels of the sheet, and of its column of words
OPACITY = 0.75  # of the strongest colour over the image
# Blue against, orange for; dark at 0, and as light at one value as at its negative (CIELAB lightness 5, 22, 42, 63, 86).
AGAINST = ("#97e2f8", "#03a3df", "#0067b6", "#00366e", "#111111")
FOR = ("#6b1102", "#bf2600", "#f0760f", "#ffd062")
SIGNED = LinearSegmentedColormap.from_list("for and against", (*AGAINST, *FOR))
UNSIGNED = colormaps["magma"]  # equal steps look equal (van der Walt and Smith 2015)
FAILED_COLOUR = "#ff5a4d"
_STAMPS = {"passed": canvas.MATCHED_COLOUR, "failed": FAILED_COLOUR}
_PLAIN, _SOFT = "#e8e8e6", "#b8b8b4"
_LETTERS, _LINE = 38, 16  # of a line of words in the column, and its height in pixels


@dataclass(frozen=True)
class Scale:
    """How values become colours; the same for every map of one method on one page.

    limit      the value at which colours end; where is_signed its negative too
    unit       what a value is: "fall of the score (log odds) ..."
    rule       how the limit was chosen
    """

    limit: float
    is_signed: bool
    unit: str
    rule: str = ""

    def share(self, values: np.ndarray) -> np.ndarray:
        """Values of any shape to 0..1, or -1..1 where signed."""
        return np.clip(values / max(self.limit, 1e-30), -1 if self.is_signed else 0, 1)

    def colours(self, values: np.ndarray) -> np.ndarray:
        """(..., 4) RGBA of 0 to 1, opaque."""
        share = self.share(values)
        return np.asarray(SIGNED((share + 1) / 2) if self.is_signed else UNSIGNED(share))

    def over(self, values: np.ndarray) -> np.ndarray:
        """(..., 4) RGBA to lay over an image: the smaller a value, the less it covers."""
        colours = self.colours(values)
        colours[..., 3] = OPACITY * np.abs(self.share(values))
        return colours


@dataclass(frozen=True)
class Stamp:
    """What the trial of the method came to.

    verdict  "passed", "failed", "incomplete" or "not tried"
    reason   in words
    """

    verdict: str
    reason: str = ""

    @property
    def words(self) -> str:
        return {"passed": "passed its trial", "failed": "FAILED ITS TRIAL", "incomplete": "trial incomplete"}.get(
            self.verdict, "NOT TRIED"
        )

    @property
    def colour(self) -> str:
        return _STAMPS.get(self.verdict, canvas.PHANTOM_COLOUR)


@dataclass(frozen=True)
class _View:
    plane: Plane
    index: int
    caption: str
    layers: str  # "image", "map" or "both"
    cross: tuple[float, float] | None = None


def heat_panel(
    image: Image,
    values: np.ndarray,
    scale: Scale,
    stamp: Stamp,
    *,
    title: str,
    lines: Sequence[str],
    marks: Marks,
    is_phantom: bool,
    window: tuple[float, float] | None = None,
) -> bytes:
    """Draw one map as PNG.

    values  (Z, Y, X) float, on the grid of the image
    lines   words for the column: score, answer, layer
    window  lowest and highest value of the image shown; None shows it as a viewer does

    A film: image, map, map over image. A volume: the same of the slice with most of the map, and the three planes through the
    largest value (of a signed map the largest positive one).
    """
    order, flips = image.grid.canonical_axes()
    pixels = grey(image, window)
    shown = reorient(pixels, order, flips) if pixels.ndim == 3 else pixels
    heat = reorient(np.asarray(values, dtype=np.float32), order, flips)
    turned = turned_marks(marks, image.grid, order, flips)
    rows = _rows(heat, planes(image.grid.reoriented(order, flips)), order.index(0), is_planar=image.grid.is_planar)
    aspects = [[view.plane.size[0] / view.plane.size[1] for view in row] for row in rows]
    made = canvas.sheet(aspects, title=title, is_phantom=is_phantom, width=WIDTH, aside=ASIDE)
    for axes, view in zip(made.cells, [view for row in rows for view in row], strict=True):
        _draw(axes, view, shown, heat, scale, stamp, is_phantom=is_phantom)
        draw_marks(axes, turned, view.plane, view.index, shown.shape[:3])
    _column(made, scale, stamp, lines)
    _legend(made, marks)
    if stamp.verdict == "failed":
        frame = {"fill": False, "edgecolor": FAILED_COLOUR, "linewidth": 7}
        made.figure.add_artist(Rectangle((0, 0), 1, 1, transform=made.figure.transFigure, **frame))  # type: ignore[arg-type]
    return canvas.png(made)


def peak_of(values: np.ndarray) -> tuple[int, int, int]:
    """(z, y, x) of the largest value; of the largest negative one where no value is above 0."""
    place = int(values.argmax() if values.max() > 0 else np.abs(values).argmax())
    z, y, x = (int(k) for k in np.unravel_index(place, values.shape))
    return z, y, x


def _rows(heat: np.ndarray, cuts: Sequence[Plane], normal: int, *, is_planar: bool) -> list[list[_View]]:
    across = tuple(axis for axis in range(3) if axis != normal)
    most = int(np.abs(heat).sum(axis=across).argmax()) if heat.any() else heat.shape[normal] // 2
    where = "" if is_planar else f"{cuts[normal].name} {most + 1} of {heat.shape[normal]}, most of the map: "
    said = {"image": f"{where}image", "map": "map", "both": "map over image"}
    first = [_View(cuts[normal], most, words, layers) for layers, words in said.items()]
    if is_planar:
        return [first]
    peak = peak_of(heat)
    through = []
    for plane in cuts:
        words = f"{plane.name} {peak[plane.normal] + 1} of {heat.shape[plane.normal]}, through the peak"
        through.append(_View(plane, peak[plane.normal], words, "both", _place(plane, peak, heat.shape)))
    return [first, through]


def _place(plane: Plane, voxel: Sequence[int], shape: Sequence[int]) -> tuple[float, float]:
    """Where a voxel lies on a plane: from the left and from below, in mm or pixels."""
    down, across = (axis for axis in range(3) if axis != plane.normal)
    x = (voxel[across] + 0.5) * plane.size[1] / shape[across]
    y = (voxel[down] + 0.5) * plane.size[0] / shape[down]
    return x, plane.size[0] - y if plane.normal == 0 else y


def _draw(axes: Axes, view: _View, shown: np.ndarray, heat: np.ndarray, scale: Scale, stamp: Stamp, *, is_phantom: bool) -> None:
    plane = view.plane
    extent = (0.0, plane.size[1], 0.0, plane.size[0])
    background, values = plane.cut(shown, view.index), plane.cut(heat, view.index)
    if view.layers == "map":
        background = np.zeros(values.shape)
    canvas.show(axes, background, plane, view.caption, is_phantom=is_phantom, extent=extent)
    if view.layers != "image":
        coloured = scale.colours(values) if view.layers == "map" else scale.over(values)
        axes.imshow(coloured, extent=extent, aspect="equal", interpolation="nearest")
    if view.layers != "image" and stamp.verdict == "failed":
        back = {"facecolor": "#0d0f11", "alpha": 0.7, "edgecolor": "none", "pad": 1.5}
        axes.text(0.015, 0.015, "FAILED ITS TRIAL", color=FAILED_COLOUR, fontsize=9.5, weight="bold", bbox=back, va="bottom",
                  transform=axes.transAxes)  # fmt: skip
    if view.cross is not None:
        _cross(axes, view.cross, plane.size)


def _cross(axes: Axes, at: tuple[float, float], size: tuple[float, float]) -> None:
    """Four short lines that point to a place and leave it free; at (from the left, from below), size (height, width)."""
    x, y = at
    near, far = 0.06 * min(size), 0.16 * min(size)
    thin = {"color": _PLAIN, "linewidth": 0.8}
    for sign in (-1, 1):
        axes.plot([x + sign * near, x + sign * far], [y, y], **thin)  # type: ignore[arg-type]
        axes.plot([x, x], [y + sign * near, y + sign * far], **thin)  # type: ignore[arg-type]
    axes.set_xlim(0, size[1])
    axes.set_ylim(0, size[0])


def _column(made: canvas.Sheet, scale: Scale, stamp: Stamp, lines: Sequence[str]) -> None:
    """The verdict, what is to be said, and the colour bar, one below the other."""
    left, top = made.width - ASIDE + 14.0, 44.0
    box = {"facecolor": "none", "edgecolor": stamp.colour, "linewidth": 1.4, "pad": 4.0}
    made.figure.text((left + 6) / made.width, 1 - (top + 5) / made.height, stamp.words, fontsize=10.5, color=stamp.colour,
                     weight="bold", va="top", bbox=box)  # fmt: skip
    top = _wrapped(made, left, top + 36, stamp.reason, stamp.colour if stamp.verdict == "failed" else _SOFT, most=4)
    for line in lines:
        top = _wrapped(made, left, top + 4, line, _PLAIN, most=3)
    _bar(made, scale, left, top + 16)


def _bar(made: canvas.Sheet, scale: Scale, left: float, top: float) -> None:
    width, height = ASIDE - 44, 14
    axes = made.figure.add_axes((left / made.width, 1 - (top + height) / made.height, width / made.width, height / made.height))
    low = -scale.limit if scale.is_signed else 0.0
    steps = np.linspace(low, scale.limit, 256)[None]
    axes.imshow(scale.colours(steps), extent=(0.0, 1.0, 0.0, 1.0), aspect="auto", interpolation="nearest")
    axes.set_yticks([])
    axes.set_xticks([0, 0.5, 1], [f"{v:.2g}" if v else "0" for v in np.linspace(low, scale.limit, 3)])
    axes.tick_params(colors=_PLAIN, labelsize=9, length=3, pad=2)
    for spine in axes.spines.values():
        spine.set_color(_SOFT)
    first, _, last = axes.get_xticklabels()
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")
    signs = " Above 0 speaks for it, below 0 against it." if scale.is_signed else ""
    below = _wrapped(made, left, top + height + 24, f"{scale.unit[:1].upper()}{scale.unit[1:]}.{signs}", _PLAIN, most=7)
    _wrapped(made, left, below + 3, scale.rule, _SOFT, most=5)


def _wrapped(made: canvas.Sheet, left: float, top: float, text: str, colour: str, *, most: int) -> float:
    """Words in lines; returns where the next may begin."""
    lines = textwrap.wrap(text, _LETTERS, max_lines=most, placeholder=" …")
    for line in lines:
        canvas.write(made, left, top, line, size=8.5, colour=colour)
        top += _LINE
    return top


def _legend(made: canvas.Sheet, marks: Marks) -> None:
    left = 10.0
    for words, colour, style in marks.legend:
        left = canvas.legend_entry(made, left, made.height - 24, words, colour, style)
