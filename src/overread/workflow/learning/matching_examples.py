"""The matching criterion on two objects of an evaluation: the one that counts as found with the least overlap, and the one with
the most overlap that does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from overread.core.image import Image
from overread.core.kinds import Boxes, Instances, Kind
from overread.metrics.objects.overlap import box_iou, overlaps
from overread.record.files import write_bytes
from overread.reporting.pictures.close_ups import Shape, pair_picture

Record = Mapping[str, Any]
Loader = Callable[[dict[str, Any]], tuple[Image, Kind, Kind]]
_SAME = 0.02  # voxels by which the box of one object may differ, once written and read


def write_examples(folder: Path, rows: Sequence[dict[str, Any]], load: Loader) -> list[dict[str, Any]]:
    """Write `matching/` in a folder of panels; returns one entry for each picture: file, case_id, caption."""
    written = []
    for is_found, chosen in ((True, least_found(rows)), (False, nearest_miss(rows))):
        if chosen is None:
            continue
        row, answer_item, missed = chosen
        image, truth, answer = load(row)
        if not isinstance(truth, Boxes | Instances) or not isinstance(answer, Boxes | Instances):
            continue
        here = _number(answer, answer_item)
        if here is None:
            continue
        there = _number(truth, missed) if missed is not None else _partner(truth, answer, here)
        if there is None:
            continue
        overlap = float(overlaps(answer, truth, "mask" if isinstance(truth, Instances) else "box")[here, there])
        name = f"matching/{'found' if is_found else 'not-found'}.png"
        reference = _shape(truth, there, "reference" if is_found else "missed")
        write_bytes(folder / name, pair_picture(image, reference, _shape(answer, here, "matched" if is_found else "false")))
        written.append({"file": name, "case_id": row["case_id"], "caption": _caption(answer_item, overlap, is_found=is_found)})
    return written


def least_found(rows: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], Record, None] | None:
    """The case and the found object that overlaps least with its reference."""
    found = [
        (item["overlap"], k, number)
        for k, row in enumerate(rows)
        for number, item in enumerate(row["objects"])
        if item["state"] == "matched" and item.get("overlap") is not None
    ]
    if not found:
        return None
    _, k, number = min(found)
    return rows[k], rows[k]["objects"][number], None


def nearest_miss(rows: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], Record, Record] | None:
    """The case, the false positive and the missed object of its class whose boxes overlap most; None where none do."""
    best, chosen = 0.0, None
    for row in rows:
        wrong = [item for item in row["objects"] if item["state"] == "false"]
        missed = [item for item in row["objects"] if item["state"] == "missed"]
        if not wrong or not missed:
            continue
        overlap = box_iou(np.stack([_corners(item) for item in wrong]), np.stack([_corners(item) for item in missed]))
        overlap *= np.array([[a["class"] == b["class"] for b in missed] for a in wrong])
        place = np.unravel_index(int(overlap.argmax()), overlap.shape)
        if overlap[place] > best:
            best, chosen = float(overlap[place]), (row, wrong[place[0]], missed[place[1]])
    return chosen


def _caption(item: Record, overlap: float, *, is_found: bool) -> str:
    score = f", score {item['score']:.2f}" if item.get("score") is not None else ""
    if is_found:
        return f"Found: {item['class']}{score}; overlap {overlap:.2f}, the least of all that count as found"
    return (
        f"Not found: {item['class']}{score}; overlap {overlap:.2f}, the most of all that do not count. The reference is missed, "
        "and the answer is a false positive"
    )


def _corners(item: Record) -> np.ndarray:
    return np.asarray(item["box"], dtype=float).reshape(2, 3)


def _number(objects: Boxes | Instances, item: Record) -> int | None:
    """Which of the objects has this box."""
    near = [k for k, corners in enumerate(objects.corners) if np.abs(corners - _corners(item)).max() <= _SAME]
    return next((k for k in near if objects.classes[k] == item["class"]), None)


def _partner(truth: Boxes | Instances, answer: Boxes | Instances, number: int) -> int | None:
    """The truth of the same class that an answer overlaps most."""
    own = overlaps(answer, truth, "mask" if isinstance(truth, Instances) else "box")[number]
    same = np.array([name == answer.classes[number] for name in truth.classes], dtype=bool)
    return int(np.where(same, own, -1).argmax()) if same.any() else None


def _shape(objects: Boxes | Instances, number: int, look: str) -> Shape:
    piece = objects.pieces[number] if isinstance(objects, Instances) else None
    return Shape(look, np.asarray(objects.corners[number], dtype=float), piece)
