"""Pascal VOC: one XML for each image, with boxes whose corners are pixels, counted from 1 and both inside.

Source: Everingham et al., "The Pascal Visual Object Classes Challenge", IJCV 88, 303 (2010), and its development
kit. Pixel 1 to pixel 3 is the stretch 0 to 3 of pixel edges. A file whose boxes hold a 0 cannot count from 1;
its corners are taken as pixel edges, and that is said.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from overread.cohort.labels.marks import Mark, MarkedImage, MarkFile, box_of, outline_of
from overread.cohort.labels.odd_marks import oriented
from overread.cohort.labels.parsing import damaged, picture_size, read_xml_labels, real

CORNERS = ("xmin", "ymin", "xmax", "ymax")


def read_voc(path: Path) -> MarkFile:
    """The labels of one image."""
    path = Path(path)
    root = read_xml_labels(path)
    if root.tag != "annotation":
        raise damaged(path.name, f"it is an XML of '{root.tag[:40]}', not a Pascal VOC annotation")
    objects = root.findall("object")
    corners = [_corners(item, path.name) for item in objects]
    from_zero = any(0 in (c[0], c[1]) for c in corners if c is not None)
    marks = tuple(_mark(item, c, from_zero, path.name) for item, c in zip(objects, corners, strict=True))
    size = root.find("size")
    declared = None
    if size is not None and (_text(size, "width") or "0") != "0":
        declared = picture_size(_text(size, "height"), _text(size, "width"), path.name)
    name = _text(root, "filename") or path.stem
    notes = [f"{path.name}: boxes count from 0, not from 1 as VOC does; corners were taken as pixel edges"] if from_zero else []
    difficult = sum(_text(item, "difficult") == "1" for item in objects)
    if difficult:
        notes.append(f"{path.name}: {difficult} objects are called difficult and were kept")
    classes = tuple(sorted({mark.class_name for mark in marks}))
    return MarkFile("Pascal VOC", (MarkedImage(name, marks, size=declared),), classes, tuple(notes))


def _text(item: Element, tag: str) -> str:
    return (item.findtext(tag) or "").strip()


def _corners(item: Element, name: str) -> tuple[float, float, float, float] | None:
    box = item.find("bndbox")
    if box is None:
        return None
    x0, y0, x1, y1 = (real(_text(box, tag), f"{name}: {tag} of '{_text(item, 'name')}'") for tag in CORNERS)
    return x0, y0, x1, y1


def _mark(item: Element, corners: tuple[float, float, float, float] | None, from_zero: bool, name: str) -> Mark:
    label = _text(item, "name")
    where = f"{name}: '{label}'"
    if not label:
        raise damaged(name, "an object has no name")
    outlines: tuple[np.ndarray, ...] = ()
    polygon = item.find("polygon")
    if polygon is not None:
        values = {child.tag: real(child.text, where) for child in polygon if child.tag[:1] in "xy" and child.tag[1:].isdecimal()}
        count = len(values) // 2
        if any(f"{axis}{k}" not in values for k in range(1, count + 1) for axis in "xy"):
            raise damaged(where, "the corners of its polygon are not x1, y1, x2, y2 and so on")
        outlines = (outline_of([values[f"{axis}{k}"] for k in range(1, count + 1) for axis in "xy"], where),)
    if item.find("robndbox") is not None:
        raise oriented(f"{where} has a robndbox (centre, sides, angle)")
    if corners is None and not outlines:
        raise damaged(where, "it has neither a box nor a polygon")
    if corners is None:
        return Mark(label, outlines=outlines)
    x0, y0, x1, y1 = corners
    first = 0 if from_zero else 1
    return Mark(label, box_of(x0 - first, y0 - first, x1, y1, where), outlines)
