"""Images for the reading room: real ones from a project or a folder, made ones from a folder; never one of the internal test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from overread.cohort.index import Cohort, partition_of_run, read_index, read_splits
from overread.cohort.load import load_image
from overread.core.case import Case
from overread.core.errors import OverreadError
from overread.imaging.digest import pixel_digest
from overread.imaging.door import open_found
from overread.imaging.found import Found
from overread.imaging.scan import scan, scan_file
from overread.reporting.generation.held import Held, held
from overread.workflow.project import Project

OPEN = ("training", "tuning")  # partitions whose images may be shown
FORMATS = "DICOM, NIfTI, PNG, JPEG, TIFF or .npz images"


@dataclass(frozen=True)
class Candidate:
    """An image that may be shown.

    unit     pseudonym of the patient; of made images, and of real ones without a known patient, a number of its own
    case_id  of a case of the project, else ""
    name     of the file, for the private key only
    """

    image: Held
    unit: str
    case_id: str = ""
    name: str = ""


def real_of_project(cohort: Cohort, partition: str, count: int, seed: int) -> list[Candidate]:
    """Acquired images of one open partition, patients before a second image of one."""
    origin = "simulated" if cohort.is_phantom else "acquired"
    cases = [case for case in cohort.of(partition) if case.origin == origin]
    if not cases:
        raise OverreadError(f"The {partition} partition has no real image.", "say --real with another partition or a folder")
    picked = islice(_patients_in_turn(cases, seed), count)
    return [Candidate(held(load_image(cohort, case)), case.patient_id, case.case_id) for case in picked]


def _patients_in_turn(cases: Sequence[Case], seed: int) -> list[Case]:
    drawn = np.random.default_rng([seed, 1]).permutation(len(cases))
    turn: dict[str, int] = {}
    turns = []
    for number in drawn:
        patient = cases[number].patient_id
        turns.append((turn.get(patient, 0), cases[number]))
        turn[patient] = turn.get(patient, 0) + 1
    return [case for _, case in sorted(turns, key=lambda pair: pair[0])]


def of_folder(
    folder: Path, kind: str, count: int, seed: int, sealed: Iterable[str], *, is_phantom: bool = False
) -> tuple[list[Candidate], list[str]]:
    """Images of a folder or of one file, drawn by chance; and what was left out, in words.

    kind        "real" or "made"
    sealed      digests of the pixels of all images of the internal test
    is_phantom  real images are those of a phantom
    """
    place, found = _listed(folder, kind)
    marked = [one for one in found if kind == "real" and _is_made(one, is_phantom)]
    if len(marked) == len(found):
        raise OverreadError(f"All images of {folder} are marked as synthetic.", "give --real a folder of acquired images")
    notes = [f"{len(marked)} images of the folder of real ones are marked as synthetic and were left out."] if marked else []
    fit = [one for one in found if one not in marked]
    drawn = np.random.default_rng([seed, 2 if kind == "real" else 3]).permutation(len(fit))
    hidden = frozenset(sealed)
    patients: dict[str, str] = {}
    kept: list[Candidate] = []
    left_out = 0
    for number in drawn:
        if len(kept) == count:
            break
        image = open_found(place, fit[number])
        if pixel_digest(image) in hidden:
            left_out += 1
            continue
        kept.append(Candidate(held(image), _unit(kind, fit[number], len(kept), patients), "", fit[number].files[0]))
    if not kept:
        raise OverreadError(
            f"All images of {folder} belong to the internal test, which is never shown.", "name another folder of images"
        )
    if left_out:
        notes.append(f"{left_out} {kind} images are images of the internal test, pixel by pixel, and were left out.")
    return kept, notes


def _is_made(found: Found, is_phantom: bool) -> bool:
    """A file that says that a network made or changed it, or a phantom's image among patients'."""
    return bool(found.attributes.get("made")) or (bool(found.attributes.get("synthetic")) and not is_phantom)


def _listed(folder: Path, kind: str) -> tuple[Path, list[Found]]:
    """The folder, and what in it can be shown."""
    if not folder.exists():
        raise OverreadError(f"The folder of {kind} images {folder} does not exist.", "check the path")
    found = list(scan_file(folder)) if folder.is_file() else list(scan(folder).eligible)
    if not found:
        raise OverreadError(f"{folder} holds no image that can be read.", f"give a folder of {FORMATS}")
    return (folder.parent if folder.is_file() else folder), found


def _unit(kind: str, found: Found, number: int, patients: dict[str, str]) -> str:
    """A number, the same one for all images of a patient that the files name."""
    if kind == "real" and found.patient:
        return patients.setdefault(found.patient, f"real-{len(patients) + 1:03d}")
    return f"{kind}-file-{number + 1:03d}"


def sealed_digests(project: Project) -> frozenset[str]:
    """Digests of the pixels of every image that is, or in some fold will be, a test."""
    splits = read_splits(project.path)
    if "fold" in splits:
        return frozenset(row.digest for row in read_index(project.path))
    partition: Mapping[str, str] = partition_of_run(splits, None)
    return frozenset(row.digest for row in read_index(project.path) if partition.get(row.case.case_id) == "internal")


def check_open(project: Project, real: str) -> None:
    """Real images of a project come from an open partition; where every case is a test in its turn, there is none."""
    if project.folds:
        raise OverreadError(
            "This project has folds, so every case is an internal test in its turn, and no image of it may be shown.",
            "say --real FOLDER with real images that are no part of this project",
        )
    if real == "internal":
        raise OverreadError("Images of the internal test are never shown.", f"say --real {' or --real '.join(OPEN)}")
