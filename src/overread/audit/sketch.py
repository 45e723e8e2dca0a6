"""A small description of one image, made once and used by every part of the audit: no file is opened twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from overread.audit.audited import Audited
from overread.cohort.progress import Progress, work_through
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.image import Image
from overread.imaging.digest import pixel_digest, sign_hashes
from overread.imaging.resample import resample_image

SIDE = 64  # of the small picture
VOLUME_SIDE = 16
STRIP = SIDE // 16  # rows of the small picture that make a border strip
CORNER_SIDE = 16
LOOKED_AT = 250_000  # voxels from which percentiles, levels and entropy are taken; more would not change them
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
BINS = 64
MIN_LEVELS = 8  # fewer make no ladder that could be told from chance
OFF_LADDER = 0.05  # of a step: what rounding to float32 and back leaves


@dataclass(frozen=True)
class Sketch:
    """One image, made small. Axes as on a display (canonical), the mean over channels.

    hash_bits    (8, 32) uint8: packed 256-bit hashes of the small picture as it is, flipped and turned, see
                 `overread.imaging.digest.sign_hashes`; the hash of the inverted picture has all bits reversed
    small        (64, 64) float32 in 0..1, its 1st to 99th percentile: the picture itself, or the mean over the slices
    volume       (16, 16, 16) float32 in 0..1 of a volume, scaled as `small`; `small[None]` of a picture
    intensities  minimum, maximum, mean, sd, p1 .. p99, share_of_minimum, share_of_maximum (shares of all voxels), n_levels,
                 entropy (bits), step (see `value_step`; 0 where there is none)
    border       (4, 64) float32 in 0..1: means of the outermost 1/16 of the picture at the top, bottom, left and right
    corners      (4, 16, 16) float32 in 0..1: corner patches (1/8 of each side), top left, top right, bottom left, bottom right
    digest       see `overread.imaging.digest.pixel_digest`
    value_type   of the voxels as the door gave them, for example "uint8"
    """

    hash_bits: np.ndarray
    small: np.ndarray
    volume: np.ndarray
    intensities: Mapping[str, float]
    border: np.ndarray
    corners: np.ndarray
    digest: str
    value_type: str

    @property
    def is_planar(self) -> bool:
        return self.volume.shape[0] == 1

    @property
    def is_blank(self) -> bool:
        """Every voxel has one value."""
        return self.intensities["minimum"] == self.intensities["maximum"]


def sketch(image: Image) -> Sketch:
    """Describe one image."""
    canonical = image.reoriented(*image.grid.canonical_axes()).array
    volume = canonical[0] if len(canonical) == 1 else canonical.mean(axis=0, dtype=np.float32)  # (Z, Y, X)
    picture = volume.mean(axis=0, dtype=np.float64).astype(np.float32)
    small = unit_range(_resized(picture[None], (1, SIDE, SIDE))[0])
    is_planar = volume.shape[0] == 1
    scaled = unit_range(picture)
    return Sketch(
        hash_bits=sign_hashes(small),
        small=small,
        volume=small[None] if is_planar else unit_range(_resized(volume, (VOLUME_SIDE,) * 3)),
        intensities=_intensities(volume) | {"step": value_step(_some_of(canonical[0]))},
        border=np.stack([small[:STRIP].mean(0), small[-STRIP:].mean(0), small[:, :STRIP].mean(1), small[:, -STRIP:].mean(1)]),
        corners=_corners(scaled),
        digest=pixel_digest(image),
        value_type=image.array.dtype.name,
    )


def sketches(audited: Audited, progress: Progress | None = None, refused: dict[str, str] | None = None) -> dict[str, Sketch]:
    """Describe every image; a case that cannot be opened is left out.

    refused  filled with case_id -> why it could not be opened; the text may name a file, so it is for the terminal only
    """
    names = [case.case_id for case in audited.cases]
    found: dict[str, Sketch] = {}
    for name, one in zip(
        names, work_through(partial(_sketched, audited.open_image), names, "Looking at the images", progress), strict=True
    ):
        if isinstance(one, Sketch):  # across processes the shared memory of a picture and its "volume" was lost
            found[name] = replace(one, volume=one.small[None]) if one.is_planar else one
        elif refused is not None:
            refused[name] = one
    return found


def unit_range(values: np.ndarray) -> np.ndarray:
    """The 1st to 99th percentile as 0..1, clipped; zeros where all values are one."""
    low, high = np.percentile(values, (1, 99))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    if high <= low:
        return np.zeros(values.shape, np.float32)
    return np.clip((values - low) / (high - low), 0, 1).astype(np.float32)


def value_step(values: np.ndarray) -> float:
    """The distance between neighbouring grey levels where all values lie on an even ladder; 0 where they do not.

    A scanner counts in integers; software that scales them to physical or normalised numbers leaves a ladder whose step
    is the factor of that one scan, exact to about one part in a million in float32.
    """
    levels = np.unique(values).astype(np.float64)
    gaps = np.diff(levels)
    if len(gaps) < MIN_LEVELS:
        return 0.0
    step = float(np.median(gaps[gaps < 1.5 * gaps.min()]))
    rungs = np.rint(gaps / step)
    if np.abs(gaps / step - rungs).max() > OFF_LADDER:
        return 0.0
    return float((levels[-1] - levels[0]) / rungs.sum())


def _sketched(open_image: Callable[[str], Image], name: str) -> Sketch | str:
    """The sketch of a case, or why there is none."""
    try:
        return sketch(open_image(name))
    except OverreadError as error:
        return error.what


def _resized(volume: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """(Z, Y, X) -> `shape` float32; what is made smaller is smoothed first."""
    grid = Grid.from_spacing((volume.shape[0], volume.shape[1], volume.shape[2]))
    return resample_image(volume[None], grid, grid.with_shape(shape))[0]


def _some_of(values: np.ndarray) -> np.ndarray:
    flat = values.ravel()
    return flat[:: max(1, flat.size // LOOKED_AT)]


def _corners(picture: np.ndarray) -> np.ndarray:
    height, width = (max(1, -(-side // 8)) for side in picture.shape)
    patches = (picture[:height, :width], picture[:height, -width:], picture[-height:, :width], picture[-height:, -width:])
    return np.stack([_resized(patch[None], (1, CORNER_SIDE, CORNER_SIDE))[0] for patch in patches])


def _intensities(volume: np.ndarray) -> dict[str, float]:
    low, high = float(volume.min()), float(volume.max())
    some = _some_of(volume)
    found = {
        "minimum": low,
        "maximum": high,
        "mean": float(volume.mean(dtype=np.float64)),
        "sd": float(volume.std(dtype=np.float64)),
        **{f"p{p}": float(value) for p, value in zip(PERCENTILES, np.percentile(some, PERCENTILES), strict=True)},
        "share_of_minimum": float((volume == volume.min()).mean()),
        "share_of_maximum": float((volume == volume.max()).mean()),
        "n_levels": float(len(np.unique(some))),
    }
    counts = np.histogram(some.astype(np.float64), bins=BINS, range=(low, high) if high > low else (low, low + 1))[0]
    shares = counts[counts > 0] / counts.sum()
    return found | {"entropy": float(-(shares * np.log2(shares)).sum())}
