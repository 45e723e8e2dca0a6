"""Probability maps of masks on disk: `<folder of answers>/probabilities/`, ours or anybody's.

`<case_id>_<structure>.nii.gz` on the grid of the image; where several structures exclude each other,
`<case_id>_background.nii.gz` beside them. `probabilities.json` says how ours are written (codes, see
`overread.metrics.probability_code`) and of which model they are; without it the files hold plain probabilities, 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from overread.cohort.place import place_layers
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import LabelMap
from overread.core.question import Question
from overread.imaging.nifti import open_nifti
from overread.metrics.probability_code import CODING, LEAST, encode_where
from overread.metrics.voxel_table import Crop, VoxelMaps, VoxelTable, voxel_tables
from overread.record.files import read_json

FOLDER = "probabilities"
ABOUT = "probabilities.json"
BACKGROUND = "background"


def map_name(case_id: str, structure: str) -> str:
    """File of a map."""
    return f"{case_id}_{structure.replace('/', '-')}.nii.gz"


@dataclass(frozen=True)
class MapFiles:
    """The maps of one case, opened when they are needed, in whichever process.

    temperature  frozen in the model; 1.0 for maps of other programs
    is_coded     codes of ours; else plain probabilities
    """

    case_id: str
    structures: tuple[tuple[str, Path], ...]
    background: Path | None
    temperature: float
    is_coded: bool
    exclusive: bool

    def open(self, grid: Grid) -> VoxelMaps:
        """One whole volume in memory at a time; what is kept is cropped to where there is anything."""
        crops = {name: self._crop(path, grid) for name, path in self.structures}
        background = None if self.background is None else self._crop(self.background, grid)
        return VoxelMaps(crops, background, grid, self.exclusive)

    def tables(self, truth: LabelMap) -> dict[str, VoxelTable]:
        return voxel_tables(truth, self.open(truth.grid), self.temperature)

    def _crop(self, path: Path, grid: Grid) -> Crop:
        image = open_nifti(path)
        what = f"the probability map of {self.case_id}"
        values = place_layers(image.array, image.grid, grid, what=what)[0]
        if self.is_coded:
            return Crop.of(np.asarray(values, np.uint8))
        low, high = float(values.min(initial=0)), float(values.max(initial=0))
        if low < -1e-6 or high > 1 + 1e-6:
            raise OverreadError(
                f"{path.name} holds values from {low:g} to {high:g}; probabilities lie between 0 and 1.",
                "write probabilities, not scores before the softmax and not percentages",
            )
        return Crop.of(encode_where(values >= LEAST, values))


@dataclass(frozen=True)
class Maps:
    """The maps of some answers.

    by_case  empty where there are none, or not of every case
    missing  why there are none to use, "" where there are
    """

    by_case: dict[str, MapFiles]
    missing: str


def find_maps(
    answers: Path, question: Question, case_ids: Sequence[str], *, temperature: float = 1.0, model: str | None = None
) -> Maps:
    """The maps beside answers; all cases or none, as leaving out the hard ones would flatter.

    case_ids  names in the files, of all answered cases
    model     whose answers these are; maps of another model are refused
    """
    folder = answers / FOLDER
    if not folder.is_dir():
        return Maps({}, "no probability maps")
    about = read_json(folder / ABOUT) if (folder / ABOUT).exists() else {}
    coding = about.get("coding")
    if coding not in (None, CODING):
        raise OverreadError(
            f"{folder} is written as '{coding}'; this version reads '{CODING}'.", "let the model read the cases again"
        )
    if model and about.get("model") and about["model"] != model:
        raise OverreadError(
            f"The probability maps in {folder} come from the model {about['model'][:19]}..., the answers beside them from "
            f"{model[:19]}...",
            "let one model write both, or remove the folder of maps",
        )
    several = question.exclusive and len(question.classes) > 1
    found, lacking = {}, []
    for case_id in case_ids:
        paths = tuple((name, folder / map_name(case_id, name)) for name in question.classes)
        background = folder / map_name(case_id, BACKGROUND) if several and temperature != 1.0 else None
        needed = [path for _, path in paths] + ([background] if background is not None else [])
        if all(path.exists() for path in needed):
            found[case_id] = MapFiles(case_id, paths, background, temperature, coding is not None, question.exclusive)
        else:
            lacking.append(case_id)
    if not case_ids or len(lacking) == len(case_ids):
        return Maps({}, "no probability maps")
    if lacking:
        return Maps({}, f"{len(lacking)} of {len(case_ids)} cases have no probability map")
    return Maps(found, "")
