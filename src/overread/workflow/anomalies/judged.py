"""A case against what is usual: its score, whether it raises the alarm, and its regions, the most abnormal first."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from overread.batches.prepare import undo_piece
from overread.core.grid import Grid
from overread.core.kinds import Instances, Piece
from overread.metrics.anomaly import Region, as_objects, case_score, region_of, regions
from overread.workflow.anomalies.looking import Looked
from overread.workflow.anomalies.normals import Normal

CASE_COLUMNS = ("case_id", "patient_id", "abnormal", "score", "alarm", "regions", "code_distance", "refusal")
REGION_COLUMNS = (
    "case_id", "rank", "score", "z", "y", "x", "x_mm", "y_mm", "z_mm", "longest", "unit", "volume_ml", "voxels",
)  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """What is drawn of a case, on the grid of the network."""

    looked: Looked
    beyond: np.ndarray  # (Z, Y, X) in usual standard deviations
    framed: tuple[Piece, ...]


@dataclass(frozen=True)
class Judged:
    """regions      on the grid of the source
    far          how far its code lies from usual ones; None without a code
    is_abnormal  what the labels say; None where nobody knows
    lesions      what was drawn; None where nothing is
    seen         kept of the worst cases alone, as volumes are large
    """

    case_id: str
    patient_id: str
    score: float
    is_alarm: bool
    regions: tuple[Region, ...]
    grid: Grid
    far: float | None = None
    is_abnormal: bool | None = None
    lesions: Instances | None = None
    seen: Seen | None = None

    @property
    def found(self) -> Instances:
        """The regions as objects, for FROC."""
        return as_objects(self.regions, self.grid)

    def as_dict(self) -> dict[str, Any]:
        return {
            "case_id": self.case_id,
            "patient_id": self.patient_id,
            "abnormal": self.is_abnormal,
            "score": round(self.score, 4),
            "alarm": self.is_alarm,
            "code_distance": None if self.far is None else round(self.far, 4),
            "regions": [_row(region, rank, self.grid) for rank, region in enumerate(self.regions, 1)],
        }


def judge(case_id: str, patient_id: str, looked: Looked, normal: Normal) -> Judged:
    """The map of a case and what is to be read from it."""
    beyond = normal.usual.standardised(looked.error)
    score, prepared = case_score(beyond, normal.alarm.voxels), looked.prepared
    framed, placed = [], []
    for region in regions(beyond, normal.alarm, prepared.grid):
        piece = undo_piece(region.piece, prepared)
        if piece.voxels:  # none in what was added around the image to give it the network's shape
            framed.append(region.piece)
            placed.append(region_of(piece, region.score, prepared.source))
    is_alarm = score >= normal.alarm.threshold
    seen = Seen(looked, beyond, tuple(framed))
    far = None if normal.codes is None or looked.code is None else normal.codes.distance(looked.code)
    return Judged(case_id, patient_id, score, is_alarm, tuple(placed), prepared.source, far, seen=seen)


def with_worst_seen(judged: Sequence[Judged], most: int) -> list[Judged]:
    """The same cases; what is drawn is kept of the worst `most` alone."""
    kept = {one.case_id for one in sorted((j for j in judged if j.seen is not None), key=lambda j: -j.score)[:most]}
    return [one if one.case_id in kept else replace(one, seen=None) for one in judged]


def worst_first(judged: Sequence[Judged]) -> list[Judged]:
    return sorted(judged, key=lambda one: (-one.score, one.case_id))


def _row(region: Region, rank: int, grid: Grid) -> dict[str, Any]:
    """z, y, x count from 0 on the source grid; millimetres are those of the patient (LPS)."""
    z, y, x = (round(value, 1) for value in region.centre)
    x_mm, y_mm, z_mm = (None, None, None) if region.centre_mm is None else (round(value, 1) for value in region.centre_mm)
    return {
        "rank": rank,
        "score": round(region.score, 4),
        "z": z,
        "y": y,
        "x": x,
        "x_mm": x_mm,
        "y_mm": y_mm,
        "z_mm": z_mm,
        "longest": round(region.longest, 1),
        "unit": "mm" if grid.spacing_known else "pixels",
        "volume_ml": None if region.volume_ml is None else round(region.volume_ml, 4),
        "voxels": region.voxels,
    }


def tables(cases: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The rows of `Judged.as_dict` as `cases.csv` and `regions.csv`."""
    of_cases = [{**case, "regions": len(case["regions"])} for case in cases]
    of_regions = [{"case_id": case["case_id"], **region} for case in cases for region in case["regions"]]
    return {"cases.csv": _csv(of_cases, CASE_COLUMNS), "regions.csv": _csv(of_regions, REGION_COLUMNS)}


def _csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
