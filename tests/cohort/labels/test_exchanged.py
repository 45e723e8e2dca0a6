"""Sides and axes that were exchanged: planted into real boxes on images of many shapes, and found; right labels raise nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from overread.cohort.labels.exchanged import Shaped, against_shape_note, exchanged_in_words
from overread.cohort.labels.marks import Mark, MarkedImage
from overread.cohort.labels.yolo import read_names, read_yolo

Box = tuple[float, float, float, float]
EDGE = 640


@pytest.fixture(scope="module")
def teeth(shared_data: Path) -> list[list[Box]]:
    """Boxes of each dental film, in pixels of its 640 x 640."""
    data = shared_data / "dental_panoramic_detection"
    names = read_names(data / "data.yaml")
    found = []
    for path in sorted((data / "train" / "labels").glob("*.txt")):
        marks = read_yolo(path, names).images[0].marks
        found.append([tuple(EDGE * v for v in mark.box) for mark in marks if mark.box is not None])
    return found  # type: ignore[return-value]


def stretched(box: Box, width: float) -> Box:
    return box[0] * width / EDGE, box[1], box[2] * width / EDGE, box[3]


def padded(box: Box, width: float) -> Box:
    """The film in the middle of a wider one."""
    more = (width - EDGE) / 2
    return box[0] + more, box[1], box[2] + more, box[3]


def sides(box: Box) -> Box:
    """As COCO writes it: the corner stays."""
    x0, y0, x1, y1 = box
    return x0, y0, x0 + y1 - y0, y0 + x1 - x0


def axes(box: Box) -> Box:
    return box[1], box[0], box[3], box[2]


def as_is(box: Box) -> Box:
    return box


def planted(films: list[list[Box]], laid, exchange, relative: bool) -> list[Shaped]:  # type: ignore[no-untyped-def]
    """Films of 1 to 2.2 times their width; in shares the exchange happens there, then they become pixels again."""
    random = np.random.default_rng(5)
    made = []
    for boxes in films:
        width = int(EDGE * random.uniform(1, 2.2))
        marks = []
        for box in boxes:
            scale = np.array([width, EDGE, width, EDGE]) if relative else np.ones(4)
            marks.append(Mark("tooth", tuple(np.array(exchange(tuple(np.array(laid(box, width)) / scale))) * scale)))
        made.append(Shaped((EDGE, width), tuple(marks), relative))
    return made


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("laid", [stretched, padded])
def test_right_boxes_raise_nothing(teeth: list[list[Box]], laid, relative: bool) -> None:  # type: ignore[no-untyped-def]
    assert against_shape_note(planted(teeth, laid, as_is, relative)) == ()


@pytest.mark.parametrize(
    ("laid", "exchange", "relative", "told"),
    [
        (stretched, sides, False, "the boxes are taller (140 images), as if width and height were exchanged"),
        (stretched, axes, False, "the boxes are taller (140 images), as if x and y were exchanged"),
        (padded, axes, False, "the boxes lie further down (140 images), as if x and y were exchanged"),
        (padded, sides, True, "(140 images), as if width and height, or x and y, were exchanged"),
        (padded, axes, True, "the boxes are wider than that explains (140 images), as if width and height, or x and y,"),
    ],
)
def test_exchanged_boxes_are_told(teeth: list[list[Box]], laid, exchange, relative: bool, told: str) -> None:  # type: ignore[no-untyped-def]
    (note,) = against_shape_note(planted(teeth, laid, exchange, relative))
    assert told in note
    assert note.startswith("WARNING: in images that are wider the boxes")


def test_shares_are_exchanged_about_the_centre() -> None:
    flat = tuple(Mark("tooth", (x - 0.05, y - 0.45, x + 0.05, y + 0.45)) for x, y in ((0.5, 0.2), (0.52, 0.25), (0.5, 0.8)))
    told = exchanged_in_words([(MarkedImage("a", flat, relative=True), (100, 300))])
    assert told == "3 of 3 boxes reach outside their image; 3 of these fit when width and height are exchanged."


def test_an_outline_without_an_inside_says_nothing() -> None:
    line = Mark("tooth", outlines=(np.array([(3.0, 2.0), (3.0, 8.0), (3.0, 5.0)]),))
    assert against_shape_note([Shaped((100, 100 + 5 * k), (line,), False) for k in range(40)]) == ()


def test_images_of_one_shape_and_few_images_say_nothing(teeth: list[list[Box]]) -> None:
    square = [Shaped((EDGE, EDGE), tuple(Mark("tooth", sides(box)) for box in boxes), False) for boxes in teeth]
    assert against_shape_note(square) == ()
    assert against_shape_note(planted(teeth, stretched, sides, False)[:19]) == ()
