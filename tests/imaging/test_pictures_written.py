"""Pictures that a network made: every format says so, the scan and the door read it again, and values come back."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image as Pillow

from imaging.answers import ct, film
from imaging.make_dicom import MR, make_series
from imaging.test_dicom_out_valid import errors
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.kinds import Picture
from overread.imaging.dicom.volume import open_dicom
from overread.imaging.door import open_path
from overread.imaging.made import SyntheticMark, made_in
from overread.imaging.nifti import read_nifti_header, write_nifti
from overread.imaging.picture_png import marked_png
from overread.imaging.pictures import write_picture
from overread.imaging.scan import scan

pytestmark = pytest.mark.filterwarnings("ignore")
MODEL = "sha256:" + "cd" * 32
SYNTHETIC = SyntheticMark("synthetic", "diffusion of project chest, run first", MODEL)
DERIVED = SyntheticMark("derived", "restore of project liver, run denoise", MODEL)
NO_RESCALE = {"RescaleSlope": None, "RescaleIntercept": None, "StudyTime": "101500", "PositionReferenceIndicator": ""}
FLAT = Grid.from_spacing((1, 28, 28), (1.0, 1.0, 1.0), spacing_known=False, is_planar=True)


def picture_of(image: Image) -> Picture:
    noise = np.random.default_rng(1).normal(0, 5, image.array.shape)
    return Picture((image.array + noise).astype(np.float32), image.grid, image.units)


def grey(values: np.ndarray) -> Picture:
    return Picture(values.astype(np.float32)[None, None], FLAT)


def reopened(path: Path) -> tuple[Image, dict[str, object]]:
    ((image, found),) = open_path(path)
    return image, dict(found.attributes)


@pytest.mark.parametrize("mark", [SYNTHETIC, DERIVED], ids=lambda mark: mark.kind)
def test_a_nifti_says_what_made_it_and_comes_back(tmp_path: Path, mark: SyntheticMark) -> None:
    grid = Grid.from_spacing((4, 6, 5), (2.0, 0.8, 0.7))
    picture = Picture(np.random.default_rng(0).normal(40, 200, (1, 4, 6, 5)).astype(np.float32), grid, "HU")
    (path,) = write_picture(tmp_path / "made.nii.gz", picture, mark=mark)
    description = read_nifti_header(path).description
    assert description.startswith(mark.words)
    assert mark.made_by[:15] in description
    assert "model cdcdcdcdcdcd" in description
    image, attributes = reopened(path)
    assert (image.source["made"], attributes["made"], attributes["synthetic"]) == (mark.kind, mark.kind, False)
    np.testing.assert_array_equal(image.array, picture.array)
    assert image.units == "HU"
    assert image.grid.is_same(grid)


def test_channels_of_a_nifti_picture_become_the_fourth_axis(tmp_path: Path) -> None:
    grid = Grid.from_spacing((4, 6, 5), (2.0, 0.8, 0.7))
    picture = Picture(np.random.default_rng(0).random((2, 4, 6, 5), dtype=np.float32), grid)
    write_picture(tmp_path / "made.nii", picture, mark=SYNTHETIC)
    np.testing.assert_array_equal(reopened(tmp_path / "made.nii")[0].array, picture.array)


def test_what_was_made_from_a_phantom_stays_a_phantom_in_every_format(tmp_path: Path) -> None:
    grid = Grid.from_spacing((4, 6, 5), (2.0, 0.8, 0.7))
    write_nifti(tmp_path / "source.nii", np.zeros((4, 6, 5), np.int16), grid, description="PHANTOM ct-1 HU")
    picture = Picture(np.ones((1, 4, 6, 5), np.float32), grid, "HU")
    write_picture(tmp_path / "made.nii", picture, mark=DERIVED, source=tmp_path / "source.nii")
    assert read_nifti_header(tmp_path / "made.nii").description.startswith("DERIVED BY A NETWORK of a PHANTOM: ")
    assert reopened(tmp_path / "made.nii")[0].source["is_simulated"] is True
    files, image = ct(tmp_path / "ct")  # its headers say Synthetic Data: a phantom
    write_picture(tmp_path / "series", picture_of(image), mark=DERIVED, source=files)
    again, attributes = reopened(tmp_path / "series")
    assert (again.source["is_simulated"], again.source["made"], attributes["synthetic"]) == (True, "derived", True)


@pytest.mark.parametrize("mark", [SYNTHETIC, DERIVED], ids=lambda mark: mark.kind)
@pytest.mark.parametrize("size", [16, 28, 64, 512])
def test_a_png_has_a_corner_that_grows_with_it_and_text(tmp_path: Path, mark: SyntheticMark, size: int) -> None:
    values = np.full((size, size), 90.0)
    values[0, 0], values[0, 1] = 0, 200
    grid = Grid.from_spacing((1, size, size), (1.0, 1.0, 1.0), spacing_known=False, is_planar=True)
    write_picture(tmp_path / "made.png", Picture(values.astype(np.float32)[None, None], grid), mark=mark)
    stored = np.asarray(Pillow.open(tmp_path / "made.png"))
    changed = stored != values
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    assert stored.dtype == np.uint8
    assert rows[-1] == columns[-1] == size - 1
    assert len(columns) <= (0.82 if size < 28 else 0.6) * size
    assert len(rows) >= 7 * max(1, round(size / 128))
    assert set(np.unique(stored[changed])) == {0, 255}
    assert made_in(Pillow.open(tmp_path / "made.png").text.values()).kind == mark.kind
    image, attributes = reopened(tmp_path / "made.png")
    assert image.source["made"] == attributes["made"] == mark.kind
    assert image.source["is_simulated"] is False


def test_a_declined_corner_leaves_the_pixels_and_gives_its_reason(tmp_path: Path) -> None:
    values = np.arange(28 * 28).reshape(28, 28) % 251
    mark = SyntheticMark("synthetic", "gan", MODEL, reason_without_corner="training images must have no letters")
    write_picture(tmp_path / "made.png", grey(values), mark=mark)
    file = Pillow.open(tmp_path / "made.png")
    np.testing.assert_array_equal(np.asarray(file), values)
    assert file.text["Corner mark"] == "declined: training images must have no letters"
    assert file.text["Description"].startswith("SYNTHETIC IMAGE: gan, model sha256:cdcd")
    assert reopened(tmp_path / "made.png")[1]["made"] == "synthetic"


def test_values_that_eight_bits_cannot_hold_take_sixteen_and_the_window_is_said(tmp_path: Path) -> None:
    mark = SyntheticMark("derived", "restore", MODEL, reason_without_corner="to compare values")
    values = np.linspace(-1000.5, 400.25, 28 * 28).reshape(28, 28)
    write_picture(tmp_path / "hu.png", grey(values), mark=mark)
    file = Pillow.open(tmp_path / "hu.png")
    assert file.text["Window"] == "-1000.5 to 400.25 stored as 0 to 65535"
    stored = np.asarray(file).astype(float)
    np.testing.assert_allclose(stored / 65535 * 1400.75 - 1000.5, values, atol=1400.75 / 65535)
    write_picture(tmp_path / "deep.png", grey(np.arange(784).reshape(28, 28) * 5), mark=mark)
    assert np.asarray(Pillow.open(tmp_path / "deep.png")).max() == 783 * 5


def test_a_png_keeps_to_the_levels_of_its_source(tmp_path: Path) -> None:
    Pillow.fromarray(np.full((28, 28), 7, np.uint8)).save(tmp_path / "source.png")
    mark = SyntheticMark("derived", "restore", MODEL, reason_without_corner="to compare values")
    values = np.full((28, 28), 12.4)
    values[0, 0], values[0, 1] = -3.0, 258.0
    write_picture(tmp_path / "made.png", grey(values), mark=mark, source=tmp_path / "source.png")
    stored = np.asarray(Pillow.open(tmp_path / "made.png"))
    assert stored.dtype == np.uint8
    assert stored[0, :3].tolist() == [0, 255, 12]


def test_a_sheet_of_made_images_is_marked_too(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    held = io.BytesIO()
    Pillow.fromarray(values).save(held, format="PNG")
    (tmp_path / "sheet.png").write_bytes(marked_png(held.getvalue(), SYNTHETIC))
    np.testing.assert_array_equal(np.asarray(Pillow.open(tmp_path / "sheet.png")), values)
    assert reopened(tmp_path / "sheet.png")[1]["made"] == "synthetic"


def test_a_picture_too_small_for_letters_says_how_to_decline(tmp_path: Path) -> None:
    grid = Grid.from_spacing((1, 6, 6), (1.0, 1.0, 1.0), is_planar=True)
    with pytest.raises(OverreadError, match=r"6 x 6 pixels is too small for a mark in its corner, which takes 7 x 13") as fault:
        write_picture(tmp_path / "x.png", Picture(np.ones((1, 1, 6, 6), np.float32), grid), mark=SYNTHETIC)
    assert "decline" in fault.value.next
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize("mark", [SYNTHETIC, DERIVED], ids=lambda mark: mark.kind)
def test_a_ct_series_on_its_source(tmp_path: Path, mark: SyntheticMark) -> None:
    files, image = ct(tmp_path / "ct", SyntheticData=None)
    picture = picture_of(image)
    written = write_picture(tmp_path / "series", picture, mark=mark, source=files)
    assert [error for path in written for error in errors(path)] == []
    again, attributes = reopened(tmp_path / "series")
    np.testing.assert_array_equal(again.array, np.rint(picture.array))
    assert again.units == "HU"
    assert again.grid.is_same(image.grid)
    assert (attributes["made"], again.source["made"], attributes["synthetic"]) == (mark.kind, mark.kind, False)
    sources = {str(tags.SOPInstanceUID): tags for tags in map(pydicom.dcmread, files)}
    for path in written:
        tags = pydicom.dcmread(path)
        (reference,) = tags.SourceImageSequence
        source = sources[reference.ReferencedSOPInstanceUID]
        assert tags.ImagePositionPatient == pytest.approx(source.ImagePositionPatient)
        assert (tags.PatientID, tags.StudyInstanceUID) == (source.PatientID, source.StudyInstanceUID)
        assert tags.SeriesInstanceUID != source.SeriesInstanceUID
        assert tags.SOPInstanceUID not in sources
        assert list(tags.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
        assert tags.get("SyntheticData") == ("YES" if mark.kind == "synthetic" else None)
        assert tags.DerivationDescription.startswith(mark.words)
        assert "KVP" in tags
        assert tags.KVP is None
        (equipment,) = tags.ContributingEquipmentSequence
        purpose = equipment.PurposeOfReferenceCodeSequence[0].CodeMeaning
        assert purpose == ("Synthesizing Equipment" if mark.kind == "synthetic" else "Processing Equipment")
        assert equipment.DeviceSerialNumber == "cd" * 32
        assert equipment.ManufacturerModelName == mark.made_by


def test_an_mr_series_keeps_fractions_by_its_rescale(tmp_path: Path) -> None:
    files = make_series(tmp_path / "mr", [0.0, 3.0, 6.0], SOPClassUID=MR, Modality="MR", **NO_RESCALE)
    image = open_dicom(files)
    picture = Picture((image.array * 1.37 - 20.5).astype(np.float32), image.grid)
    written = write_picture(tmp_path / "series", picture, mark=DERIVED, source=files)
    assert [error for path in written for error in errors(path)] == []
    again, _ = reopened(tmp_path / "series")
    np.testing.assert_allclose(again.array, picture.array, atol=np.ptp(picture.array) / 65535)
    assert again.grid.is_same(image.grid)


@pytest.mark.parametrize("colour", [False, True])
def test_a_film_becomes_a_secondary_capture_that_is_an_image(tmp_path: Path, colour: bool) -> None:
    files, image = film(tmp_path)
    array = np.random.default_rng(0).integers(0, 256, (3 if colour else 1, *image.grid.shape)).astype(np.float32)
    written = write_picture(tmp_path / "made.dcm", Picture(array, image.grid), mark=DERIVED, source=files)
    assert written == (tmp_path / "made.dcm",)
    assert errors(written[0]) == []
    again, attributes = reopened(written[0])
    np.testing.assert_array_equal(again.array, array)
    assert attributes["made"] == "derived"
    assert attributes["modality"] == "DX"


def test_writing_again_gives_the_same_objects_and_another_picture_another_series(tmp_path: Path) -> None:
    files, image = ct(tmp_path / "ct")
    names = {}
    for name, picture in {
        "a": picture_of(image),
        "b": picture_of(image),
        "c": Picture(image.array * 0.5, image.grid, "HU"),
    }.items():
        written = write_picture(tmp_path / name, picture, mark=SYNTHETIC, source=files)
        names[name] = [(tags.SeriesInstanceUID, tags.SOPInstanceUID) for tags in map(pydicom.dcmread, written)]
    assert names["a"] == names["b"]
    assert not {s for s, _ in names["a"]} & {s for s, _ in names["c"]}


def test_a_ct_of_nobody_is_a_study_of_its_own(tmp_path: Path) -> None:
    grid = Grid.from_spacing((4, 12, 10), (2.0, 0.8, 0.7))
    picture = Picture(np.random.default_rng(0).normal(0, 300, (1, 4, 12, 10)).astype(np.float32), grid, "HU")
    written = write_picture(tmp_path / "series", picture, mark=SYNTHETIC)
    assert [error for path in written for error in errors(path)] == []
    (found,) = scan(tmp_path / "series").eligible
    assert found.patient
    assert found.patient.startswith("SYNTHETIC-")
    assert found.attributes["made"] == "synthetic"
    again, _ = reopened(tmp_path / "series")
    np.testing.assert_array_equal(again.array, np.rint(picture.array))
    assert again.grid.is_same(grid)


OF_NOBODY = {
    "film": grey(np.arange(28 * 28).reshape(28, 28) % 251),
    "film of fine values": grey(np.linspace(-1, 1, 28 * 28).reshape(28, 28)),
    "colours": Picture(np.tile(np.arange(28 * 28, dtype=np.float32).reshape(1, 1, 28, 28) % 256, (3, 1, 1, 1)), FLAT),
    "volume": Picture(
        np.linspace(0, 900, 480, dtype=np.float32).reshape(1, 4, 12, 10), Grid.from_spacing((4, 12, 10), (2, 0.8, 0.7))
    ),
}


@pytest.mark.parametrize("name", OF_NOBODY)
def test_what_was_made_of_nobody_is_a_capture_that_reads_again(tmp_path: Path, name: str) -> None:
    """Of no modality that anybody named; another capture of a screen stays refused, this one says what it is."""
    picture = OF_NOBODY[name]
    written = write_picture(tmp_path / "series", picture, mark=SYNTHETIC)
    assert [error for path in written for error in errors(path)] == []
    (found,) = scan(tmp_path / "series").eligible
    assert (found.attributes["made"], found.attributes["modality"]) == ("synthetic", "OT")
    again, _ = reopened(tmp_path / "series")
    np.testing.assert_allclose(again.array, picture.array, atol=float(np.ptp(picture.array)) / 65535)
    assert again.grid.is_same(picture.grid)
    assert again.source["made"] == "synthetic"
    for path in written:
        tags = pydicom.dcmread(path)
        for keyword in ("ContributingEquipmentSequence", "DerivationCodeSequence", "DerivationDescription", "ImageComments"):
            if keyword in tags:
                del tags[keyword]
        tags.SeriesDescription = tags.ManufacturerModelName = "picture"
        tags.save_as(path)
    (other,) = scan(tmp_path / "series").found
    assert other.attributes["code"] == "secondary-capture"


def test_what_cannot_be_written_says_what_can(tmp_path: Path) -> None:
    files, image = ct(tmp_path / "ct")
    with pytest.raises(OverreadError, match="no source was given"):
        write_picture(tmp_path / "a", picture_of(image), mark=DERIVED)
    with pytest.raises(OverreadError, match="one channel or three colours"):
        write_picture(
            tmp_path / "a", Picture(np.zeros((2, *image.grid.shape), np.float32), image.grid), mark=SYNTHETIC, source=files
        )
    with pytest.raises(OverreadError, match="a series is a folder"):
        write_picture(tmp_path / "a.dcm", picture_of(image), mark=SYNTHETIC, source=files)
    with pytest.raises(OverreadError, match="exists already"):
        write_picture(tmp_path / "ct", picture_of(image), mark=SYNTHETIC, source=files)
    with pytest.raises(OverreadError, match="one slice of one channel"):
        write_picture(tmp_path / "a.png", picture_of(image), mark=SYNTHETIC)
    with pytest.raises(OverreadError, match=r"written as \.nii\.gz"):
        write_picture(tmp_path / "a.jpg", picture_of(image), mark=SYNTHETIC)
    for suffix in ("nii", "png"):
        with pytest.raises(OverreadError, match="NaN"):
            write_picture(tmp_path / f"a.{suffix}", grey(np.full((28, 28), np.nan)), mark=SYNTHETIC)
    other, nuclear = ct(tmp_path / "pt", Modality="OT")
    with pytest.raises(OverreadError, match="modality OT"):
        write_picture(tmp_path / "p", picture_of(nuclear), mark=DERIVED, source=other)
    with pytest.raises(OverreadError, match="got 'fake'"):
        SyntheticMark("fake", "gan", MODEL)  # type: ignore[arg-type]
    with pytest.raises(OverreadError, match="names what made it"):
        SyntheticMark("synthetic", " ", MODEL)
