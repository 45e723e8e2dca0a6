"""Several cases beside each other, small: twins, siblings, contradicting labels."""

from __future__ import annotations

from collections.abc import Sequence

from overread.core.image import Image, reorient
from overread.reporting.pictures import canvas
from overread.reporting.pictures.display import grey
from overread.reporting.pictures.planes import planes

_CELL = 270  # pixels
_MOST = 4
_LETTERS = 34  # of the words above a picture that fit its width


def side_by_side(cases: Sequence[tuple[str, Image]], *, title: str, is_phantom: bool) -> bytes:
    """Draw up to four cases as PNG, the middle slice of each.

    cases  (words above the picture, such as "C-0012, training, pneumonia"; the image)
    """
    shown = []
    for words, image in cases[:_MOST]:
        order, flips = image.grid.canonical_axes()
        pixels = grey(image)
        if pixels.ndim == 3:
            pixels = reorient(pixels, order, flips)
        plane = planes(image.grid.reoriented(order, flips))[order.index(0)]
        middle = pixels.shape[plane.normal] // 2
        above = words if len(words) <= _LETTERS else f"{words[: _LETTERS - 1]}…"
        shown.append((above, plane, plane.cut(pixels, middle)))
    made = canvas.sheet(
        [[plane.size[0] / plane.size[1] for _, plane, _ in shown]], title=title, is_phantom=is_phantom, width=_CELL * len(shown)
    )
    for axes, (words, plane, pixels) in zip(made.cells, shown, strict=True):
        extent = (0.0, plane.size[1], 0.0, plane.size[0])
        canvas.show(axes, pixels, plane, words, is_phantom=is_phantom, extent=extent)
    return canvas.png(made)
