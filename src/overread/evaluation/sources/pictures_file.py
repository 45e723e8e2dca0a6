"""Answers that are images: `predictions/<partition>/<case_id>.nii.gz`, on the grid of the image that was read, as masks are.

One channel: one file of float32 numbers in the units of the truth. Several channels: one file each,
`<case_id>_<channel>.nii.gz`; another program may write them as one file with a fourth axis. NIfTI, because any viewer opens it,
the grid is in the file, and so is the mark that says that a network made it (`overread.imaging.made`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from overread.cohort.place import place_layers
from overread.core.errors import OverreadError, Refused
from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.kinds import Picture
from overread.core.question import Question
from overread.imaging.made import SyntheticMark
from overread.imaging.nifti import nifti_stem, open_nifti, write_nifti

SUFFIXES = (".nii.gz", ".nii")
MADE_BY = "answer of Overread"
ROOM = 79  # characters of a description in NIfTI


def picture_name(case_id: str, question: Question, channel: str) -> str:
    """File of one channel of an answer."""
    return f"{case_id}.nii.gz" if len(question.classes) == 1 else f"{case_id}_{channel.replace('/', '-')}.nii.gz"


def write_picture(folder: Path, case_id: str, answer: Picture, question: Question, *, is_phantom: bool) -> None:
    """Write the answer to one case, a file per channel.

    answer  array (C, Z, Y, X), one channel for each of `question.classes`, in the units of the truth
    """
    if answer.array.shape != (len(question.classes), *answer.grid.shape):
        raise OverreadError(
            f"The answer to {case_id} has the shape {answer.array.shape}; expected {len(question.classes)} channels "
            f"({', '.join(question.classes)}) on the grid {answer.grid.shape}.",
            "let the model read the case again",
        )
    wrong = int(np.count_nonzero(~np.isfinite(answer.array)))
    if wrong:
        raise OverreadError(
            f"The answer to {case_id}: {wrong} of {answer.array.size} voxels are NaN or infinite; numbers were expected.",
            "train again with a lower learning rate, or in full precision",
        )
    description = SyntheticMark("derived", MADE_BY, "", is_phantom=is_phantom).short(ROOM)
    for channel, volume in zip(question.classes, answer.array, strict=True):
        path = Path(folder) / picture_name(case_id, question, channel)
        write_nifti(path, np.asarray(volume, np.float32), answer.grid, description=description)


def picture_files(folder: Path, question: Question) -> dict[str, tuple[Path, ...]]:
    """case_id -> its files: one, or one per channel in the order of the question."""
    files = {nifti_stem(path): path for path in sorted(Path(folder).iterdir()) if path.name.endswith(SUFFIXES)}
    found: dict[str, tuple[Path, ...]] = {name: (path,) for name, path in files.items()}
    if len(question.classes) == 1:
        return found
    endings = [f"_{name.replace('/', '-')}" for name in question.classes]
    cases = [name.removesuffix(endings[0]) for name in files if name.endswith(endings[0])]
    for case in cases:
        paths = tuple(files[case + ending] for ending in endings if case + ending in files)
        if len(paths) == len(endings):
            found[case] = paths
    return found


def read_picture(case_id: str, paths: Sequence[Path], question: Question, grid: Grid, units: str) -> Picture:
    """The answer to one case; refused where it lies on another grid, lacks a channel or holds something that is no number.

    grid, units  of the truth, in which the answer is meant to be
    """
    parts = [open_nifti(path) for path in paths]
    what = f"the answer to {case_id}"
    array = np.concatenate([_placed(part, grid, what) for part in parts])
    if len(array) != len(question.classes):
        raise OverreadError(
            f"{paths[0].name}: {what} has {len(array)} channels; expected {len(question.classes)}: "
            f"{', '.join(question.classes)}.",
            "write one file with all channels in this order, or one file for each: CASE_CHANNEL.nii.gz",
        )
    return Picture(np.asarray(array, np.float32), grid, units)


def _placed(part: Image, grid: Grid, what: str) -> np.ndarray:
    """(C, Z, Y, X) on the grid of the truth, where the voxels are the same."""
    try:
        return place_layers(part.array, part.grid, grid, what=what)
    except Refused as refusal:
        sizes = [" x ".join(map(str, own.shape)) for own in (part.grid, grid)]
        raise Refused(
            "answer-on-another-grid",
            f"{what} does not lie on the grid of its image: {sizes[0]} voxels against {sizes[1]}, or another place or spacing.",
            "write the answer on the grid of the image that was read",
        ) from refusal
