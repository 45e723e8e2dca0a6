"""Objects that were found in new studies, as files: a table in millimetres, COCO results, and masks with a number per object."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from overread.core.grid import Grid
from overread.core.kinds import Boxes, Instances
from overread.core.question import Reading
from overread.imaging.nifti import write_nifti
from overread.reading.model import ModelCard
from overread.record.files import write_json, write_text

TABLE, COCO = "objects.csv", "coco.json"
COLUMNS = {
    "study": "name of the study, as in answers.csv",
    "number": "of the object in its study, the surest first; the value of its voxels in <study>_instances.nii.gz",
    "class": "what was found",
    "score": "0 to 1; only objects whose score reaches the model's frozen threshold are listed",
    "unit": "mm, or pixels where the image says no spacing; of x, y, z, width, height, depth",
    "x": "centre of the box, towards the patient's left (LPS); of a planar image from its first pixel along a row",
    "y": "centre of the box, towards the patient's back; of a planar image from its first pixel down a column",
    "z": "centre of the box, towards the patient's head; empty for a planar image",
    "width": "of the box along a row of pixels",
    "height": "of the box along a column of pixels",
    "depth": "of the box through the slices; empty for a planar image",
    "volume (ml)": "of the voxels of the object; where these are known, and the spacing is",
    "area (mm2)": "the same of a planar image",
}
ABOUT_BOX = "bbox is [x, y, width, height] in pixels of the image as stored, from the outer edge of its first pixel"
ABOUT_VOLUME = (
    "of a volume there is one entry for an object: bbox is its extent within a slice, slices its first and last slice, "
    "counted from 0 along the first axis of the image; the voxels of instances are in <study>_instances.nii.gz"
)
ABOUT_MASK = (
    "segmentation is an uncompressed run-length code, column by column, beginning with background; size is [height, width]"
)


def write_object_results(out: Path, card: ModelCard, readings: Sequence[Reading]) -> None:
    """Write `objects.csv` and `coco.json` for all readings that were answered."""
    rows = [row for reading in readings for row in _rows(reading)]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(COLUMNS), lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows)
    write_text(out / TABLE, text.getvalue())
    write_json(out / COCO, coco(card, readings))


def write_instance_masks(out: Path, reading: Reading, *, is_simulated: bool) -> tuple[str, ...]:
    """Write `<study>_instances.nii.gz`: 0 background, k the object with number k; returns what has to be said of it."""
    answer = reading.answer
    assert isinstance(answer, Instances)
    note = "PHANTOM, Overread instances, for research" if is_simulated else "Overread instances, for research"
    numbers = np.zeros(answer.grid.shape, np.uint8 if len(answer.pieces) < 256 else np.uint16)
    shared = 0
    for number, row in reversed(list(enumerate(_order(answer), start=1))):  # where objects overlap, the surest is seen
        piece = answer.pieces[row]
        shared += int(np.count_nonzero(numbers[piece.place][piece.mask]))
        numbers[piece.place][piece.mask] = number
    write_nifti(out / f"{reading.case_id}_instances.nii.gz", numbers, answer.grid, description=note)
    if not shared:
        return ()
    return (f"objects overlap in {shared} voxels; in the file of instances these belong to the surer one",)


def counts_row(answer: Boxes | Instances, classes: Sequence[str]) -> dict[str, Any]:
    """How many objects of each class were called, and the highest of their scores; for `answers.csv`."""
    row: dict[str, Any] = {}
    for name in classes:
        scores = [float(s) for s, c in zip(answer.scores, answer.classes, strict=True) if c == name]
        row[f"{name} (number)"] = len(scores)
        row[f"highest score of {name}"] = round(max(scores), 6) if scores else None
    return row


def coco(card: ModelCard, readings: Sequence[Reading]) -> dict[str, Any]:
    """All readings that were answered as one COCO file; images without an object are listed too."""
    classes = card.question.classes
    answered = [(r, r.answer) for r in readings if isinstance(r.answer, Boxes | Instances)]
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, (reading, answer) in enumerate(answered, start=1):
        slices, height, width = answer.grid.shape
        size = {"width": width, "height": height} | ({} if answer.grid.is_planar else {"slices": slices})
        images.append({"id": image_id, "file_name": reading.case_id, **size})
        for number, row in enumerate(_order(answer), start=1):
            about = {"id": len(annotations) + 1, "image_id": image_id, "number": number, "iscrowd": 0}
            category = classes.index(answer.classes[row]) + 1
            annotations.append(about | {"category_id": category, **_annotation(answer, row)})
    return {
        "info": {
            "description": "Overread answer, for research" + ("; the model learned from a PHANTOM" if card.is_phantom else ""),
            "model": card.sha256,
            "coordinates": ABOUT_BOX,
            "volumes": ABOUT_VOLUME,
            "masks": ABOUT_MASK,
        },
        "images": images,
        "categories": [{"id": k, "name": name} for k, name in enumerate(classes, start=1)],
        "annotations": annotations,
    }


def _rows(reading: Reading) -> Iterator[dict[str, Any]]:
    answer = reading.answer
    if not isinstance(answer, Boxes | Instances):
        return
    grid = answer.grid
    for number, row in enumerate(_order(answer), start=1):
        corners = answer.corners[row]
        z, y, x = corners.mean(axis=0)
        depth, height, width = (corners[1] - corners[0]) * grid.spacing
        place = grid.to_world(np.array([z, y, x]))
        of_volume = {} if grid.is_planar else {"z": _number(place[2]), "depth": _number(depth)}
        yield {
            "study": reading.case_id,
            "number": number,
            "class": answer.classes[row],
            "score": round(float(answer.scores[row]), 6),
            "unit": "mm" if grid.spacing_known else "pixels",
            "x": _number(place[0]),
            "y": _number(place[1]),
            "width": _number(width),
            "height": _number(height),
            **of_volume,
            **(_size(answer.pieces[row].voxels, grid) if isinstance(answer, Instances) else {}),
        }


def _size(voxels: int, grid: Grid) -> dict[str, float]:
    if not grid.spacing_known:
        return {}
    if grid.is_planar:
        return {"area (mm2)": _number(voxels * grid.spacing[1] * grid.spacing[2])}
    return {"volume (ml)": _number(voxels * grid.voxel_ml)}


def _annotation(answer: Boxes | Instances, row: int) -> dict[str, Any]:
    (z0, y0, x0), (z1, y1, x1) = answer.corners[row]
    box = [_number(x0 + 0.5), _number(y0 + 0.5), _number(x1 - x0), _number(y1 - y0)]
    values: dict[str, Any] = {"bbox": box, "area": _number((x1 - x0) * (y1 - y0)), "score": round(float(answer.scores[row]), 6)}
    if not answer.grid.is_planar:
        values["slices"] = [int(np.floor(z0 + 0.5)), max(int(np.floor(z0 + 0.5)), int(np.ceil(z1 - 0.5)))]
    elif isinstance(answer, Instances):
        mask = answer.mask(row)[0]
        values |= {"area": int(mask.sum()), "segmentation": {"size": list(mask.shape), "counts": _runs(mask)}}
    return values


def _runs(mask: np.ndarray) -> list[int]:
    """(Y, X) bool -> run lengths as COCO counts them: column by column, background first."""
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat, [not flat[-1]]])))
    return [int(n) for n in np.diff(np.concatenate([[0], edges]))]


def _order(answer: Boxes | Instances) -> list[int]:
    """Rows of an answer, the surest first."""
    return [int(k) for k in np.argsort(-np.asarray(answer.scores), kind="stable")]


def _number(value: float) -> float:
    return round(float(value), 4)
