"""COCO: one JSON of images, categories and annotations with boxes, polygons or run lengths.

Source: Lin et al., "Microsoft COCO", ECCV 2014, and the data format of its API (bbox x, y, width, height from
pixel edges; run lengths column by column; the compressed string of `rleToString` in maskApi.c).

Parts of one annotation are united; crowds are kept and marked. `slice` of an image (from 0), and `reader` and `instance` or
`track_id` of an annotation are read where they stand, as CVAT, the phantom and others write them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from overread.cohort.labels.marks import Mark, MarkedImage, MarkFile, RunLengths, box_of, outline_of
from overread.cohort.labels.odd_marks import oriented
from overread.cohort.labels.parsing import (
    damaged,
    mapping,
    need,
    picture_size,
    read_json_labels,
    real,
    reals,
    sequence,
    whole,
    word,
)

READER_KEYS = ("reader", "annotator", "rater", "annotator_id")
NUMBER_KEYS = ("instance", "instance_id", "track_id", "object_id")  # of an object that was drawn on several slices


def is_coco(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get("images"), list) and "annotations" in content


def read_coco(path: Path, content: Any = None) -> MarkFile:
    """Every image of the file, also those without an annotation: these are known to hold nothing."""
    name = Path(path).name
    root = mapping(read_json_labels(Path(path)) if content is None else content, name)
    classes = _categories(root, name)
    images = _images(root, name)
    marks: dict[str, list[Mark]] = defaultdict(list)
    notes: Counter[str] = Counter()
    for item in sequence(need(root, "annotations", name), f"{name}: annotations"):
        where = f"{name}: annotation {item.get('id', '?') if isinstance(item, dict) else '?'}"
        annotation = mapping(item, where)
        image = str(need(annotation, "image_id", where))
        category = str(need(annotation, "category_id", where))
        if image not in images:
            raise damaged(where, f"it names image {image}, which the file does not list")
        if category not in classes:
            raise damaged(where, f"it names category {category}, which the file does not list")
        mark = _mark(annotation, classes[category], images[image].size, f"{where} on {images[image].name}")
        if mark is None:
            notes["annotations have neither a box nor an outline (points only) and were left out"] += 1
        else:
            marks[image].append(mark)
    filled = tuple(MarkedImage(i.name, tuple(marks[key]), key, i.size, i.slice) for key, i in images.items())
    return MarkFile("COCO", filled, tuple(dict.fromkeys(classes.values())), tuple(f"{n} {text}" for text, n in notes.items()))


def _categories(root: Mapping[str, Any], name: str) -> dict[str, str]:
    """id -> name, in the order of the ids where these are numbers."""
    found: dict[str, str] = {}
    for item in sequence(need(root, "categories", name), f"{name}: categories"):
        category = mapping(item, f"{name}: a category")
        key = str(need(category, "id", f"{name}: a category"))
        if key in found:
            raise damaged(f"{name}: categories", f"two have the id {key}")
        found[key] = word(need(category, "name", f"{name}: category {key}"), f"{name}: category {key}")
    return dict(sorted(found.items(), key=lambda kv: _order(kv[0])))


def _order(key: str) -> tuple[bool, int]:
    """Numbers in their order, everything else behind them as it came."""
    is_number = key.isdecimal() and len(key) < 19
    return not is_number, int(key) if is_number else 0


def _images(root: Mapping[str, Any], name: str) -> dict[str, MarkedImage]:
    found: dict[str, MarkedImage] = {}
    for item in sequence(need(root, "images", name), f"{name}: images"):
        image = mapping(item, f"{name}: an image")
        key = str(need(image, "id", f"{name}: an image"))
        where = f"{name}: image {key}"
        if key in found:
            raise damaged(where, "two images have this id")
        size = None
        if image.get("height") is not None and image.get("width") is not None:
            size = picture_size(image["height"], image["width"], where)
        where_in = None if image.get("slice") is None else whole(image["slice"], where)
        found[key] = MarkedImage(word(need(image, "file_name", where), where), (), key, size, where_in)
    return found


def _mark(item: Mapping[str, Any], class_name: str, size: tuple[int, int] | None, where: str) -> Mark | None:
    shape = item.get("segmentation")
    outlines: tuple[np.ndarray, ...] = ()
    pixels = None
    if isinstance(shape, dict):
        pixels = run_lengths(shape, where)
    elif isinstance(shape, list) and shape:
        outlines = tuple(outline_of(reals(part, where), where) for part in shape)
    box = _box(item.get("bbox"), where)
    if box is None and not outlines and pixels is None:
        return None
    reader = next((str(item[key]) for key in READER_KEYS if item.get(key) not in (None, "")), "")
    score = real(item["score"], where) if item.get("score") is not None else 1.0
    number = _number(item) or _number(item.get("attributes"))
    return Mark(class_name, box, outlines, pixels, item.get("iscrowd") in (1, True), score, reader, number)


def _number(place: Any) -> str:
    if not isinstance(place, dict):
        return ""
    return next((str(place[key]) for key in NUMBER_KEYS if isinstance(place.get(key), str | int)), "")


def _box(value: Any, where: str) -> tuple[float, float, float, float] | None:
    if value in (None, []):
        return None
    numbers = reals(value, where)
    if len(numbers) == 5:
        raise oriented(f"{where}: a box holds five numbers (x, y, width, height, angle)")
    if len(numbers) != 4:
        raise damaged(where, f"a box is x, y, width, height; it holds {len(numbers)} numbers")
    x, y, width, height = numbers
    return box_of(x, y, x + width, y + height, where)


def run_lengths(shape: Mapping[str, Any], where: str) -> RunLengths:
    """Of a `segmentation` with size and counts, compressed (text) or not (a list)."""
    size_given = sequence(need(shape, "size", where), where)
    if len(size_given) != 2:
        raise damaged(where, "the size of a mask is height and width")
    size = picture_size(size_given[0], size_given[1], where)
    given = need(shape, "counts", where)
    counts = decompress(given, where) if isinstance(given, str) else [whole(c, where) for c in sequence(given, where)]
    if min(counts, default=0) < 0 or sum(counts) != size[0] * size[1]:
        raise damaged(where, f"its runs make {sum(counts)} pixels, the picture {size[0] * size[1]}")
    return RunLengths(size, np.array(counts, dtype=np.int64))


def decompress(text: str, where: str) -> list[int]:
    """Run lengths from COCO's text: five bits to a character, and from the third run on the change to the run before last."""
    counts: list[int] = []
    value, shift = 0, 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise damaged(where, f"its compressed run lengths hold {character!r} where none can be")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value, shift = 0, 0
    if shift:
        raise damaged(where, "its compressed run lengths end in the middle of a number")
    return counts
