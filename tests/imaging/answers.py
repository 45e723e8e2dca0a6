"""Small images with an answer of every kind on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from imaging.make_dicom import DX, make_series, make_tags, write
from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.kinds import Boxes, Findings, Instances, LabelMap, Map, Measurements, Structure
from overread.imaging.dicom.volume import open_dicom
from overread.imaging.dicom.write_common import Algorithm

DEPTHS = [0.0, 2.5, 5.0, 7.5, 10.0]
ALGORITHM = Algorithm("liver-first", "1.2", "sha256:" + "ab" * 32)
COMPLETE = {  # what the standard asks of a CT slice, so that errors of a validator are those of our objects
    "StudyTime": "101500",
    "SyntheticData": "YES",
    "PositionReferenceIndicator": "",
    "PatientPosition": "HFS",
}


def ct(folder: Path, shape: tuple[int, int] = (24, 20), **changes: object) -> tuple[list[Path], Image]:
    """Five oblique slices."""
    volume = np.random.default_rng(3).integers(900, 1200, (len(DEPTHS), *shape)).astype(np.int16)
    turned = (0.96, 0.28, 0.0, -0.28, 0.96, 0.0)
    files = make_series(folder, DEPTHS, orientation=turned, volume=volume, **{**COMPLETE, **changes})
    return files, open_dicom(files)


def film(folder: Path) -> tuple[list[Path], Image]:
    pixels = np.random.default_rng(4).integers(0, 4000, (40, 32)).astype(np.uint16)
    tags = make_tags(pixels, DX, FrameOfReferenceUID=None, ImagerPixelSpacing=[0.2, 0.2], PatientOrientation=["L", "F"])
    files = [write(tags, folder / "film.dcm")]
    return files, open_dicom(files)


def structures(grid: Grid, *, overlap: bool = False) -> LabelMap:
    z, y, x = grid.shape
    layers = np.zeros((1 + overlap, *grid.shape), np.uint8)
    layers[0, z // 4 : z // 2 + 1, y // 4 : y // 2, x // 4 : x // 2] = 3
    if overlap:
        layers[1, z // 2, y // 3 : y // 2 + 2, x // 3 :] = 1
        return LabelMap(layers, (Structure("liver", 3, 0), Structure("lesion", 1, 1)), grid)
    layers[0, z // 2, y // 2 :, x // 2 :] = 7
    return LabelMap(layers, (Structure("liver", 3), Structure("left kidney", 7)), grid)


def instances(grid: Grid) -> Instances:
    z, y, x = grid.shape
    masks = np.zeros((2, *grid.shape), bool)
    masks[0, : z // 2 + 1, 1:4, 1:4] = True
    masks[1, z // 2, y - 5 :, x - 4 :] = True
    return Instances.of_masks(masks, ("nodule", "nodule"), np.array([0.9, 0.25]), grid)


def boxes(grid: Grid) -> Boxes:
    """Whole slices in depth; in the plane one on pixel edges, one between them."""
    z, y, x = grid.shape
    corners = np.array(
        [[[-0.5, 1.5, 2.5], [z // 2 + 0.5, 7.5, 9.5]], [[z - 1.5, y - 9.25, x - 8.5], [z - 0.5, y - 2.5, x - 1.75]]]
    )
    return Boxes(corners, ("nodule", "mass"), np.array([0.875, 0.31]), grid)


def heat(grid: Grid) -> Map:
    return Map(np.random.default_rng(5).random(grid.shape).astype(np.float32), grid, "probability", "liver")


FINDINGS = Findings({"pneumonia": 0.8312, "strange sign": 0.04, "effusion": None})
MEASUREMENTS = Measurements({"age": 63.25, "ejection fraction": 55.5, "weight": None}, {"age": "years", "ejection fraction": "%"})
