"""NIfTI, PNG, JPEG, NRRD, MHA: text goes, pixels do not change; and text burned into pixels is proposed for review."""

from __future__ import annotations

import gzip
from datetime import date, datetime
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont, PngImagePlugin
from scipy import ndimage

from imaging.answers import ct
from overread.core.grid import Grid
from overread.core.kinds import Picture
from overread.imaging.deidentify.burned_in import find_text
from overread.imaging.deidentify.dates import capped_age, shifted, shifted_date
from overread.imaging.deidentify.names import new_name, new_stem
from overread.imaging.deidentify.one_file import deidentify_file
from overread.imaging.deidentify.profile import Profile
from overread.imaging.deidentify.secret import Secret
from overread.imaging.deidentify.settings import Done, NotWritten, Settings
from overread.imaging.deidentify.text import Known, cleaned
from overread.imaging.dicom.volume import open_dicom
from overread.imaging.door import open_path
from overread.imaging.pictures import SyntheticMark, write_picture
from overread.imaging.scan import scan_file

SECRET = Secret(b"k" * 32)
SETTINGS = Settings(Profile(), SECRET)
NAME = b"Zyxwarren"
DAYS = st.dates(date(1100, 1, 1))


def run(path: Path) -> tuple[Done, Path]:
    out = path.parent / "out"
    done = deidentify_file(path.parent, path.name, out, SETTINGS)
    assert isinstance(done, Done), done
    written = out / done.written
    content = written.read_bytes()
    assert NAME not in content
    assert NAME.decode() not in done.written
    return done, written


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti_loses_text_and_extensions_and_keeps_voxels(tmp_path: Path, kind: type, suffix: str) -> None:
    voxels = np.random.default_rng(0).integers(-500, 500, (4, 5, 6)).astype(np.int16)
    affine = np.array([[0.7, 0.1, 0, 3], [0, 0.8, 0, 4], [0, 0, 2.5, 5], [0, 0, 0, 1.0]])
    image = kind(voxels, affine)
    image.header["descrip"] = b"scan of " + NAME
    image.header["intent_name"] = NAME
    image.header["aux_file"] = NAME
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"seen by " + NAME))
    path = tmp_path / f"Zyxwarren_0000{suffix}"
    image.to_filename(path)
    done, written = run(path)
    assert written.name.endswith(f"_0000{suffix}")
    again = nibabel.load(written)
    assert np.array_equal(np.asarray(again.dataobj), voxels)
    assert np.allclose(again.affine, image.affine)
    assert len(again.header.extensions) == 0
    assert done.log["NIfTI extensions", "removed"] == 1
    if suffix == ".nii.gz":
        assert NAME not in gzip.decompress(written.read_bytes())
        assert written.read_bytes()[3] == 0  # no name and no comment in the gzip header


@pytest.mark.parametrize("kind", ["synthetic", "derived"])
@pytest.mark.parametrize("name", ["a.nii.gz", "a.png", "a.nrrd", "a.mha", "series"])
def test_what_a_network_made_stays_known_as_such(tmp_path: Path, kind: str, name: str) -> None:
    made_by = "vae" if name == "series" else f"vae of {NAME.decode()}"  # a DICOM header keeps the model's name of a device
    mark = SyntheticMark(kind, made_by, "sha256:" + "ab" * 32)  # type: ignore[arg-type]
    shape = (1, 28, 28) if name == "a.png" else (4, 28, 28)
    array = np.random.default_rng(0).integers(0, 255, (1, *shape)).astype(np.float32)
    picture = Picture(array, Grid.from_spacing(shape, is_planar=shape[0] == 1), "HU")
    path = tmp_path / name
    if name == "series":
        files, image = ct(tmp_path / "ct", SyntheticData=None)
        path = write_picture(path, Picture(image.array.astype(np.float32), image.grid, "HU"), mark=mark, source=files)[0]
    elif path.suffix in (".nrrd", ".mha"):
        volume = SimpleITK.GetImageFromArray(array[0])
        volume.SetMetaData("content" if path.suffix == ".nrrd" else "Comment", mark.sentence)
        SimpleITK.WriteImage(volume, str(path))
    else:
        write_picture(path, picture, mark=mark)
    _, written = run(path)
    ((image, found),) = open_path(written) if name != "series" else [(open_dicom(files), scan_file(written)[0])]
    assert found.attributes["made"] == kind
    assert name == "series" or image.source["made"] == kind


def test_png_chunks_and_bytes_after_the_end_go(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 65535, (20, 30)).astype(np.uint16)
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Patient", NAME.decode())
    texts.add_itxt("Comment", NAME.decode(), zip=True)
    path = tmp_path / "a.png"
    Pillow.fromarray(pixels).save(path, pnginfo=texts, exif=b"Exif\0\0MM\0*" + NAME)
    path.write_bytes(path.read_bytes() + NAME)
    done, written = run(path)
    assert np.array_equal(np.asarray(Pillow.open(written)), pixels)
    assert done.log["PNG bytes after the end", "removed"] == 1


def test_jpeg_keeps_its_orientation_alone(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (24, 40, 3)).astype(np.uint8)
    exif = Pillow.Exif()
    exif[0x0112], exif[0x010E], exif[0x013B] = 6, NAME.decode(), NAME.decode()
    path = tmp_path / "a.jpg"
    Pillow.fromarray(pixels).save(path, exif=exif, comment=NAME, progressive=True)
    path.write_bytes(path.read_bytes() + NAME)
    _, written = run(path)
    picture = Pillow.open(written)
    assert dict(picture.getexif()) == {0x0112: 6}
    assert np.array_equal(np.asarray(picture), np.asarray(Pillow.open(path)))


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_nrrd_and_mha_read_the_same_elsewhere(tmp_path: Path, suffix: str) -> None:
    image = SimpleITK.GetImageFromArray(np.arange(60, dtype=np.int16).reshape(3, 4, 5))
    image.SetSpacing((0.5, 0.7, 3.0))
    image.SetOrigin((1.0, 2.0, 3.0))
    image.SetMetaData("PatientName", NAME.decode())
    path = tmp_path / f"a{suffix}"
    SimpleITK.WriteImage(image, str(path))
    assert NAME in path.read_bytes()
    done, written = run(path)
    again = SimpleITK.ReadImage(str(written))
    assert np.array_equal(SimpleITK.GetArrayFromImage(again), SimpleITK.GetArrayFromImage(image))
    assert again.GetSpacing() == image.GetSpacing()
    assert again.GetOrigin() == image.GetOrigin()
    assert any(action == "removed" for _, action in done.log)


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("report.pdf", b"%PDF-1.4", "not-taken"),
        ("a.nii", b"nothing", "unreadable"),
        ("a.nii.gz", b"nothing", "unreadable"),
        ("a.png", b"\x89PNG\r\n\x1a\n\0\0\0", "unreadable"),
        ("a.jpg", b"\xff\xd8\xff\xe0\xff", "unreadable"),
        ("a.nrrd", b"NRRD0004\ntype: short\ndata file: b.raw\n\n", "unreadable"),
        ("a.mha", b"NDims = 3\n", "unreadable"),
        ("a.dcm", b"\0" * 128 + b"DICM" + b"garbage", None),
        ("empty", b"", "not-taken"),
    ],
)
def test_what_cannot_be_read_is_not_copied(tmp_path: Path, name: str, content: bytes, code: str | None) -> None:
    (tmp_path / name).write_bytes(content)
    result = deidentify_file(tmp_path, name, tmp_path / "out", SETTINGS)
    assert isinstance(result, NotWritten)
    assert code is None or result.code == code
    assert [p for p in (tmp_path / "out").rglob("*") if p.is_file()] == []


def test_an_image_and_its_mask_keep_belonging_together() -> None:
    assert new_name("images/Miller Ann_0000.nii.gz", SECRET).startswith("images/N-")
    assert new_stem("Miller Ann_0000", SECRET) == new_stem("Miller Ann", SECRET) + "_0000"
    assert new_stem("Miller Ann_seg", SECRET) == new_stem("Miller Ann", SECRET) + "_seg"
    assert "Miller" not in new_name("Miller Ann/2020/x.png", SECRET)


@given(DAYS, DAYS, st.text(min_size=1))
def test_intervals_and_weekdays_stay(first: date, second: date, patient: str) -> None:
    days = SECRET.shift(patient)
    assert days % 7 == 0
    assert -3660 < days < -364
    moved = [shifted_date(day.strftime("%Y%m%d"), days) for day in (first, second)]
    a, b = (datetime.strptime(text or "", "%Y%m%d").date() for text in moved)
    assert a - b == first - second


@pytest.mark.parametrize("text", ["20201399", "unknown", "2020", "0001-01-01", "00010101"])
def test_dates_that_cannot_be_read_are_not_guessed(text: str) -> None:
    assert shifted(text, "DA", -400) is None


def test_ages_and_words() -> None:
    assert [capped_age(text) for text in ("089Y", "090Y", "120Y", "011M", "95 years")] == ["089Y", "090Y", "090Y", "011M", None]
    assert cleaned("T2_tse_sag Miller, Ann (MRN 4711) 5mm lesion 2") == "T2 tse sag 5mm lesion 2"
    assert cleaned("born 12 03 65") == ""
    known = Known(["Miller^Ann Marie", "Head^Chest"], ["MRN-0001"])
    assert known.taken_out("miller's chest, MRN-0001, Millerton") == "REMOVED's chest, REMOVED, Millerton"


def test_uids_are_valid_and_the_standards_own_stay() -> None:
    uid = SECRET.uid("1.2.3")
    assert uid == SECRET.uid("1.2.3\0") != Secret(b"l" * 32).uid("1.2.3")
    assert uid.startswith("2.25.")
    assert len(uid) <= 64
    assert SECRET.uid("1.2.840.10008.1.2.1") == "1.2.840.10008.1.2.1"
    assert len({SECRET.code("patient", str(k)) for k in range(2000)}) == 2000


def with_text(background: np.ndarray, text: str, place: tuple[int, int], size: int, value: int) -> np.ndarray:
    picture = Pillow.fromarray(background.astype(np.int32), "I")
    stencil = Pillow.new("L", picture.size, 0)
    ImageDraw.Draw(stencil).text(place, text, fill=255, font=ImageFont.load_default(size))
    array = background.copy()
    array[np.asarray(stencil) > 127] = value
    return array


def smooth(shape: tuple[int, int]) -> np.ndarray:
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(0, 1, shape), 12)
    return (noise / np.abs(noise).max() * 600 + 700).astype(np.int16)


@pytest.mark.parametrize(("size", "place", "value"), [(14, (8, 8), 2500), (20, (300, 470), 2500), (16, (330, 40), -1000)])
def test_text_near_the_border_is_proposed(size: int, place: tuple[int, int], value: int) -> None:
    background = smooth((512, 512))
    assert find_text(background) == []
    image = with_text(background, "MILLER ANN 1965", place, size, value)
    changed = np.argwhere(image != background)
    found = find_text(image)
    assert found
    inside = [any(y0 <= y < y1 and x0 <= x < x1 for y0, x0, y1, x1 in found) for y, x in changed]
    assert np.mean(inside) > 0.9


def test_images_without_anything_are_no_error() -> None:
    for frame in (np.zeros((40, 40)), np.zeros((3, 3)), np.full((64, 64, 3), 9), np.zeros((1, 4000))):
        assert find_text(frame) == []
