"""`predictions/<partition>/objects.json`: the objects that were found in each case, raw, as they leave the network.

    {"format": 1,
     "coordinates": "index (z, y, x) of first and last corner; voxel centres are whole numbers",
     "cases": {case_id: [{"class": name, "score": 0.93, "box": [z0, y0, x0, z1, y1, x1],
                          "mask": {"start": [z, y, x], "size": [z, y, x], "runs": [lengths]}}]}}

A case that was read and has nothing stands with an empty list. Instances have a mask beside the box: run lengths in C order,
beginning with background.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import Boxes, Instances, Piece
from overread.core.question import Question
from overread.record.files import read_json, write_text

NAME = "objects.json"
FORMAT = 1
COORDINATES = "index (z, y, x) of first and last corner; voxel centres are whole numbers"

Objects = Boxes | Instances


def write_objects(path: Path, answers: Mapping[str, Objects]) -> None:
    """Write the file, a line per case."""
    lines = [f"{json.dumps(case_id)}: {_dumps(_case(answer))}" for case_id, answer in answers.items()]
    head = f'{{"format": {FORMAT}, "coordinates": {json.dumps(COORDINATES)}, "cases": {{'
    write_text(path, head + ("\n" + ",\n".join(lines) + "\n" if lines else "") + "}}\n")


def read_objects(path: Path, question: Question, grids: Mapping[str, Grid]) -> dict[str, Objects]:
    """Read the cases that `grids` names and the file has; every class, number and mask is checked.

    grids    case_id -> the grid of its image, on which the answers lie
    returns  case_id -> Boxes for detection, Instances for instances
    """
    cases = read_cases(path)
    return {case_id: _read_case(path, case_id, cases[case_id], question, grids[case_id]) for case_id in grids if case_id in cases}


def read_cases(path: Path) -> dict[str, Any]:
    """case_id -> its rows, as they stand in the file."""
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT or not isinstance(content.get("cases"), dict):
        raise OverreadError(
            f"{path} is not a list of objects in format {FORMAT}.",
            'write {"format": 1, "cases": {case_id: [{"class", "score", "box": [z0, y0, x0, z1, y1, x1]}]}}',
        )
    return dict(content["cases"])


def encode_mask(piece: Piece) -> dict[str, Any]:
    """Run lengths in C order, beginning with background (0 where the first voxel belongs to the object)."""
    flat = piece.mask.reshape(-1)
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(np.r_[0, edges, flat.size]) if flat.size else np.zeros(0, int)
    first = [0] if flat.size and flat[0] else []
    return {"start": list(piece.start), "size": list(piece.mask.shape), "runs": [*first, *(int(run) for run in runs)]}


def decode_mask(values: Mapping[str, Any]) -> Piece:
    """The voxels of an object; ValueError where the lengths do not fill the size."""
    start, size = (tuple(int(v) for v in values[name]) for name in ("start", "size"))
    runs = np.asarray(values["runs"], dtype=np.int64)
    if len(start) != 3 or len(size) != 3 or min(size) < 0 or (runs < 0).any() or runs.sum() != math.prod(size):
        raise ValueError(f"start {list(start)}, size {list(size)} and {int(runs.sum())} voxels in runs do not agree")
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return Piece((start[0], start[1], start[2]), flat.reshape(size))


def _case(answer: Objects) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for k, (name, score) in enumerate(zip(answer.classes, answer.scores, strict=True)):
        row: dict[str, Any] = {"class": name, "score": _plain(score), "box": [_plain(v) for v in answer.corners[k].reshape(-1)]}
        if isinstance(answer, Instances):
            row["mask"] = encode_mask(answer.pieces[k])
        rows.append(row)
    return rows


def _plain(value: float) -> float:
    """A number as float32 holds it: nothing is lost, and nothing beyond is written."""
    return float(f"{float(value):.9g}")


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _read_case(path: Path, case_id: str, rows: Any, question: Question, grid: Grid) -> Objects:
    if not isinstance(rows, list):
        raise _damaged(path, case_id, "its objects are no list")
    classes, scores, corners, pieces = [], [], [], []
    for number, row in enumerate(rows, 1):
        try:
            name, score = row["class"], float(row["score"])
            box = np.asarray(row["box"], dtype=float).reshape(2, 3) if "box" in row else None
            piece = decode_mask(row["mask"]) if question.task == "instances" else None
        except (KeyError, TypeError, ValueError) as error:
            missing = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise _damaged(path, case_id, f"object {number}: {missing}") from error
        fault = _fault(name, score, box, piece, question, grid)
        if fault:
            raise _damaged(path, case_id, f"object {number}: {fault}")
        classes.append(name)
        scores.append(score)
        corners.append(box)
        pieces.append(piece)
    if question.task == "instances":
        return Instances(tuple(p for p in pieces if p is not None), tuple(classes), np.array(scores, float), grid)
    boxes = np.array(corners, dtype=float).reshape(-1, 2, 3)
    return Boxes(boxes, tuple(classes), np.array(scores, float), grid)


def _fault(name: Any, score: float, box: np.ndarray | None, piece: Piece | None, question: Question, grid: Grid) -> str:
    """What is wrong with an object; "" where nothing is."""
    if name not in question.classes:
        return f"its class '{name}' is none of {', '.join(question.classes)}"
    if not 0 <= score <= 1:
        return f"its score {score:g} is not between 0 and 1"
    if piece is not None:
        ends = [first + size for first, size in zip(piece.start, piece.mask.shape, strict=True)]
        inside = min(piece.start) >= 0 and all(end <= size for end, size in zip(ends, grid.shape, strict=True))
        return "" if inside else f"its mask reaches beyond the image of {' x '.join(map(str, grid.shape))} voxels"
    if box is None:
        return "'box' is missing"
    if not np.isfinite(box).all() or any((first > last).any() for first, last in pairwise(box)):
        return f"its box {[float(v) for v in box.reshape(-1)]} is not first corner, then last corner"
    return ""


def _damaged(path: Path, case_id: str, what: str) -> OverreadError:
    return OverreadError(f"{path}, case {case_id}: {what}.", "write the answers again, as docs/reference/files.md describes")
