"""Tiny patients for the pages of the docs: CT studies as DICOM with masks and a sheet, chest films."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from openpyxl import Workbook
from PIL import Image
from pydicom.uid import generate_uid

from imaging.make_dicom import make_series
from overread.core.grid import Grid
from overread.imaging.dicom.volume import open_dicom
from overread.imaging.nifti import write_nifti
from overread.record.files import write_json

SHAPE = (16, 16, 16)  # slices, rows, columns: one window of a network
SLICE_MM, PIXEL_MM = 4.0, 4.0
SITES = ("North", "South", "West")
Row = dict[str, Any]


def organ(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """A ball of its own size, near the middle and on the patient's right."""
    middle = np.array([(n - 1) / 2 for n in shape]) + random.uniform(-1, 1, len(shape))
    middle[-1] -= shape[-1] / 8
    distance = np.sqrt(sum((g - m) ** 2 for g, m in zip(np.indices(shape), middle, strict=True)))
    return distance < random.uniform(3.5, 5.5)


def ct(random: np.random.Generator, liver: np.ndarray) -> np.ndarray:
    """(Z, Y, X) int16 HU: air, a body of soft tissue, the liver, and bones that make no two patients alike."""
    rows, columns = np.indices(SHAPE[1:]) / (SHAPE[1] - 1) - 0.5
    high, wide = random.uniform(0.36, 0.5, 2)
    hu = np.where(np.broadcast_to((rows / high) ** 2 + (columns / wide) ** 2 < 1, SHAPE), 20.0, -1000.0)
    for _ in range(6):
        middle = random.uniform(2, SHAPE[0] - 3, 3)
        distance = np.sqrt(sum((g - m) ** 2 for g, m in zip(np.indices(SHAPE), middle, strict=True)))
        hu[distance < random.uniform(1.5, 3)] = random.uniform(300, 900)
    return (np.where(liver, 120.0, hu) + random.normal(0, 8, SHAPE)).round().astype(np.int16)


def write_study(
    folder: Path, seed: int, tags: Mapping[str, Any], series: Sequence[Mapping[str, Any]] = ({},)
) -> tuple[np.ndarray, Grid]:
    """One DICOM study, with a folder for each series where it has several.

    tags     of the patient and the study
    series   what sets each series apart from the others
    returns  (Z, Y, X) mask of the liver, and the grid of all its series
    """
    random = np.random.default_rng(seed)
    liver = organ(random, SHAPE)
    study, frame = generate_uid(), generate_uid()
    depths = [SLICE_MM * k for k in range(SHAPE[0])]
    for number, own in enumerate(series, 1):
        files = make_series(
            folder / f"series{number}" if len(series) > 1 else folder,
            depths,
            volume=(ct(random, liver) + 1024).astype(np.int16),
            **{
                "StudyInstanceUID": study,
                "SeriesInstanceUID": generate_uid(),
                "FrameOfReferenceUID": frame,
                "SeriesNumber": number,
                "SeriesDescription": "CT abdomen",
                "BodyPartExamined": "ABDOMEN",
                "SliceThickness": SLICE_MM,
                "PixelSpacing": [PIXEL_MM, PIXEL_MM],
                "SyntheticData": "YES",
                **tags,
                **own,
            },
        )
    return liver.astype(np.uint8), open_dicom(files).grid


def livers(
    folder: Path, *, prefix: str = "P", patients: int = 12, seed: int = 0, series: Sequence[Mapping[str, Any]] = ({},)
) -> Path:
    """`studies/`, `masks/` and `patients.csv`; every sixth patient came twice.

    A mask is called as its study, or lies in a folder that is called so where a study has several series.
    """
    rows: list[Row] = []
    for k in range(patients):
        for exam in range(2 if k % 6 == 0 else 1):
            name, patient, day = f"{prefix}{k:02d}S{exam}", f"{prefix}{k:02d}", f"{2019 + 6 * k // patients}-0{1 + exam}-11"
            tags = {
                "PatientID": patient,
                "PatientName": f"Doe^{patient}",
                "StudyID": name,
                "AccessionNumber": name,
                "StudyDate": day.replace("-", ""),
                "PatientSex": "FM"[k % 2],
                "PatientAge": f"0{40 + 2 * k}Y",
                "ManufacturerModelName": f"Scanner {SITES[k % 3]}",
            }
            mask, grid = write_study(folder / "studies" / name, seed + 10 * k + exam, tags, series)
            place = folder / "masks" / (f"{name}/liver.nii.gz" if len(series) > 1 else f"{name}.nii.gz")
            place.parent.mkdir(parents=True, exist_ok=True)
            write_nifti(place, mask, grid, description="PHANTOM")
            rows.append({"exam": name, "patient": patient, "site": SITES[k % 3], "date": day, "age": 40 + 2 * k})
    write_json(folder / "masks" / "dataset.json", {"labels": {"background": 0, "liver": 1}})
    write_sheet(folder / "patients.csv", rows)
    return folder


def films(folder: Path, *, patients: int = 24, seed: int = 0, edge: int = 32) -> list[Row]:
    """Chest films `film00.png` ... in `folder`: every second patient is ill, every fourth came twice."""
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for k in range(patients):
        for _ in range(2 if k % 4 < 2 else 1):
            random = np.random.default_rng(seed + 100 + len(rows))
            lungs = random.normal(90, 12, (edge, edge)) + 70 * organ(random, (edge, edge)) * (k % 2)
            name = f"film{len(rows):02d}.png"
            Image.fromarray(np.clip(lungs, 0, 255).astype(np.uint8)).save(folder / name)
            rows.append({"file": name, "mrn": f"M-{seed + k:04d}", "ill": bool(k % 2)})
    return rows


def drawn_nodules(folder: Path, rows: Sequence[Row]) -> Row:
    """Draw one or two bright discs on the films of the ill, and say where, as COCO does."""
    images: list[Row] = []
    marks: list[Row] = []
    for number, row in enumerate(rows, 1):
        picture = np.asarray(Image.open(folder / row["file"])).astype(float)
        random = np.random.default_rng(number)
        images.append({"id": number, "file_name": row["file"], "height": picture.shape[0], "width": picture.shape[1]})
        for _ in range(int(random.integers(1, 3)) * row["ill"]):
            (y, x), radius = random.uniform(7, 25, 2), random.uniform(3, 5)
            down, across = np.indices(picture.shape)
            picture[(down - y) ** 2 + (across - x) ** 2 < radius**2] = 240
            turns = np.linspace(0, 2 * np.pi, 16, endpoint=False)
            outline = np.stack([x + 0.5 + radius * np.cos(turns), y + 0.5 + radius * np.sin(turns)], 1)
            box = [x + 0.5 - radius, y + 0.5 - radius, 2 * radius, 2 * radius]
            marks.append(
                {"id": len(marks) + 1, "image_id": number, "category_id": 1, "bbox": box, "iscrowd": 0}
                | {"segmentation": [outline.ravel().tolist()], "area": float(np.pi * radius**2)}
            )
        Image.fromarray(picture.astype(np.uint8)).save(folder / row["file"])
    return {"images": images, "annotations": marks, "categories": [{"id": 1, "name": "nodule"}]}


def write_sheet(path: Path, rows: Sequence[Row]) -> Path:
    """CSV, or Excel where the name says so."""
    if path.suffix == ".xlsx":
        book = Workbook()
        sheet = book.active
        assert sheet is not None
        for cells in ([*rows[0]], *([*row.values()] for row in rows)):
            sheet.append(cells)
        book.save(path)
        return path
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
