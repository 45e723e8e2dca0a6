"""NumPy archives as MedMNIST writes them: rows of small images with labels. Pickled objects are never read.

Source: Yang et al., "MedMNIST v2", Scientific Data 10, 41 (2023).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from overread.core.errors import Refused
from overread.core.grid import Grid
from overread.core.image import Image
from overread.imaging.finite import refuse_not_finite
from overread.imaging.npz_members import member, member_shapes
from overread.imaging.volumes import as_working

GIVEN_PARTITIONS = {"train": "training", "val": "tuning", "test": "internal"}
COLOURS = ("red", "green", "blue")


@dataclass(frozen=True)
class NpzPart:
    """One member of images: rows `start` to `start + count` of the file.

    split      "train", "val", "test", or "" where the file has one array of images
    row_shape  shape of one row: (Y, X), (Y, X, C) or (Z, Y, X)
    """

    split: str
    member: str
    start: int
    count: int
    row_shape: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(Z, Y, X) of one row."""
        if len(self.row_shape) == 2:
            return (1, *self.row_shape)
        return (1, *self.row_shape[:2]) if _has_channels(self.row_shape) else self.row_shape  # type: ignore[return-value]


def read_npz_parts(path: Path) -> tuple[NpzPart, ...]:
    """The image members of an archive in the order train, val, test; only their headers are read."""
    shapes = member_shapes(Path(path))
    names = [f"{split}_images" for split in GIVEN_PARTITIONS if f"{split}_images" in shapes]
    names = names or [name for name in ("images", "image") if name in shapes]
    if not names:
        raise Refused(
            "no-images",
            f"{Path(path).name} has the arrays {', '.join(shapes) or 'none'}; expected train_images, val_images, test_images.",
            "name the arrays as MedMNIST does, or a single one 'images'",
        )
    parts: list[NpzPart] = []
    for name in names:
        count, *row_shape = shapes[name] or (0,)
        if len(row_shape) not in (2, 3) or min(row_shape) < 1:
            raise Refused("bad-shape", f"{Path(path).name}: {name} has the shape {shapes[name]}; expected N x Y x X.")
        start = parts[-1].start + parts[-1].count if parts else 0
        split = name.removesuffix("_images") if name.endswith("_images") else ""
        parts.append(NpzPart(split, name, start, count, tuple(row_shape)))
    return tuple(parts)


def read_npz_labels(path: Path) -> dict[str, np.ndarray]:
    """The labels of each split, (N, K) as stored; empty where the file has none."""
    labels: dict[str, np.ndarray] = {}
    shapes = member_shapes(Path(path))
    for part in read_npz_parts(path):
        name = part.member.replace("images", "labels").replace("image", "label")
        if name in shapes:
            array = member(Path(path), name)
            if len(array) != part.count:
                raise Refused("label-count", f"{Path(path).name}: {part.count} rows of images but {len(array)} of {name}.")
            labels[part.split] = array.reshape(len(array), -1)
    return labels


def open_npz(path: Path, index: int | None) -> Image:
    """One row as an image without spacing: planar, or a volume for N x Z x Y x X."""
    path = Path(path)
    part, row = _row(path, index)
    array = as_working(np.asarray(member(path, part.member)[row]))
    has_channels = array.ndim == 3 and _has_channels(array.shape)
    array = array.transpose(2, 0, 1)[:, None] if has_channels else array.reshape(1, *part.shape)
    refuse_not_finite(array, f"{path.name} row {index}")
    grid = Grid.from_spacing(part.shape, spacing_known=False, is_planar=part.shape[0] == 1)
    return Image(array, grid, "a.u.", COLOURS if len(array) == 3 else ("image",), {"format": "npz", "is_simulated": False})


def open_npz_masks(path: Path, index: int | None) -> tuple[np.ndarray, Grid]:
    """One row of <split>_masks: (1, Z, Y, X) integers and its grid."""
    path = Path(path)
    part, row = _row(path, index)
    name = part.member.replace("images", "masks").replace("image", "mask")
    if name not in member_shapes(path):
        raise Refused("no-masks", f"{path.name} has no array {name}.", "add it, or use labels instead of masks")
    grid = Grid.from_spacing(part.shape, spacing_known=False, is_planar=part.shape[0] == 1)
    masks = member(path, name)
    if masks.shape[:1] != (part.count,) or math.prod(masks.shape[1:]) != math.prod(part.shape):
        what = f"{path.name}: {name} has the shape {masks.shape}; its images are {part.count} of {part.shape}."
        raise Refused("mask-shape", what, "give each image a mask of its size")
    return as_working(np.asarray(masks[row])).reshape(1, *part.shape), grid


def _row(path: Path, index: int | None) -> tuple[NpzPart, int]:
    parts = read_npz_parts(path)
    for part in parts:
        if index is not None and part.start <= index < part.start + part.count:
            return part, index - part.start
    total = parts[-1].start + parts[-1].count
    raise Refused("no-such-row", f"{path.name} has rows 0 to {total - 1}; there is no row {index}.", "give the row to open")


def _has_channels(row_shape: tuple[int, ...]) -> bool:
    return len(row_shape) == 3 and row_shape[-1] in (1, 3)
