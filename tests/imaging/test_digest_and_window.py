"""The same image in other files, and grey values on a screen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from imaging.make_dicom import make_series
from overread.core.grid import Grid
from overread.core.image import Image
from overread.imaging.dicom.volume import open_dicom
from overread.imaging.digest import NEAR_BITS, digest_image_file, hash_distance, perceptual_hash, pixel_digest
from overread.imaging.nifti import open_nifti, write_nifti
from overread.imaging.raster import open_raster
from overread.imaging.window import WINDOWS, display_range, window


def test_one_image_in_two_formats_has_one_digest(tmp_path: Path) -> None:
    files = make_series(tmp_path, [0.0, 2.0, 4.0])
    image = open_dicom(files)
    write_nifti(tmp_path / "a.nii.gz", image.array[0].astype(np.float32), image.grid)
    copy = open_nifti(tmp_path / "a.nii.gz")
    assert pixel_digest(copy) == pixel_digest(image)
    assert pixel_digest(image.reoriented((2, 0, 1), (True, False, True))) == pixel_digest(image)
    changed = Image(image.array + np.int16(1), image.grid)
    assert pixel_digest(changed) != pixel_digest(image)
    assert digest_image_file(files) == digest_image_file(files[::-1])
    assert digest_image_file(files) != digest_image_file(files[:2])


def test_a_perceptual_hash_survives_rescaling_and_compression(shared_data: Path, tmp_path: Path) -> None:
    films = sorted((shared_data / "kermany_cxr_224" / "test").rglob("*.jpeg"))[:8]
    images = [open_raster(film) for film in films]
    hashes = [perceptual_hash(image) for image in images]
    for image, own in zip(images, hashes, strict=True):
        brighter = Image(image.array.astype(np.float32) * 3 + 100, image.grid)
        assert hash_distance(perceptual_hash(brighter), own) <= 2
        small = Pillow.fromarray(image.array[0, 0]).resize((150, 150))
        small.save(tmp_path / "small.jpg", quality=70)
        assert hash_distance(perceptual_hash(open_raster(tmp_path / "small.jpg")), own) < NEAR_BITS
    apart = [hash_distance(a, b) for k, a in enumerate(hashes) for b in hashes[k + 1 :]]
    assert min(apart) > NEAR_BITS


def test_windows() -> None:
    np.testing.assert_allclose(window(np.array([-200, -150, 50, 250, 400]), 50, 400), [0, 0, 0.5, 1, 1])
    assert WINDOWS["lung"].range == (-1350, 150)


def test_display_ranges() -> None:
    grid = Grid.from_spacing((1, 10, 10))
    array = np.arange(100, dtype=np.float32).reshape(1, 1, 10, 10)
    assert display_range(Image(array, grid, "HU")) == WINDOWS["abdomen"].range
    assert display_range(Image(array.astype(np.uint8), grid)) == (0, 255)
    assert display_range(Image(array, grid, source={"window": (40.0, 20.0)})) == (30, 50)
    low, high = display_range(Image(array, grid))
    assert 0 < low < 5 < 95 < high < 100
    low, high = display_range(Image(array * 0, grid))
    assert low < high
    assert display_range(Image(array, grid)) == pytest.approx((low := 1.49, high := 98.51), abs=0.01)
