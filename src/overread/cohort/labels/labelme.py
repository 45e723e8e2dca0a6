"""LabelMe (the desktop program): one JSON for each image with polygons, rectangles, circles and masks.

Source: Wada, "labelme: Image Polygonal Annotation with Python", file format 4 and 5. Coordinates count from the
picture's corner. Shapes of one label and group number are parts of one object. Points and lines are left out.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
from PIL import Image as Pillow

from overread.cohort.labels.marks import Mark, MarkedImage, MarkFile, RunLengths, box_of, outline_of
from overread.cohort.labels.parsing import damaged, mapping, need, picture_size, read_json_labels, reals, sequence, word
from overread.imaging.outlines import circle

OPEN = ("point", "points", "line", "linestrip")


def is_labelme(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get("shapes"), list) and "imagePath" in content


def read_labelme(path: Path, content: Any = None) -> MarkFile:
    """The labels of one image."""
    path = Path(path)
    root = mapping(read_json_labels(path) if content is None else content, path.name)
    size = None
    if root.get("imageHeight") is not None and root.get("imageWidth") is not None:
        size = picture_size(root["imageHeight"], root["imageWidth"], path.name)
    left: Counter[str] = Counter()
    marks: list[Mark] = []
    groups: dict[tuple[str, str], list[np.ndarray]] = {}
    for k, item in enumerate(sequence(need(root, "shapes", path.name), path.name), start=1):
        where = f"{path.name}: shape {k}"
        shape = mapping(item, where)
        label = word(need(shape, "label", where), where)
        kind = str(shape.get("shape_type") or "polygon").casefold()
        if kind in OPEN:
            left[kind] += 1
        elif kind == "mask":
            marks.append(_masked(shape, label, size, where))
        elif kind == "rectangle":
            (x0, y0), (x1, y1) = _points(shape, 2, where)
            marks.append(Mark(label, box_of(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1), where)))
        else:
            outline = _outline(shape, kind, where)
            group = shape.get("group_id")
            if group is None:
                marks.append(Mark(label, outlines=(outline,)))
            else:
                groups.setdefault((label, str(group)), []).append(outline)
    marks += [Mark(label, outlines=tuple(parts)) for (label, _), parts in groups.items()]
    name = PureWindowsPath(str(root.get("imagePath") or path.stem)).as_posix()  # windows and posix separators alike
    notes = tuple(f"{path.name}: {n} shapes are a {kind}, which encloses nothing; left out" for kind, n in left.items())
    classes = tuple(sorted({mark.class_name for mark in marks}))
    return MarkFile("LabelMe", (MarkedImage(name, tuple(marks), size=size),), classes, notes)


def _points(shape: Mapping[str, Any], count: int, where: str) -> list[tuple[float, float]]:
    points = [reals(p, where) for p in sequence(need(shape, "points", where), where)]
    if (count and len(points) != count) or any(len(p) != 2 for p in points):
        raise damaged(where, f"{count or 'some'} points of two numbers were expected")
    return [(p[0], p[1]) for p in points]


def _outline(shape: Mapping[str, Any], kind: str, where: str) -> np.ndarray:
    if kind == "circle":
        (x, y), (x1, y1) = _points(shape, 2, where)
        radius = float(np.hypot(x1 - x, y1 - y))
        if radius <= 0:
            raise damaged(where, "a circle has no radius")
        return circle((x, y), radius)
    if kind in ("polygon", "oriented_rectangle"):
        return outline_of([v for p in _points(shape, 0, where) for v in p], where)
    raise damaged(where, f"a shape of the type '{kind[:20]}' is not known")


def _masked(shape: Mapping[str, Any], label: str, size: tuple[int, int] | None, where: str) -> Mark:
    """A mask that covers the pixels from its first corner to its second, both inside."""
    if size is None:
        raise damaged(where, "a mask needs imageHeight and imageWidth")
    (x0, y0), _ = _points(shape, 2, where)
    try:
        with Pillow.open(io.BytesIO(base64.b64decode(str(shape.get("mask") or ""), validate=True))) as file:
            picture_size(file.height, file.width, where)
            own = np.asarray(file.convert("1"), dtype=bool)
    except (binascii.Error, OSError, SyntaxError, ValueError, Pillow.DecompressionBombError) as error:
        raise damaged(where, f"its mask is not a picture ({error})") from error
    row, column = round(y0), round(x0)
    if row < 0 or column < 0 or row + own.shape[0] > size[0] or column + own.shape[1] > size[1]:
        raise damaged(where, f"its mask of {own.shape[1]} x {own.shape[0]} pixels lies outside the image")
    mask = np.zeros(size, bool)
    mask[row : row + own.shape[0], column : column + own.shape[1]] = own
    return Mark(label, pixels=to_runs(mask))


def to_runs(mask: np.ndarray) -> RunLengths:
    """A (Y, X) bool mask as run lengths."""
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat]).astype(np.int8)))
    counts = np.diff(np.concatenate([[0], edges, [flat.size]]))
    return RunLengths((int(mask.shape[0]), int(mask.shape[1])), counts)
