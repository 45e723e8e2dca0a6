"""The one way in, for the formats beside DICOM: files that belong together, straightening, and damage of every kind."""

from __future__ import annotations

import random
import warnings
import zipfile
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import tifffile
from PIL import Image as Pillow

from overread.core.errors import OverreadError, Refused
from overread.imaging.door import FORMATS, open_image
from overread.imaging.labels import open_labels
from overread.imaging.npz import open_npz, open_npz_masks, read_npz_parts

VOXELS = np.random.default_rng(0).integers(0, 900, (6, 7, 8)).astype(np.int16)


def oracle(path: Path) -> Path:
    image = sitk.GetImageFromArray(VOXELS)
    image.SetSpacing((1, 2, 3))
    sitk.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize(("name", "format"), [("a.mhd", "mha"), ("a.nhdr", "nrrd"), ("a.hdr", "nifti")])
def test_a_header_and_its_voxels_are_one_image(tmp_path: Path, name: str, format: str) -> None:
    header = oracle(tmp_path / name)
    voxels = next(path for path in tmp_path.iterdir() if path != header)
    for files in ([header], [header, voxels]):
        np.testing.assert_array_equal(open_image(files, format).array[0], VOXELS)
        assert open_labels(files, format)[0].shape == (1, 6, 7, 8)
    other = oracle(tmp_path / f"b{header.suffix}")
    with pytest.raises(OverreadError, match="is one file; got 2"):
        open_image([header, voxels, other], format)
    assert open_labels([header, voxels, other], format)[0].shape == (2, 6, 7, 8)


@pytest.mark.parametrize(("name", "format"), [("a.mha", "mha"), ("a.nrrd", "nrrd"), ("a.nii.gz", "nifti")])
def test_formats_agree_and_open_from_archives(tmp_path: Path, name: str, format: str) -> None:
    path = oracle(tmp_path / name)
    image = open_image([path], format)
    np.testing.assert_allclose(image.grid.spacing, (3, 2, 1))
    np.testing.assert_allclose(image.grid.affine[:3, 3], 0)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(path, f"inside/{name}")
    np.testing.assert_array_equal(open_image([tmp_path / "a.zip" / "inside" / name], format).array, image.array)


def test_axes_that_are_not_square_are_refused_or_straightened(tmp_path: Path) -> None:
    affine = np.diag([1.0, 1, 2, 1])
    affine[0, 2] = 0.6
    nib.save(nib.Nifti1Image((VOXELS > 450).astype(np.uint8), affine), tmp_path / "a.nii")
    nrrd.write(
        str(tmp_path / "a.nrrd"), VOXELS, {"space": "RAS", "space directions": affine[:3, :3].T, "space origin": [0, 0, 0]}
    )
    for name, format in (("a.nii", "nifti"), ("a.nrrd", "nrrd")):
        with pytest.raises(Refused) as refusal:
            open_image([tmp_path / name], format)
        assert refusal.value.code == "sheared"
        image = open_image([tmp_path / name], format, tilt="resample")
        assert "straightened" in image.source["notes"][-1]
        if format == "nifti":
            layers, grid = open_labels([tmp_path / name], format, tilt="resample")
            assert grid.is_same(image.grid)
            assert set(np.unique(layers)) == {0, 1}


def test_unknown_formats(tmp_path: Path) -> None:
    with pytest.raises(OverreadError, match="expected one of dicom, nifti, nrrd, mha, raster, npz"):
        open_image([tmp_path / "a"], "minc")
    assert len(FORMATS) == 6


# ------------------------------------------------------------------ archives of numbers


def test_large_members_stay_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("overread.imaging.npz_members.IN_MEMORY", 16)
    for save in (np.savez, np.savez_compressed):
        for order in ("C", "F"):
            path = tmp_path / f"{save.__name__}-{order}.npz"
            save(path, train_images=np.asarray(VOXELS, order=order), train_masks=VOXELS > 5)  # type: ignore[arg-type]
            for row in (0, 5):
                np.testing.assert_array_equal(open_npz(path, row).array[0, 0], VOXELS[row])
            np.testing.assert_array_equal(open_npz_masks(path, 3)[0][0, 0], VOXELS[3] > 5)


def test_odd_archives_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, images=np.array([{"a": 1}], dtype=object))
    with pytest.raises(Refused):
        open_npz(path, 0)
    np.savez(path, images=np.zeros((3, 4, 5), complex))
    with pytest.raises(Refused, match="plain numbers"):
        open_npz(path, 0)
    np.savez(path, images=VOXELS, masks=VOXELS[:, :3])
    with pytest.raises(Refused) as refusal:
        open_npz_masks(path, 0)
    assert refusal.value.code == "mask-shape"
    np.savez_compressed(path, images=np.zeros((50, 40, 40), np.uint8))
    with zipfile.ZipFile(path) as archive:
        content = archive.read("images.npy").replace(b"(50, 40, 40)", b"(9999999, 40, 40)")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", content)
        archive.writestr("readme.txt", "not an array")
    assert read_npz_parts(path)[0].count in (50, 9999999)
    with pytest.raises(Refused) as refusal:
        open_npz(path, 0)
    assert refusal.value.code == "truncated"


# ------------------------------------------------------------------ damage


def seeds(folder: Path) -> dict[str, str]:
    """One small good file of each kind, and its format."""
    for name in ("a.mha", "b.mhd", "a.nrrd", "a.nii", "b.nii.gz"):
        oracle(folder / name)
    nrrd.write(str(folder / "c.nrrd"), VOXELS, {"encoding": "bzip2", "spacings": [1.0, 1.0, 1.0]})
    nrrd.write(str(folder / "d.nrrd"), VOXELS, {"encoding": "ascii", "spacings": [1.0, 1.0, 1.0]})
    about = {"axes": "ZYX", "unit": "mm", "spacing": 2.0}
    tifffile.imwrite(folder / "a.tif", VOXELS.astype(np.uint16), imagej=True, metadata=about)
    for name in ("a.png", "a.jpg", "a.bmp", "b.tif"):
        Pillow.fromarray(VOXELS[0].astype(np.uint8)).save(folder / name)
    np.savez_compressed(folder / "a.npz", train_images=VOXELS, train_labels=np.zeros((6, 1)))
    kinds = {".mha": "mha", ".mhd": "mha", ".nrrd": "nrrd", ".npz": "npz", ".nii": "nifti", ".gz": "nifti"}
    return {p.name: kinds.get(p.suffix, "raster") for p in sorted(folder.iterdir()) if p.suffix not in (".raw", ".zraw")}


def damage(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    if chance.random() < 0.15:
        return bytes(changed[: chance.randrange(len(changed))])
    for _ in range(chance.randint(1, 5)):
        at = chance.randrange(min(len(changed), 400) if chance.random() < 0.7 else len(changed))
        if chance.random() < 0.7:
            changed[at] = chance.choice([0, 1, 10, 32, 45, 57, 127, 128, 255, chance.randrange(256)])
        else:
            changed[at:at] = chance.randbytes(3)
    return bytes(changed)


@pytest.mark.filterwarnings("ignore")
def test_damaged_files_are_read_or_refused_by_name(tmp_path: Path) -> None:
    chance, formats = random.Random(5), seeds(tmp_path)
    contents = {name: (tmp_path / name).read_bytes() for name in formats}
    for _ in range(500):
        name = chance.choice(sorted(formats))
        (tmp_path / name).write_bytes(damage(contents[name], chance))
        index = 0 if formats[name] == "npz" else None
        with warnings.catch_warnings(record=True) as said:
            try:
                array = open_image([tmp_path / name], formats[name], index, tilt=chance.choice(["refuse", "resample"])).array
                outcome = f"{name} ok" if np.isfinite(array).all() else "not finite"
            except Refused as refused:
                outcome = f"{refused.what} {refused.code}"
        assert name in outcome
        assert not [w for w in said if "overread" in w.filename]
