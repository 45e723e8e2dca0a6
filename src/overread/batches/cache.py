"""Prepared cases in a few flat memory-mapped files, so that a cohort may exceed memory.

A cache is written once, beside its place, and renamed; its folder name is a digest of everything
that it depends on. Only training and tuning cases come in: a sealed truth cannot.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from overread.batches.clinical import told
from overread.batches.objects import ObjectTable, PreparedObjects
from overread.batches.prepare import (
    Prepared,
    of_second_kind,
    prepare_image,
    prepare_objects,
    prepare_picture,
    prepare_truth,
)
from overread.cohort.index import Cohort
from overread.cohort.load import load_image, load_truth
from overread.cohort.pictures import answered_units
from overread.cohort.unpaired import is_wanted
from overread.core.case import Case
from overread.core.errors import OverreadError
from overread.core.kinds import Boxes, Instances, Kind, LabelMap, Picture
from overread.core.preparation import Preparation
from overread.record.files import digest_json
from overread.record.workers import in_order

FOREGROUND_POINTS = 4000  # per class and case, enough to centre patches on


class Encoder(Protocol):
    """What the cache needs of a task: how a truth becomes an array."""

    def encode(self, truth: Kind, layers: np.ndarray | None) -> np.ndarray: ...


class ObjectEncoder(Protocol):
    """The same of a task whose answer is a list of objects."""

    def encode_objects(self, objects: PreparedObjects, shape: tuple[int, int, int]) -> np.ndarray: ...


@dataclass
class PreparedCase:
    """One case as the network sees it.

    image   (C, Z, Y, X) float16, a view into the memory-mapped file
    target  (Z, Y, X) or (S, Z, Y, X) uint8 for an answer per voxel, (K, Z, Y, X) float16 for a picture, (K,) float32 for one
            per case (none, where images are made of noise), (L, Z, Y, X) uint8 or
            uint16 numbers for one per object: k + 1 where the object of row k is, L = 0 where boxes are all that is known; a view
    points  class index -> (N, 3) voxels of that class, a random choice of at most `FOREGROUND_POINTS`
    objects boxes and classes, where the question is of objects
    clinical (D,) float32 numbers of the clinical variables, where the preparation has any; from the sheet, not from the files
    further (N, C, Z, Y, X) float16 the same image made worse in N other ways by chance, where it is to be restored; a view
    """

    case_id: str
    image: np.ndarray
    target: np.ndarray
    points: dict[int, np.ndarray] = field(default_factory=dict)
    objects: ObjectTable | None = None
    clinical: np.ndarray | None = None
    further: np.ndarray | None = None


@dataclass(frozen=True)
class Cache:
    """Prepared training and tuning cases."""

    folder: Path
    cases: dict[str, PreparedCase]

    def of(self, case_ids: Iterable[str]) -> list[PreparedCase]:
        return [self.cases[c] for c in case_ids]


def open_cache(
    cohort: Cohort,
    preparation: Preparation,
    encoder: Encoder | ObjectEncoder,
    *,
    folder: Path,
    encoding: dict[str, Any],
    has_outlines: bool = False,
    draws: int = 1,
    advance: Callable[[int, str], None] = lambda n, note: None,
) -> Cache:
    """Open the cache of this cohort and preparation, building it first where it is missing or damaged.

    encoding  what the encoder's result depends on (question, scaling, route); part of the cache's name
    has_outlines  questions of boxes: every object of the truth has its voxels, which are kept beside the boxes
    draws     restore: in how many ways each training image is made worse
    advance   told (1, case_id) for each case prepared
    """
    encoding = encoding | {"draws": draws} if draws > 1 else encoding
    cases = [c for part in ("training", "tuning") for c in cohort.of(part)]
    if has_outlines:
        cohort = replace(cohort, question=replace(cohort.question, task="instances"))  # boxes come from the voxels
    clinical, preparation = preparation.clinical, replace(preparation, clinical=None)  # images and truths are the same with them
    key = digest_json([cohort.digest, preparation.as_dict(), encoding, sorted(c.case_id for c in cases)])[7:23]
    place = folder / key
    if not _is_whole(place):
        shutil.rmtree(place, ignore_errors=True)
        _build(place, cohort, cases, preparation, encoder, draws, advance)
    found = _open(place)
    if clinical is not None:
        for case in cases:
            found.cases[case.case_id].clinical = told(case.covariates, clinical)
    return found


def _build(
    place: Path,
    cohort: Cohort,
    cases: list[Case],
    preparation: Preparation,
    encoder: Encoder | ObjectEncoder,
    draws: int,
    advance: Callable[[int, str], None],
) -> None:
    beside = place.with_name(f".building-{place.name}-{os.getpid()}")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    work = partial(_prepare_case, cohort, preparation, encoder, draws)
    try:
        with (
            open(beside / "images.f16", "wb") as images,
            open(beside / "targets.bin", "wb") as targets,
            open(beside / "points.i32", "wb") as voxels,
        ):
            index: list[dict[str, Any]] = []
            rows: list[np.ndarray] = []
            for case, made in zip(cases, in_order(work, cases, "preparing cases"), strict=True):
                several, target, points, objects = made
                row: dict[str, Any] = {"case_id": case.case_id, "image": [images.tell(), list(several[0].shape)]}
                if len(several) > 1:
                    row["further"] = len(several) - 1
                row["target"] = [targets.tell(), list(target.shape), str(target.dtype)]
                row["points"] = {}
                for value, places in points.items():
                    row["points"][str(value)] = [voxels.tell(), len(places)]
                    voxels.write(places.tobytes())
                if objects is not None:
                    row["objects"] = [sum(map(len, rows)), len(objects)]
                    rows.append(np.column_stack([objects.boxes, objects.classes]).astype(np.float32))
                for image in several:
                    images.write(image.tobytes())
                targets.write(target.tobytes())
                index.append(row)
                advance(1, case.case_id)
        if rows:
            (beside / "objects.f32").write_bytes(np.concatenate(rows).tobytes())
        (beside / "index.json").write_text(json.dumps(index))
        try:
            os.replace(beside, place)
        except OSError:  # another process built the same cache meanwhile
            if not _is_whole(place):
                raise
    except OSError as error:
        raise OverreadError(
            f"The cache of prepared cases could not be written to {place.parent}: {error.strerror}.",
            "free disk space there, then run the same command again",
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _prepare_case(
    cohort: Cohort, preparation: Preparation, encoder: Encoder | ObjectEncoder, draws: int, case: Case
) -> tuple[list[np.ndarray], np.ndarray, dict[int, np.ndarray], ObjectTable | None]:
    stage = "reading the image"
    if preparation.answer and is_wanted(cohort, case):
        preparation = of_second_kind(preparation, answered_units(cohort.question))
    try:
        image = load_image(cohort, case)
        stage = "preparing the image"
        prepared = prepare_image(image, preparation)
        stage = "reading the truth"
        truth = load_truth(cohort, case)
        stage = "encoding the truth"
        target, points, objects = _encoded(truth, prepared, cohort, preparation, encoder, case)
        stage = "making it worse in other ways"
        others = range(1, draws if cohort.partition[case.case_id] == "training" else 1)
        further = [prepare_image(load_image(cohort, case, draw), preparation).array for draw in others]
    except OverreadError as error:
        raise OverreadError(f"Case {case.case_id}, while {stage}: {error.what}", error.next) from error
    except Exception as error:
        raise RuntimeError(f"case {case.case_id}, while {stage}: {error}") from error
    return [array.astype(np.float16) for array in (prepared.array, *further)], target, points, objects


def _encoded(
    truth: Kind, prepared: Prepared, cohort: Cohort, preparation: Preparation, encoder: Any, case: Case
) -> tuple[np.ndarray, dict[int, np.ndarray], ObjectTable | None]:
    """The target, the voxels of each class in it, and the table of objects."""
    if isinstance(truth, Picture):
        return _of_images(truth, prepared, cohort, preparation, case), {}, None
    if isinstance(truth, Boxes | Instances):
        objects = prepare_objects(truth, prepared, cohort.question.classes)
        target = np.ascontiguousarray(encoder.encode_objects(objects, prepared.grid.shape))
        return target, _foreground_points(target, case.case_id) if target.ndim == 3 else {}, objects.table
    layers = prepare_truth(truth, prepared) if isinstance(truth, LabelMap) else None
    target = np.ascontiguousarray(encoder.encode(truth, layers))
    return target, _foreground_points(target, case.case_id) if layers is not None else {}, None


def _of_images(truth: Picture, prepared: Prepared, cohort: Cohort, preparation: Preparation, case: Case) -> np.ndarray:
    """The picture that is answered; or, where images are made of noise, which class the image is an example of."""
    if preparation.answer:
        return prepare_picture(truth, prepared, preparation).astype(np.float16)
    held = {} if case.truth is None else case.truth.values
    return np.array([held.get(name) or 0.0 for name in cohort.question.conditions], np.float32)


def _foreground_points(target: np.ndarray, case_id: str) -> dict[int, np.ndarray]:
    """Voxels of each class; (S, Z, Y, X) targets count layer s as class s + 1."""
    random = np.random.default_rng([ord(c) for c in case_id])
    layers = {k + 1: target[k] > 0 for k in range(target.shape[0])} if target.ndim == 4 else None
    found = {}
    classes = layers or {int(v): None for v in np.unique(target) if v > 0}
    for value in classes:
        voxels = np.argwhere(layers[value] if layers else target == value)
        if len(voxels) > FOREGROUND_POINTS:
            voxels = voxels[random.choice(len(voxels), FOREGROUND_POINTS, replace=False)]
        if len(voxels):
            found[value] = voxels.astype(np.int32)
    return found


def _is_whole(place: Path) -> bool:
    """Whether index and files are there and as long as the index says: a power cut may leave files without their content."""
    try:
        index = json.loads((place / "index.json").read_text())
        return all((place / name).stat().st_size == length for name, length in _lengths(index).items())
    except (FileNotFoundError, ValueError):
        return False


def _lengths(index: list[dict[str, Any]]) -> dict[str, int]:
    """Bytes in each file, counted from what the index says of each case."""
    images = sum(2 * math.prod(row["image"][1]) * (1 + row.get("further", 0)) for row in index)
    targets = sum(np.dtype(row["target"][2]).itemsize * math.prod(row["target"][1]) for row in index)
    points = sum(3 * 4 * count for row in index for _, count in row["points"].values())
    lengths = {"images.f16": images, "targets.bin": targets, "points.i32": points}
    if any("objects" in row for row in index):
        lengths["objects.f32"] = sum(7 * 4 * row["objects"][1] for row in index)
    return lengths


def _open(place: Path) -> Cache:
    index = json.loads((place / "index.json").read_text())
    images = _mapped(place / "images.f16", np.float16)
    targets = _mapped(place / "targets.bin", np.uint8)
    voxels = _mapped(place / "points.i32", np.int32)
    table = _mapped(place / "objects.f32", np.float32).reshape(-1, 7) if (place / "objects.f32").exists() else None
    cases = {}
    for row in index:
        offset, shape = row["image"]
        size, count = int(np.prod(shape)), 1 + row.get("further", 0)
        several = images[offset // 2 : offset // 2 + count * size].reshape(count, *shape)
        offset, shape, dtype = row["target"]
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        target = targets[offset : offset + size].view(dtype).reshape(shape)
        points = {int(k): voxels[o // 4 : o // 4 + 3 * n].reshape(n, 3) for k, (o, n) in row["points"].items()}
        objects = None
        if table is not None:
            first, number = row["objects"]
            rows = np.array(table[first : first + number])
            objects = ObjectTable(rows[:, :6], rows[:, 6].astype(np.int32))
        further = several[1:] if count > 1 else None
        cases[row["case_id"]] = PreparedCase(row["case_id"], several[0], target, points, objects, further=further)
    return Cache(place, cases)


def _mapped(path: Path, dtype: type) -> np.ndarray:
    """The file as a flat read-only array; an empty file cannot be mapped."""
    return np.memmap(path, dtype=dtype, mode="r") if path.stat().st_size else np.empty(0, dtype)
