"""Masks of any program, and their truths, as two folders with the same file names (as nnU-Net writes them)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from overread.cohort.layouts import structures_of
from overread.cohort.load import label_map
from overread.cohort.place import place_layers
from overread.core.errors import OverreadError, Refused
from overread.core.grid import Grid
from overread.core.kinds import LabelMap
from overread.core.question import Question
from overread.evaluation.answered import NO_FOLD, NO_MAPS
from overread.evaluation.sources.foreign import match_ids
from overread.evaluation.voxels.maps import FOLDER, MapFiles
from overread.imaging.inspect import inspect_file
from overread.imaging.labels import open_labels
from overread.record.files import read_json

SUFFIXES = {
    ".nii.gz": "nifti", ".nii": "nifti", ".nrrd": "nrrd", ".nhdr": "nrrd", ".mha": "mha", ".mhd": "mha",
    ".png": "raster", ".tif": "raster", ".tiff": "raster",
}  # fmt: skip


@dataclass(frozen=True)
class ForeignPair:
    """Two mask files of one case.

    spacing  (Z, Y, X) mm, for formats that carry none; None leaves it unknown
    """

    case_id: str
    patient_id: str
    truth: Path
    answer: Path
    question: Question
    spacing: tuple[float, float, float] | None = None
    fold: int = NO_FOLD
    maps: MapFiles | str = NO_MAPS

    def load(self) -> tuple[LabelMap, LabelMap]:
        layers, grid = open_mask(self.truth, self.spacing)
        answer, source = open_mask(self.answer, self.spacing)
        placed = place_layers(answer, source, grid, what=f"the answer to {self.case_id}")
        return (
            label_map(f"the truth of {self.case_id}", layers, self.question, grid),
            label_map(f"the answer to {self.case_id}", placed, self.question, grid),
        )


def match_folders(truth: Path, answers: Path) -> tuple[dict[str, tuple[Path, Path]], tuple[str, ...]]:
    """Case -> (truth file, answer file), matched by the name without its suffix; and notes."""
    true, answered = mask_files(truth), mask_files(answers)
    ids = match_ids(sorted(true), sorted(answered), str(truth), str(answers))
    _refuse_made(truth, [true[i] for i in ids])
    extra = len(answered) - len(ids)
    notes = (f"{extra} answers have no truth and are left out.",) if extra else ()
    return {i: (true[i], answered[i]) for i in ids}, notes


def _refuse_made(folder: Path, truths: Sequence[Path]) -> None:
    """A truth that was drawn on, or by, what a network made is none: the file says so in its header."""
    made = [path for path in truths if inspect_file(path.parent, path.name).facts.get("made")]
    if made:
        raise Refused(
            "made-by-a-network",
            f"{len(made)} of {len(truths)} truths in {folder} say that a network made or changed them or their image, "
            f"{made[0].name} for example. A score against them says nothing about patients.",
            "give truths of images that a scanner took",
        )


def structures(truth: Path, files: Mapping[str, tuple[Path, Path]], classes: Mapping[str, int] | None) -> Question:
    """The structures of two folders of masks."""
    return structures_in(truth, [path for pair in files.values() for path in pair], classes)


def structures_in(folder: Path, files: Sequence[Path], classes: Mapping[str, int] | None) -> Question:
    """The structures: as said; or as a dataset.json in the folder or above it says; or every value in any file."""
    classes = described(folder) if classes is None else classes
    if classes is None:
        found = {int(v) for path in files for v in np.unique(open_mask(path)[0])} - {0}
        classes = {f"label {value}": value for value in sorted(found)}
    if not classes:
        raise OverreadError(
            f"No mask in {folder} holds anything but 0.", "look at the files, or name the structures, each with --class"
        )
    return Question("segmentation", tuple(classes), tuple(classes.values()))


def described(folder: Path) -> dict[str, int] | None:
    """Structure -> value, as a dataset.json in the folder or above it says; None where none does."""
    path = next((p / "dataset.json" for p in (folder, folder.parent) if (p / "dataset.json").exists()), None)
    return structures_of(read_json(path)) if path is not None else None


def mask_files(folder: Path) -> dict[str, Path]:
    """Case -> mask file below a folder, named by the file without its suffix."""
    if not folder.is_dir():
        raise OverreadError(f"{folder} is not a folder of masks.", "give a folder of .nii.gz (or .png) files, one per case")
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        suffix = _suffix(path)
        if suffix is None or path.name.startswith(".") or FOLDER in path.relative_to(folder).parts[:-1]:
            continue
        name = path.name[: -len(suffix)]
        if name in found:
            raise OverreadError(f"{path} and {found[name]} have one name.", "name every mask after its case, once")
        found[name] = path
    return found


def _suffix(path: Path) -> str | None:
    return next((s for s in SUFFIXES if path.name.lower().endswith(s)), None)


def open_mask(path: Path, spacing: Sequence[float] | None = None) -> tuple[np.ndarray, Grid]:
    """(L, Z, Y, X) labels and their grid; `spacing` for formats that carry none."""
    layers, grid = open_labels([path], SUFFIXES[_suffix(path) or ".nii"])
    if spacing is None or grid.spacing_known:
        return layers, grid
    given = (float(spacing[0]), float(spacing[1]), float(spacing[2]))
    return layers, replace(Grid.from_spacing(grid.shape, given), is_planar=grid.is_planar)
