"""VGG Image Annotator, version 1 and 2: a JSON (annotations or a whole project) or a CSV of regions.

Source: Dutta and Zisserman, "The VIA Annotation Software for Images, Audio and Video", ACM Multimedia 2019.
Points and lines enclose nothing and are left out. The attribute that holds the class must be the only one, or be
called label, class, name, type or category.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from overread.cohort.labels.marks import Mark, MarkedImage, MarkFile, box_of, outline_of
from overread.cohort.labels.parsing import damaged, mapping, need, read_json_labels, read_text, real, reals, word
from overread.core.errors import Refused
from overread.imaging.outlines import circle, ellipse

CLASS_WORDS = ("label", "class", "name", "type", "category", "class_name", "object")
OPEN = ("point", "polyline", "line")
HEADER = "region_shape_attributes"

Region = tuple[Mapping[str, Any], Mapping[str, Any], str]


def is_via(content: Any) -> bool:
    if not isinstance(content, dict) or not content:
        return False
    if "_via_img_metadata" in content:
        return True
    return all(isinstance(v, dict) and "filename" in v and "regions" in v for v in content.values())


def read_via(path: Path, content: Any = None) -> MarkFile:
    """Every image of a VIA file, also those without a region."""
    path = Path(path)
    if path.suffix.lower() == ".csv":
        return _marks(path.name, _table(read_text(path), path.name))
    root = mapping(read_json_labels(path) if content is None else content, path.name)
    root = mapping(root.get("_via_img_metadata", root), path.name)
    found: dict[str, list[Region]] = {}
    for key, item in root.items():
        where = f"{path.name}: {key[:60]}"
        image = mapping(item, where)
        regions = need(image, "regions", where)
        listed = list(regions.values()) if isinstance(regions, dict) else regions if isinstance(regions, list) else []
        file = word(need(image, "filename", where), where)
        found.setdefault(file, [])
        for region in listed:
            values = mapping(region, where)
            shape, about = need(values, "shape_attributes", where), values.get("region_attributes") or {}
            found[file].append((mapping(shape, where), mapping(about, where), where))
    return _marks(path.name, found)


def _table(text: str, name: str) -> dict[str, list[Region]]:
    found: dict[str, list[Region]] = defaultdict(list)
    lines = io.StringIO("\n".join(line for line in text.splitlines() if not line.startswith("#") or HEADER in line))
    try:
        rows = list(csv.DictReader(lines))
    except csv.Error as error:
        raise damaged(name, f"it is not a valid table ({error})") from error
    for k, row in enumerate(rows, start=2):
        where = f"{name}, line {k}"
        cells = {(column or "").lstrip("# "): cell for column, cell in row.items()}
        try:
            shape, about = (json.loads(cells.get(c) or "{}") for c in (HEADER, "region_attributes"))
        except (ValueError, RecursionError) as error:
            raise damaged(where, f"a region is not valid JSON ({error})") from error
        regions = found[word(cells.get("filename"), where)]
        if mapping(shape, where):
            regions.append((mapping(shape, where), mapping(about, where), where))
    return dict(found)


def _marks(name: str, found: Mapping[str, Sequence[Region]]) -> MarkFile:
    attribute = _class_attribute([about for regions in found.values() for _, about, _ in regions], name)
    left: Counter[str] = Counter()
    images = []
    for key, (file, regions) in enumerate(found.items()):
        marks = []
        for shape, about, where in regions:
            mark = _mark(shape, _class(about, attribute, where), f"{where} ({file})")
            if mark is None:
                left[str(shape.get("name"))] += 1
            else:
                marks.append(mark)
        images.append(MarkedImage(file, tuple(marks), str(key)))
    classes = tuple(sorted({mark.class_name for image in images for mark in image.marks}))
    return MarkFile(
        "VIA",
        tuple(images),
        classes,
        tuple(f"{name}: {n} regions are a {kind}, which encloses nothing; left out" for kind, n in left.items()),
    )


def _class_attribute(attributes: Sequence[Mapping[str, Any]], name: str) -> str:
    keys = list(dict.fromkeys(key for item in attributes for key in item))
    named = [key for key in keys if key.casefold() in CLASS_WORDS]
    if len(keys) == 1 or len(named) == 1:
        return named[0] if named else keys[0]
    if not keys:
        return ""
    raise Refused(
        "class-attribute",
        f"{name}: regions have the attributes {', '.join(keys[:8])}, and which one holds the class is not ours to choose.",
        "rename it to 'label' in VIA, or keep that attribute alone",
    )


def _class(about: Mapping[str, Any], attribute: str, where: str) -> str:
    value = about.get(attribute, "") if attribute else "object"
    if isinstance(value, dict):  # check boxes
        chosen = [key for key, is_set in value.items() if is_set]
        if len(chosen) != 1:
            raise damaged(where, f"a region has {len(chosen)} values of '{attribute}'; one class was expected")
        value = chosen[0]
    if not str(value).strip():
        raise damaged(where, f"a region has no '{attribute}'")
    return str(value).strip()


def _mark(shape: Mapping[str, Any], class_name: str, where: str) -> Mark | None:
    kind = str(need(shape, "name", where)).casefold()
    if kind in OPEN:
        return None
    if kind == "rect":
        x, y, width, height = _numbers(shape, ("x", "y", "width", "height"), where)
        return Mark(class_name, box_of(x, y, x + width, y + height, where))
    if kind == "polygon":
        xs, ys = (reals(need(shape, axis, where), where) for axis in ("all_points_x", "all_points_y"))
        if len(xs) != len(ys):
            raise damaged(where, f"a polygon has {len(xs)} x and {len(ys)} y")
        return Mark(class_name, outlines=(outline_of([v for pair in zip(xs, ys, strict=True) for v in pair], where),))
    if kind == "circle":
        x, y, radius = _numbers(shape, ("cx", "cy", "r"), where)
        return Mark(class_name, outlines=(circle((x, y), _positive(radius, where)),))
    if kind == "ellipse":
        x, y, first, second = _numbers(shape, ("cx", "cy", "rx", "ry"), where)
        turn = real(shape.get("theta") or 0, where)
        along = _positive(first, where) * np.array([np.cos(turn), np.sin(turn)])
        across = _positive(second, where) * np.array([-np.sin(turn), np.cos(turn)])
        return Mark(class_name, outlines=(ellipse((x, y), along.tolist(), across.tolist()),))
    raise damaged(where, f"a region of the shape '{kind[:20]}' is not known")


def _numbers(shape: Mapping[str, Any], keys: Sequence[str], where: str) -> list[float]:
    return [real(need(shape, key, where), where) for key in keys]


def _positive(radius: float, where: str) -> float:
    if radius <= 0:
        raise damaged(where, f"a radius is {radius:g}")
    return radius
