"""Cases as points, side by side in several projections, coloured by a column that can be chosen on the page.

Colour says the group, shape the partition. Colours are those of Okabe and Ito, told apart by colour-blind readers; columns with
an order go from dark to light.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from overread.reporting.charts.svg import Frame, picture, text

Record = Mapping[str, Any]

COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#7a5a00",
    "#8a5a9e",
    "#333333",
    "#b3c94a",
    "#a3231b",
)
GRADED = ("#440154", "#414487", "#2a788e", "#22a884", "#7ad151", "#e3c520")
UNKNOWN, GREY = "not known", "#b8b8b4"
_SIDE, _HEAD = 300.0, 26.0
_RADIUS = {True: 2.2, False: 3.2}  # many points or few
_MANY = 600
_SCRIPT = (Path(__file__).parents[1] / "templates" / "embedding.js").read_text(encoding="utf-8")
_STYLE = (Path(__file__).parents[1] / "templates" / "embedding.css").read_text(encoding="utf-8")


def embedding_charts(projections: Sequence[Record], columns: Sequence[Record], points: Sequence[Record]) -> str:
    """All projections with their legend; the first column colours them until another is chosen.

    projections  with points (N, 2), in the order of `points`
    columns      name, order of the groups, kind, is_graded
    points       case_id, and the number of its group in every column
    """
    partition = next(k for k, column in enumerate(columns) if column["kind"] == "partition")
    palettes = [_palette(column) for column in columns]
    charts = "".join(f"<div>{_chart(p, columns, points, partition, palettes[0])}</div>" for p in projections)
    options = "".join(f'<option value="{k}">{escape(column["name"])}</option>' for k, column in enumerate(columns))
    legends = "".join(
        _legend(k, column, palette, points) for k, (column, palette) in enumerate(zip(columns, palettes, strict=True))
    )
    shapes = "".join(f"<li>{_swatch(name, GREY)}{escape(name)}</li>" for name in columns[partition]["order"])
    colours = escape(json.dumps(palettes), quote=True)
    return (
        f'<style>{_STYLE}</style><div class="embedding" data-palettes="{colours}">'
        f'<p class="choose" hidden><label>Colour by <select>{options}</select></label></p><div class="clouds">{charts}</div>'
        f'{legends}<ul class="groups shapes">{shapes}</ul></div><script>{_SCRIPT}</script>'
    )


def _palette(column: Record) -> list[str]:
    order = list(column["order"])
    known = [name for name in order if name != UNKNOWN]
    if column["is_graded"] and len(known) > 1:
        at = [round(k * (len(GRADED) - 1) / (len(known) - 1)) for k in range(len(known))]
        colours = dict(zip(known, (GRADED[k] for k in at), strict=True))
    else:
        colours = {name: COLOURS[k % len(COLOURS)] for k, name in enumerate(known)}
    return [colours.get(name, GREY) for name in order]


def _chart(
    projection: Record, columns: Sequence[Record], points: Sequence[Record], partition: int, palette: Sequence[str]
) -> str:
    xs, ys = zip(*projection["points"], strict=True)
    reach = max(max(xs) - min(xs), max(ys) - min(ys)) * 0.53 or 1.0
    middle = (max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2
    frame = Frame((middle[0] - reach, middle[0] + reach), (middle[1] - reach, middle[1] + reach), 2, _HEAD, _SIDE - 4, _SIDE - 4)
    radius = _RADIUS[len(points) > _MANY]
    dots = []
    every = list(enumerate(zip(projection["points"], points, strict=True)))
    on_top = columns[partition]["order"].index("tuning") if "tuning" in columns[partition]["order"] else -1
    for number, ((x, y), point) in sorted(every, key=lambda one: one[1][1]["groups"][partition] == on_top):  # few among many
        groups = point["groups"]
        says = ", ".join(f"{c['name']}: {c['order'][g]}" for c, g in zip(columns, groups, strict=True))
        shape = str(columns[partition]["order"][groups[partition]])
        dots.append(
            f'<path class="{_kind(shape)}" d="{_outline(shape, frame.x(x), frame.y(y), radius)}" fill="{palette[groups[0]]}" '
            f'stroke="{palette[groups[0]]}" data-n="{number}" data-g="{" ".join(map(str, groups))}">'
            f"<title>{escape(point['case_id'])}. {escape(says)}</title></path>"
        )
    told = projection["told"]
    across = f": {told[0]:.0%} of the variance across, {told[1]:.0%} up" if told else ""
    border = f'<rect class="cloud" x="2" y="{_HEAD:g}" width="{_SIDE - 4:g}" height="{_SIDE - 4:g}"/>'
    title = "PCA" if told else projection["title"]
    head = text(2, 15, f"{title}{across}", "label")
    described = f"{len(points)} cases as points; positions have no unit{across}"
    return picture(projection["title"], described, border + head + "".join(dots), _SIDE, _SIDE + _HEAD)


def _outline(partition: str, x: float, y: float, r: float) -> str:
    """A circle; of tuning cases a triangle."""
    if partition == "tuning":
        r *= 1.25
        return f"M{x:.1f} {y - r:.1f}L{x + r:.1f} {y + 0.8 * r:.1f}L{x - r:.1f} {y + 0.8 * r:.1f}Z"
    return f"M{x - r:.1f} {y:.1f}a{r:g} {r:g} 0 1 0 {2 * r:g} 0a{r:g} {r:g} 0 1 0 {-2 * r:g} 0"


def _kind(partition: str) -> str:
    return "dot open" if partition == "internal test" else "dot"


def _swatch(shape: str, colour: str) -> str:
    path = f'<path class="{_kind(shape)}" d="{_outline(shape, 7, 7, 4.2)}" fill="{colour}" stroke="{colour}"/>'
    return f'<svg class="swatch" viewBox="0 0 14 14" aria-hidden="true">{path}</svg>'


def _legend(number: int, column: Record, palette: Sequence[str], points: Sequence[Record]) -> str:
    counts = [sum(point["groups"][number] == k for point in points) for k in range(len(palette))]
    rows = "".join(
        f'<li><span class="patch" style="background:{colour}"></span>{escape(str(name))} ({count})</li>'
        for name, colour, count in zip(column["order"], palette, counts, strict=True)
        if count
    )
    hidden = "" if number == 0 else " hidden"
    return f'<ul class="groups" data-column="{number}"{hidden}><li class="of">{escape(column["name"])}:</li>{rows}</ul>'
