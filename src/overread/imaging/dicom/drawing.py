"""An answer drawn on one frame of its image: grey values through the window, outlines, boxes, heat, and words on top."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont
from scipy import ndimage

from overread.core.image import Image
from overread.core.kinds import Boxes, Findings, Instances, LabelMap, Map, Measurements
from overread.imaging.dicom.evidence import SourceFrame
from overread.imaging.dicom.write_common import Algorithm
from overread.imaging.window import display_range, window

LABEL = "RESEARCH - NOT FOR DIAGNOSIS"
READABLE = 384  # pixels of the shorter side below which a picture is enlarged, so that its words can be read
# Okabe and Ito (2008): told apart by colour-blind people too.
COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167))
OPPOSITE = dict(zip("LRPAHF", "RLAPFH", strict=True))
FILL = 0.18  # how strongly a structure tints the image inside its outline
HEAT = 0.5


@dataclass(frozen=True)
class Drawing:
    """A picture.

    pixels  (rows, columns, 3) uint8 RGB
    scale   how many pixels of the picture one pixel of the source became, each way
    words   what was burned in
    """

    pixels: np.ndarray
    scale: int
    words: tuple[str, ...]


def draw(
    answer: Findings | Measurements | LabelMap | Boxes | Instances | Map,
    image: Image,
    frame: SourceFrame,
    algorithm: Algorithm,
    lines: Sequence[str] = (),
) -> Drawing:
    """Draw what `frame` shows of the answer.

    lines  words for the corner, one each; names of structures get their colour
    """
    scale = max(1, -(-READABLE // min(frame.shape)))
    canvas = np.repeat(np.repeat(_background(image, frame), scale, 0), scale, 1)
    legend: list[tuple[str, tuple[int, int, int]]] = []
    for name, mask, colour in _masks(answer, frame):
        _tint(canvas, np.repeat(np.repeat(mask, scale, 0), scale, 1), colour)
        legend.append((name, colour))
    if isinstance(answer, Map):
        is_signed = bool(answer.array.min() < 0)
        _heat(canvas, np.repeat(np.repeat(frame.take(answer.array), scale, 0), scale, 1), is_signed=is_signed)
        meaning = "red speaks for it, blue against" if is_signed else "red is high"
        lines = [*lines, f"{answer.method} of {answer.target}, {meaning}"]
    picture = Picture.fromarray(canvas)
    pen = ImageDraw.Draw(picture)
    if isinstance(answer, Boxes):
        legend += _rectangles(pen, answer, frame, scale)
    _mark_sides(pen, picture.size, frame)
    words = _words(pen, picture.size, algorithm, legend, lines)
    return Drawing(np.asarray(picture), scale, words)


def _background(image: Image, frame: SourceFrame) -> np.ndarray:
    """(rows, columns, 3) uint8: colour as it is, grey through the window."""
    if image.channels == ("red", "green", "blue") and image.array.dtype == np.uint8:
        return np.ascontiguousarray(np.moveaxis(frame.take(image.array), 0, -1))
    low, high = display_range(image)
    grey = window(frame.take(image.array[0]), (low + high) / 2, high - low)
    return np.repeat(np.rint(grey * 255).astype(np.uint8)[..., None], 3, axis=2)


def _masks(answer: object, frame: SourceFrame) -> Iterator[tuple[str, np.ndarray, tuple[int, int, int]]]:
    """(name, (rows, columns) mask, colour) of everything drawn as an area."""
    if isinstance(answer, LabelMap):
        layers = frame.take(answer.layers)
        for k, structure in enumerate(answer.structures):
            yield structure.name, layers[structure.layer] == structure.value, COLOURS[k % len(COLOURS)]
    if isinstance(answer, Instances):
        kinds = list(dict.fromkeys(answer.classes))
        for name, piece, score in zip(answer.classes, answer.pieces, answer.scores, strict=True):
            area = frame.take_piece(piece, answer.grid.shape)
            if area is not None:
                yield f"{name} {float(score):.2f}", area, COLOURS[kinds.index(name) % len(COLOURS)]


def _tint(canvas: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int]) -> None:
    inside = canvas[mask].astype(np.float32) * (1 - FILL) + np.array(colour) * FILL
    canvas[mask] = np.rint(inside).astype(np.uint8)
    edge = mask & ~ndimage.binary_erosion(mask, border_value=0)
    canvas[edge] = colour


def _heat(canvas: np.ndarray, values: np.ndarray, *, is_signed: bool) -> None:
    """Red to yellow over the image, the stronger the higher the value among all of the frame.

    is_signed  0 is left as it is, and what lies below it goes from blue to cyan
    """
    low, high = (0.0, float(np.abs(values).max())) if is_signed else (float(values.min()), float(values.max()))
    signed = ((values - low) / max(high - low, 1e-12)).astype(np.float32)[..., None]
    share = np.abs(signed)
    full, rising, none = np.full_like(share, 255), 255 * np.clip(2 * share - 1, 0, 1), np.zeros_like(share)
    colour = np.where(signed < 0, np.concatenate([none, rising, full], axis=2), np.concatenate([full, rising, none], axis=2))
    canvas[...] = np.rint(canvas * (1 - HEAT * share) + colour * HEAT * share).astype(np.uint8)


def _rectangles(
    pen: ImageDraw.ImageDraw, answer: Boxes, frame: SourceFrame, scale: int
) -> list[tuple[str, tuple[int, int, int]]]:
    kinds = list(dict.fromkeys(answer.classes))
    legend = []
    for corners, name, score in zip(answer.corners, answer.classes, answer.scores, strict=True):
        rectangle = frame.rectangle(corners)
        if rectangle is None:
            continue
        colour = COLOURS[kinds.index(name) % len(COLOURS)]
        top, left, bottom, right = ((edge + 0.5) * scale for edge in rectangle)
        pen.rectangle([left, top, max(right - 1, left), max(bottom - 1, top)], outline=colour, width=max(1, scale // 2))
        legend.append((f"{name} {float(score):.2f}", colour))
    return legend


def _mark_sides(pen: ImageDraw.ImageDraw, size: tuple[int, int], frame: SourceFrame) -> None:
    """R and L, or what else lies at the left and the right edge: copied into a slide, a picture has no orientation left."""
    if frame.plane is None:
        return
    right = side_of(frame.plane.orientation[:3])
    font, middle = ImageFont.load_default(max(14, min(size) // 24)), size[1] // 2
    for letter, x, anchor in ((OPPOSITE[right], 6, "lm"), (right, size[0] - 6, "rm")):
        pen.text((x, middle), letter, fill=(255, 255, 255), font=font, anchor=anchor, stroke_width=1, stroke_fill=(0, 0, 0))


def side_of(direction: Sequence[float]) -> str:
    """Where a direction (3,) in LPS points to, in the letters of Patient Orientation (PS3.3 C.7.6.1.1.1)."""
    axis = int(np.abs(direction).argmax())
    return ("LPH" if direction[axis] > 0 else "RAF")[axis]


def _words(
    pen: ImageDraw.ImageDraw,
    size: tuple[int, int],
    algorithm: Algorithm,
    legend: Sequence[tuple[str, tuple[int, int, int]]],
    lines: Sequence[str],
) -> tuple[str, ...]:
    """The label and all other words, white or in their colour, each on a black strip that nothing shows through."""
    height = max(11, min(size) // 32)
    font = ImageFont.load_default(height)
    rows = [(LABEL, (255, 80, 80)), (f"{algorithm.name} {algorithm.version}", (255, 255, 255))]
    rows += [(line, (255, 255, 255)) for line in lines] + list(legend)
    y = 2
    for text, colour in rows:
        if y + height + 4 > size[1]:
            break
        left, top, right, bottom = pen.textbbox((4, y), text, font=font)
        pen.rectangle([left - 2, top - 2, right + 2, bottom + 2], fill=(0, 0, 0))
        pen.text((4, y), text, fill=colour, font=font)
        y += height + 5
    return tuple(text for text, _ in rows)
