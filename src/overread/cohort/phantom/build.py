"""A whole phantom cohort: every exam simulated in parallel, then the files that speak of all of them."""

from __future__ import annotations

import csv
import io
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from overread import __version__
from overread.cohort.phantom import abdomen, chest_film
from overread.cohort.phantom.anatomy import STRUCTURES
from overread.cohort.phantom.faults import add_label_noise, plant
from overread.cohort.phantom.lesions import CLASSES, MASSES
from overread.cohort.phantom.options import Options
from overread.cohort.phantom.plan import Planned, plan_exams
from overread.cohort.phantom.threshold import burden_threshold, liver_band, metastasis_threshold
from overread.cohort.progress import Progress, counted
from overread.record.files import write_json, write_text
from overread.record.workers import begin_as_worker, named_if_lost, processors

WARNING = "PHANTOM: every image here is computed. No score on it is evidence about patients."
Record = dict[str, Any]


@dataclass(frozen=True)
class Built:
    """What was written: counts, the planted faults, and how far a plain threshold gets."""

    patients: int
    exams: int
    files: int
    positive: int
    faults: dict[str, Record]
    threshold: Record


def build(out: Path, options: Options, workers: int | None, progress: Progress | None) -> Built:
    """Simulate and write a cohort into `out`."""
    planned, faults = plant(plan_exams(options), options)
    write = partial(_write_one, options=options, out=out)
    records = list(counted(_parallel(write, planned, workers), len(planned), "Drawing phantom exams", progress))
    rows = [record["row"] for record in records]
    truth_rows = [dict(row) for row in rows]
    if "label-noise" in options.faults:
        faults["label-noise"] = add_label_noise(rows, options)
    _write_sheet(out / "labels.csv", rows)
    _write_declarations(out, options)
    coco = _coco(records, options)
    write_json(out / "coco.json", coco)
    threshold = _threshold(records, options)
    write_json(out / "phantom.json", _description(records, truth_rows, options, faults, threshold))
    label = "any_lesion" if options.kind == "abdomen" else "pneumonia"
    positive = sum(row[label] == "yes" for row in truth_rows)
    patients = len({row["patient_id"] for row in rows})
    return Built(patients, len(rows), sum(len(set(r["slices"]) - {""}) for r in records), positive, faults, threshold)


def _write_one(planned: Planned, options: Options, out: Path) -> Record:
    with threadpool_limits(1):
        return (abdomen if options.kind == "abdomen" else chest_film).write_exam(planned, options, out)


def _parallel(write: Callable[[Planned], Record], planned: Sequence[Planned], workers: int | None) -> Iterator[Record]:
    """Results in the order of the plan; processes are forked, so that a script is not run twice."""
    count = min(workers or processors(), len(planned))
    if count <= 1 or os.name != "posix":
        yield from map(write, planned)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads; the children only compute and write
        pool = ProcessPoolExecutor(count, mp_context=get_context("fork"), initializer=begin_as_worker)
        with named_if_lost("drawing phantom exams"), pool:
            try:
                yield from pool.map(write, planned)
            finally:
                pool.shutdown(cancel_futures=True)


def _write_sheet(path: Path, rows: Sequence[Record]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _write_declarations(out: Path, options: Options) -> None:
    """A dataset.json beside the label maps, in the form that nnU-Net reads, says what each value means."""
    if options.kind == "abdomen":
        write_json(out / "masks/dataset.json", {"labels": {"background": 0, **abdomen.MASK_VALUES}})
        write_json(out / "organs/dataset.json", {"labels": {"background": 0, **STRUCTURES}})
    else:
        write_json(out / "masks/dataset.json", {"labels": {"background": 0, **chest_film.MASK_VALUES}})


def _coco(records: Sequence[Record], options: Options) -> Record:
    """One COCO image per slice, a CT's slices from the feet upwards; categories are the kinds of finding."""
    classes = CLASSES if options.kind == "abdomen" else chest_film.CLASSES
    images: list[Record] = []
    annotations: list[Record] = []
    for record in records:
        first, (depth, height, width) = len(images) + 1, record["shape"]
        for k in range(depth):
            image = {"id": first + k, "file_name": record["slices"][k], "slice": k, "width": width, "height": height}
            images.append({**image, "exam_id": record["row"]["exam_id"]})
        for item in record["annotations"]:
            annotations.append({"id": len(annotations) + 1, **item, "image_id": first + item["image_id"]})
    groups = {name: "lesion" if name in MASSES or options.kind == "chest" else "mimic" for name in classes}
    categories = [{"id": k, "name": name, "supercategory": groups[name]} for k, name in enumerate(classes, 1)]
    return {
        "info": {"description": WARNING, "version": __version__},
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }


def _threshold(records: Sequence[Record], options: Options) -> Record:
    if options.kind == "chest":
        return chest_film.threshold(records)
    counts = [r["histograms"] for r in records]
    ill, voxel_ml = [r["voxels"]["metastasis"] for r in records], [r["voxel_ml"] for r in records]
    liver = liver_band(counts, [r["voxels"]["liver"] for r in records])
    spread, burden = metastasis_threshold(counts, ill, voxel_ml), burden_threshold(counts, ill, voxel_ml)
    return {
        "explanation": "the best fixed HU limits, fitted on these exams themselves: read every score on the phantom beside them",
        "liver": {"rule": "all voxels of the image between two HU", **liver},
        "metastasis": {"rule": "all voxels of the true liver below one HU; the exam's score is their volume", **spread},
        "tumour_burden": {"rule": "the volume of all voxels of the true liver below one HU", **burden},
    }


def _description(
    records: Sequence[Record], truth: Sequence[Record], options: Options, faults: dict[str, Record], threshold: Record
) -> Record:
    exams = {}
    for record, row in zip(records, truth, strict=True):
        kept = ("instances", "spacing_mm", "thickness_mm")
        exams[row["exam_id"]] = {"truth": row, **{k: record[k] for k in kept if k in record}}
    values = (
        {"masks": abdomen.MASK_VALUES, "organs": STRUCTURES} if options.kind == "abdomen" else {"masks": chest_film.MASK_VALUES}
    )
    return {
        "phantom": True,
        "warning": WARNING,
        "format": 1,
        "version": __version__,
        "options": options.as_dict(),
        "label_values": values,
        "faults": faults,
        "plain_threshold": threshold,
        "exams": exams,
    }
