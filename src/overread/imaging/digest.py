"""Digests that tell whether two files, or two images in different files, are the same."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from overread.core.grid import Grid
from overread.core.image import Image
from overread.imaging.resample import resample_image
from overread.record.files import digest_bytes, digest_file

HASH_SIDE = 16  # a perceptual hash compares 16 x 16 neighbours
NEAR_BITS = 12  # of 256: images that differ in fewer bits look the same


def digest_image_file(files: Sequence[Path]) -> str:
    """Digest of the bytes of one file or of all files of a series, whatever their names and order."""
    digests = sorted(digest_file(Path(path)) for path in files)
    return digests[0] if len(digests) == 1 else digest_bytes(digest.encode() for digest in digests)


def pixel_digest(image: Image) -> str:
    """Digest of the voxel values alone: equal for one image as DICOM, NIfTI or PNG, however its axes were stored."""
    canonical = image.reoriented(*image.grid.canonical_axes())
    state = hashlib.sha256(repr(canonical.array.shape).encode())
    for channel in canonical.array:
        for plane in channel:
            state.update((np.ascontiguousarray(plane, dtype="<f4") + np.float32(0)).tobytes())  # adding 0 makes -0.0 and 0.0 one
    return "pixels:" + state.hexdigest()


def perceptual_hash(image: Image) -> str:
    """64 hex digits that stay nearly the same under rescaled intensities, size and compression.

    The mean over channels and slices is shrunk to 16 x 17; each bit says whether a value is larger than its
    left neighbour (difference hash, as in Krawetz, "Kind of Like That", 2013).
    """
    canonical = image.reoriented(*image.grid.canonical_axes())
    mean = canonical.array.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
    grid = Grid.from_spacing((1, *mean.shape), is_planar=True)
    small = resample_image(mean[None, None], grid, grid.with_shape((1, HASH_SIDE, HASH_SIDE + 1)))[0, 0]
    bits = small[:, 1:] > small[:, :-1] + 1e-6 * max(float(np.abs(small).max()), 1e-12)
    return np.packbits(bits).tobytes().hex()


def hash_distance(one: str, other: str) -> int:
    """Number of bits in which two perceptual hashes differ; below `NEAR_BITS` the images look the same."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


def sign_hashes(picture: np.ndarray) -> np.ndarray:
    """Hashes of a picture as it is, flipped and turned.

    A bit says whether one of the 256 slowest waves in the picture (discrete cosine transform) has a positive sign, so
    that brightness and contrast do not matter; inverting the picture reverses every bit. The slowest waves come first.
    Source: the perceptual hash of Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010,
    with signs in place of medians.

    picture  (N, N) float, N at least 17
    returns  (8, 32) uint8, packed: the picture, its rows reversed, its columns reversed, both; then the same of its transpose
    """
    cosines, order = _waves(len(picture))
    waves = cosines @ picture.astype(np.float64) @ cosines.T
    odd = np.where(np.arange(1, HASH_SIDE + 1) % 2, -1.0, 1.0)  # reversing an axis reverses its odd waves
    variants = [turned * rows * columns for turned in (waves, waves.T) for columns in (1.0, odd) for rows in (1.0, odd[:, None])]
    return np.stack([np.packbits(variant.ravel()[order] > 0) for variant in variants])


@lru_cache(maxsize=4)
def _waves(side: int) -> tuple[np.ndarray, np.ndarray]:
    """(16, side) cosines without the one that does not change, as light from one side is no content; order, slowest first."""
    number = np.arange(1, HASH_SIDE + 1)
    cosines = np.cos(np.pi / side * np.outer(number, np.arange(side) + 0.5))
    return cosines, np.argsort(np.maximum(number[:, None], number).ravel(), kind="stable")
