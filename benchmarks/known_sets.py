"""Public data sets as the audit sees them, and the leaks that their notes list."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from overread.audit.audited import Audited, AuditedCase
from overread.core.grid import Grid
from overread.core.image import Image
from overread.imaging.door import open_image

PARTS = {"train": "training", "valid": "tuning", "val": "tuning", "test": "internal"}
COPIES = ("identical-images-in-two-partitions", "near-duplicates-in-two-partitions")

Group = frozenset[str]


@dataclass(frozen=True)
class Question:
    """One kind of leak in one set.

    keys    of the concerns that name it
    known   groups on the list
    same    of two cases: True, False, or None where nothing but the pixels could tell
    """

    name: str
    given: str
    keys: tuple[str, ...]
    known: tuple[Group, ...]
    same: Callable[[str, str], bool | None]


@dataclass(frozen=True)
class Known:
    """A data set with its leaks."""

    audited: Audited
    questions: tuple[Question, ...]
    withheld: tuple[Question, ...] = field(default=())  # asked again without the patients


def open_file(folder: Path, form: str, name: str) -> Image:
    return open_image([folder / name], form)


@dataclass(frozen=True)
class Rows:
    """Pictures that lie in one array per part of the split; names are "train[115]"."""

    images: Mapping[str, np.ndarray]

    def __call__(self, name: str) -> Image:
        part, row = name[:-1].split("[")
        array = self.images[part][int(row)]
        return Image(array[None, None], Grid.from_spacing((1, *array.shape), spacing_known=False, is_planar=True))


def by(key: Mapping[str, str], place: Mapping[str, str]) -> tuple[Group, ...]:
    """Groups of cases with one key that lie in more than one part; an empty key belongs to nothing."""
    members = defaultdict(set)
    for name, value in key.items():
        if value:
            members[value].add(name)
    return tuple(frozenset(group) for group in members.values() if len({place[name] for name in group}) > 1)


def equal(key: Mapping[str, str]) -> Callable[[str, str], bool | None]:
    return lambda one, other: key[one] == key[other]


def unknown(one: str, other: str) -> bool | None:
    return None


def manifest(folder: Path, column: str, split: str, patient: str = "") -> tuple[dict[str, dict[str, str]], Audited]:
    with open(folder / "manifest.csv", encoding="utf-8") as file:
        rows = {row[column]: row for row in csv.DictReader(file)}
    cases = [AuditedCase(name, row[patient] if patient else name, PARTS[row[split]]) for name, row in rows.items()]
    return rows, Audited(tuple(cases), partial(open_file, folder, "raster"), patients_known=bool(patient))


def nih(data: Path) -> Known:
    rows, audited = manifest(data / "nih_cxr_64", "path", "split_as_distributed", "nih_patient_id")
    place = {case.case_id: case.partition for case in audited.cases}
    patients = {name: row["nih_patient_id"] for name, row in rows.items()}
    told = Question(
        "NIH, patients in two parts", "patients", ("patient-in-two-partitions",), by(patients, place), equal(patients)
    )
    blind = Question("NIH, the same by content alone", "nothing", COPIES, by(patients, place), equal(patients))
    return Known(audited, (told,), (blind,))


def kermany(data: Path) -> Known:
    rows, audited = manifest(data / "kermany_cxr_224", "path", "leaky_resplit", "patient_group")
    place = {case.case_id: case.partition for case in audited.cases}
    patients = {name: row["patient_group"] for name, row in rows.items()}
    pixels = {name: row["pixel_md5"] for name, row in rows.items()}
    told = Question("Kermany, patients", "patients", ("patient-in-two-partitions",), by(patients, place), equal(patients))
    copies = Question("Kermany, identical films", "patients", COPIES[:1], by(pixels, place), equal(pixels))
    near = Question("Kermany, nearly identical films", "nothing", COPIES[1:], (), equal(patients))
    return Known(audited, (told, copies), (near,))


def brain(data: Path) -> Known:
    rows, audited = manifest(data / "brain_tumor_mr_2d", "image", "split_as_distributed")
    place = {case.case_id: case.partition for case in audited.cases}
    listed = by({name: row["near_duplicate_group"] for name, row in rows.items()}, place)
    return Known(audited, (Question("Brain MR, twins", "nothing", COPIES, listed, unknown),))


def dental(data: Path) -> Known:
    rows, audited = manifest(data / "dental_panoramic_detection", "image", "split_as_distributed")
    place = {case.case_id: case.partition for case in audited.cases}
    films = {name: Path(name).name.split("_")[0] for name in rows}
    return Known(
        audited, (Question("Dental, flipped copies (by file number)", "nothing", COPIES, by(films, place), equal(films)),)
    )


def medmnist(file: str, data: Path) -> tuple[Audited, dict[str, str]]:
    with np.load(data / "medmnist" / file) as stored:
        images = {part: stored[f"{part}_images"] for part in ("train", "val", "test")}
        labels = {part: stored[f"{part}_labels"][:, 0] for part in images}
    names = [(part, f"{part}[{k}]", k) for part, rows in images.items() for k in range(len(rows))]
    cases = [
        AuditedCase(name, name, PARTS[part], is_sealed=part == "test", truth_digest=f"{labels[part][k]}")
        for part, name, k in names
    ]
    pixels = {name: images[part][k].tobytes().hex() for part, name, k in names}
    return Audited(tuple(cases), Rows(images), patients_known=False), pixels


def breast(data: Path) -> Known:
    audited, pixels = medmnist("breastmnist.npz", data)
    listed = (frozenset(("train[115]", "test[76]")),)
    copies = Question("BreastMNIST, train[115] is test[76]", "nothing", COPIES[:1], listed, equal(pixels))
    truth = Question(
        "BreastMNIST, its contradicting label", "sealed", ("contradicting-truths-of-identical-images",), listed, unknown
    )
    near = Question("BreastMNIST, nearly identical images", "nothing", COPIES[1:], (), unknown)
    return Known(audited, (copies, truth, near))


def pneumonia(data: Path) -> Known:
    audited, pixels = medmnist("pneumoniamnist_reassembled.npz", data)
    place = {case.case_id: case.partition for case in audited.cases}
    copies = Question("PneumoniaMNIST, identical films", "nothing", COPIES[:1], by(pixels, place), equal(pixels))
    near = Question("PneumoniaMNIST, nearly identical films", "nothing", COPIES[1:], (), unknown)
    return Known(audited, (copies, near))


def hippocampus(data: Path) -> Known:
    """Partitions by the parity of the file number, so that every pair lies in two of them."""
    folder = data / "msd_hippocampus"
    with open(folder / "cases.csv", encoding="utf-8") as file:
        subjects = {row["case"]: row["presumed_subject"] for row in csv.DictReader(file)}
    place = {name: "training" if int(name[-3:]) % 2 else "internal" for name in subjects}
    cases = [AuditedCase(name, name, place[name]) for name in subjects]
    audited = Audited(tuple(cases), partial(open_volume, folder / "imagesTr"), patients_known=False)
    listed = by(subjects, place)
    return Known(
        audited, (Question("Hippocampus, two sides of one person", "nothing", ("siblings-by-content",), listed, equal(subjects)),)
    )


def open_volume(folder: Path, name: str) -> Image:
    return open_image([folder / f"{name}.nii.gz"], "nifti")


SETS: dict[str, Callable[[Path], Known]] = {
    "nih": nih,
    "kermany": kermany,
    "brain": brain,
    "dental": dental,
    "breast": breast,
    "pneumonia": pneumonia,
    "hippocampus": hippocampus,
}
