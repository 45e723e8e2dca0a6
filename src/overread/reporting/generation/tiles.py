"""Small pictures in rows on a dark sheet, each with words below it; what a network made or changed says so below its picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
import PIL.Image
from PIL import ImageDraw, ImageFont

from overread.imaging.made import DERIVED, SYNTHETIC, Kind
from overread.reporting.pictures.canvas import PHANTOM_COLOUR
from overread.reporting.pictures.made_marks import WORDS, marked

SIDE = 132  # pixels of a tile's longer side
GAP, STRIP, HEAD, LINE = 8, 13, 34, 14
GROUND, INK, SOFT, ALARM = "#0d0f11", "#e8e8e6", "#a6abb1", "#e58fc4"
GREYS = 160


@dataclass(frozen=True)
class Tile:
    """One picture.

    pixels       (Y, X) grey, 0 to 1
    words        lines below it
    made         "synthetic" or "derived": it is marked; None of an image as it was acquired
    is_alarming  framed, its words in another colour
    """

    pixels: np.ndarray
    words: tuple[str, ...] = ()
    made: Kind | None = SYNTHETIC
    is_alarming: bool = False


def row_of(tiles: Sequence[Tile], title: str, *, places: int | None = None, is_phantom: bool = False) -> bytes:
    """One row as PNG; `places` keeps it as wide as a row of so many."""
    row: list[Tile | None] = [*tiles, *([None] * max(0, (places or 0) - len(tiles)))]
    return sheet_of([row], title, is_phantom=is_phantom)


def sheet_of(
    rows: Sequence[Sequence[Tile | None]],
    title: str,
    *,
    row_names: Sequence[str] = (),
    column_names: Sequence[str] = (),
    is_phantom: bool = False,
) -> bytes:
    """Rows of tiles as PNG, which says in its text what was made; None leaves a place free.

    row_names, column_names  beside and above the tiles
    """
    tiles = [tile for row in rows for tile in row if tile is not None]
    high, wide = _cell(tiles)
    below = LINE * max((len(tile.words) for tile in tiles), default=0) + 4
    aside = max((_width(name, 12) for name in row_names), default=0) + (2 * GAP if row_names else 0)
    above = HEAD + (LINE + 6 if column_names else 0)
    columns = max(len(row) for row in rows)
    step_x, step_y = wide + GAP, high + STRIP + below + GAP
    least = _width(title, 14) + 3 * GAP + (_width("PHANTOM", 13) if is_phantom else 0)
    size = (max(aside + GAP + columns * step_x, least), above + GAP + len(rows) * step_y)
    made = PIL.Image.new("RGB", size, GROUND)
    pen = ImageDraw.Draw(made)
    pen.text((GAP, 9), title, fill=INK, font=_font(14))
    if is_phantom:
        pen.text((size[0] - GAP, 9), "PHANTOM", fill=PHANTOM_COLOUR, font=_font(13), anchor="ra")
    for number, name in enumerate(column_names):
        pen.text((aside + GAP + number * step_x, HEAD), name, fill=SOFT, font=_font(12))
    for down, row in enumerate(rows):
        top = above + down * step_y
        if row_names:
            pen.text((GAP, top + high // 2), row_names[down], fill=SOFT, font=_font(12), anchor="lm")
        for across, tile in enumerate(row):
            if tile is not None:
                _draw(made, pen, tile, (aside + GAP + across * step_x, top), (wide, high))
    buffer = io.BytesIO()
    made.quantize(GREYS).save(buffer, "PNG", optimize=True)
    kinds = {tile.made for tile in tiles}
    for kind in (SYNTHETIC, DERIVED):  # a sheet that shows both is synthetic
        if kind in kinds:
            return marked(buffer.getvalue(), kind, is_phantom=is_phantom)
    return buffer.getvalue()


def _cell(tiles: Sequence[Tile]) -> tuple[int, int]:
    """Height and width that hold every tile once enlarged."""
    sizes = [_shown_size(tile.pixels.shape) for tile in tiles]
    return max(high for high, _ in sizes), max(SIDE * 2 // 3, *(wide for _, wide in sizes))


def _shown_size(shape: tuple[int, ...]) -> tuple[int, int]:
    """Height and width: small pictures are enlarged by whole numbers, large ones made smaller."""
    longest = max(shape)
    scale = float(max(1, round(SIDE / longest))) if longest <= SIDE else SIDE / longest
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _draw(made: PIL.Image.Image, pen: ImageDraw.ImageDraw, tile: Tile, at: tuple[int, int], cell: tuple[int, int]) -> None:
    high, wide = _shown_size(tile.pixels.shape)
    grey = PIL.Image.fromarray(np.rint(np.clip(tile.pixels, 0, 1) * 255).astype(np.uint8))
    how = PIL.Image.Resampling.NEAREST if max(tile.pixels.shape) <= SIDE else PIL.Image.Resampling.BOX
    left, top = at
    made.paste(grey.resize((wide, high), how).convert("RGB"), (left, top))
    if tile.is_alarming:
        pen.rectangle((left - 2, top - 2, left + wide + 1, top + high + STRIP + 1), outline=ALARM, width=2)
    if tile.made is not None:  # on a strip of its own, so that it hides nothing of a small picture
        pen.rectangle((left, top + high, left + wide - 1, top + high + STRIP - 1), fill="#2b2410")
        pen.text((left + 3, top + high + STRIP // 2), WORDS[tile.made], fill=PHANTOM_COLOUR, font=_font(10), anchor="lm")
    for number, words in enumerate(tile.words):
        place = (left, top + high + STRIP + 3 + LINE * number)
        pen.text(place, _cut(words, cell[0], 11), fill=ALARM if tile.is_alarming else SOFT, font=_font(11))


def _cut(words: str, width: int, size: int) -> str:
    while words and _width(words, size) > width:
        words = words[:-2].rstrip() + "…"
    return words


def _width(words: str, size: int) -> int:
    return int(np.ceil(_font(size).getlength(words)))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """The one that comes with matplotlib, so that every machine draws alike."""
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)
