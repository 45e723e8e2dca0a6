"""What the volume formats (NIfTI, NRRD, MetaImage) share: header facts, axes, channels, sizes that are refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from overread.core.errors import Refused
from overread.core.grid import Grid
from overread.imaging.made import Made, made_in
from overread.imaging.shear import shear_fault

MAXIMUM_CHANNELS = 8  # a fourth axis up to this long is modalities (Decathlon has 2 or 4); longer is a time series
MAXIMUM_BYTES = 2 << 30  # stored and working copy of one image together
SYNTHETIC_WORD = "PHANTOM"
COLOURS = ("red", "green", "blue", "alpha")


@dataclass(frozen=True)
class VolumeHeader:
    """What a volume file says before its voxels are read.

    grid         where the voxels lie; LPS mm
    components   length of the channel axis; 1 for a plain volume
    kind         "volume", "modalities" or "colour"
    description  free text of the file; the word PHANTOM marks simulated images
    notes        what was assumed and why, in plain words
    companions   files that belong to this one (voxels of a detached header), relative to its folder
    """

    grid: Grid
    components: int = 1
    kind: str = "volume"
    description: str = ""
    notes: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()

    @property
    def made(self) -> Made | None:
        """Whether a network made or changed the image, as its description says."""
        return made_in([self.description])

    @property
    def is_simulated(self) -> bool:
        return self.made.is_phantom if self.made else SYNTHETIC_WORD in self.description.upper()

    @property
    def units(self) -> str:
        """HU where the description says so, as our own phantom's does; none of these formats has a field for it."""
        return "HU" if "HU" in self.description.split() else "a.u."

    @property
    def shear(self) -> str:
        """What is wrong with axes that are not at right angles, which opening straightens only if asked to; else ""."""
        return shear_fault(self.grid)

    @property
    def channels(self) -> tuple[str, ...]:
        return channel_names(self.kind, self.components)

    def source(self, format: str) -> dict[str, Any]:
        """`Image.source` of a file with this header."""
        known: dict[str, Any] = {"format": format, "is_simulated": self.is_simulated}
        known |= {"made": self.made.kind} if self.made else {}
        return known | ({"notes": list(self.notes)} if self.notes else {})


def channel_names(kind: str, count: int) -> tuple[str, ...]:
    if kind == "colour":
        return COLOURS[:count]
    return ("image",) if count == 1 else tuple(f"channel_{k}" for k in range(count))


def grid_of(sizes: Sequence[int], affine: np.ndarray, name: str, *, spacing_known: bool = True) -> Grid:
    """The grid of file axes x, y, z.

    sizes   voxels along x, y (and z)
    affine  (4, 4): index (x, y, z) -> LPS mm
    """
    x, y, z = (*sizes, 1)[:3]
    turned = np.array(affine, dtype=float)
    turned[:, :3] = turned[:, 2::-1]
    grid = Grid((z, y, x), turned, spacing_known, is_planar=z == 1)
    if not grid.is_invertible:
        raise Refused(
            "bad-affine",
            f"{name}: its affine {np.round(np.asarray(affine)[:3], 4).tolist()} does not map voxels to distinct places.",
            "write the file again with the scanner's geometry",
        )
    return grid


def count_channels(name: str, length: int, index: int | None, *, is_colour: bool = False) -> tuple[int, str]:
    """(components, kind) of an axis that is not space; a long one is refused unless one volume is asked for."""
    if is_colour:
        return length, "colour"
    if length > MAXIMUM_CHANNELS and index is None:
        raise Refused(
            "four-dimensional",
            f"{name} holds {length} volumes; expected one, or up to {MAXIMUM_CHANNELS} that are channels.",
            "split the series into volumes, one file each",
        )
    return length, "modalities" if length > 1 else "volume"


def choose(array: np.ndarray, header: VolumeHeader, index: int | None, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """One volume of several, or all as channels. array (C, Z, Y, X)."""
    if index is None or header.components == 1:
        return array, header.channels
    check_index(index, header.components, name)
    return array[index : index + 1], ("image",)


def check_index(index: int, count: int, name: str) -> None:
    if not 0 <= index < count:
        raise Refused("no-such-volume", f"{name} has {count} volumes; there is no volume {index}.", f"give 0 to {count - 1}")


def refuse_large(name: str, sizes: Sequence[int], dtype: np.dtype[Any]) -> int:
    """Bytes of the stored voxels; refused, before anything is allocated, where there is no reading them."""
    voxels = math.prod(int(n) for n in sizes)
    if voxels <= 0:
        raise Refused("no-pixels", f"{name} has the shape {tuple(sizes)}; expected every axis to have voxels.")
    stored = voxels * dtype.itemsize
    needed = stored + (0 if is_working(dtype) else 4 * voxels)
    if needed > MAXIMUM_BYTES:
        raise Refused(
            "too-large",
            f"{name} needs {needed / 2**30:.1f} GiB to open ({' x '.join(map(str, sizes))} voxels); "
            f"at most {MAXIMUM_BYTES >> 30} GiB are opened at once.",
            "crop it, or save it with fewer or smaller voxels",
        )
    return stored


def is_working(dtype: np.dtype[Any]) -> bool:
    """Types that stay as they are: integers up to 16 bits, int32 and float32 in the machine's byte order."""
    small = (dtype.kind in "iu" and dtype.itemsize <= 2) or dtype in (np.dtype(np.int32), np.dtype(np.float32))
    return dtype.isnative and small


def as_working(array: np.ndarray) -> np.ndarray:
    """Integers up to 32 bits stay; wider ones and all real numbers become float32, labels by way of int32."""
    if array.dtype.kind == "b":
        return array.astype(np.uint8)
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):  # beyond float32 becomes infinite, and that is refused by name
            return array.astype(np.float32, copy=False)
    native = array.dtype.newbyteorder("=")
    if is_working(native):
        return array.astype(native, copy=False)
    limits = np.iinfo(np.int32)
    fits = array.size == 0 or (array.max() <= limits.max and array.min() >= limits.min)
    return array.astype(np.int32 if fits else np.float32)


def open_for_reading(path: Path) -> Path:
    """The path, refused where there is no file or nothing in it."""
    path = Path(path)
    if not path.is_file():
        raise Refused("missing-file", f"{path} does not exist.", "check the path, or scan the folder again")
    if path.stat().st_size == 0:
        raise Refused("empty-file", f"{path.name} has zero bytes.", "fetch the file again")
    return path
