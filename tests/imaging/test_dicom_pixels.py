"""Stored pixels to values: rescale, sign, bits, photometric interpretation, codecs, damage."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from imaging.make_dicom import CT, DX, SECONDARY_CAPTURE, make_series, make_tags, write
from overread.core.errors import OverreadError, Refused
from overread.core.grid import Grid
from overread.imaging.dicom.header import age_in_years, read_header
from overread.imaging.dicom.pixels import stored_frame
from overread.imaging.dicom.volume import open_dicom
from overread.imaging.dicom.write_ct import CtSeries, Exam, write_ct
from overread.imaging.window import Window, shown

DARK_BRIGHT = {"PhotometricInterpretation": "MONOCHROME1"}


def test_hounsfield_units_stay_16_bit_integers(tmp_path: Path) -> None:
    volume = np.array([[[0, 1024], [2048, 4095]]] * 2, np.uint16)
    image = open_dicom(make_series(tmp_path, [0.0, 1.0], volume=volume, BitsStored=12, HighBit=11))
    assert image.array.dtype == np.int16
    np.testing.assert_array_equal(image.array[0, 0], [[-1024, 0], [1024, 3071]])


def test_hu_of_a_phantom_are_exact(tmp_path: Path) -> None:
    hu = np.random.default_rng(0).integers(-1024, 3072, (4, 9, 7)).astype(np.int16)
    day = date(2020, 1, 2)
    exam = Exam("P-1", "PHANTOM^One", "F", day, day, "E-1", "A-1", "site", "key")
    grid = Grid.from_spacing(hu.shape, (2.5, 0.8, 0.7))
    image = open_dicom(write_ct(tmp_path / "ct", hu, grid, exam, CtSeries("Maker", "One", "B30f", 120, 2.5, "PHANTOM", False)))
    assert (image.units, image.array.dtype) == ("HU", np.dtype(np.int16))
    np.testing.assert_array_equal(image.array[0], hu)


def test_slope_and_intercept_count_per_slice(tmp_path: Path) -> None:
    pixels = np.full((3, 3), 100, np.int16)
    files = [
        write(
            make_tags(pixels, RescaleSlope=1 + k, RescaleIntercept=k / 2, ImagePositionPatient=[0, 0, k]), tmp_path / f"{k}.dcm"
        )
        for k in range(3)
    ]
    image = open_dicom(files)
    assert image.array.dtype == np.float32
    np.testing.assert_allclose(image.array[0, :, 0, 0], [100, 200.5, 301])


@pytest.mark.parametrize(
    ("changes", "units"),
    [({}, "HU"), ({"RescaleType": "HU"}, "HU"), ({"RescaleType": "Z_EFF"}, "a.u."), ({"RescaleIntercept": None}, "a.u.")],
)
def test_hu_is_said_only_where_the_file_says_it(tmp_path: Path, changes: dict[str, object], units: str) -> None:
    assert open_dicom(make_series(tmp_path, [0.0, 1.0], **changes)).units == units  # type: ignore[arg-type]


def test_bits_above_bits_stored_are_cleared(tmp_path: Path) -> None:
    pixels = np.array([[0xF001, 0x0002], [0x0FFF, 0x1000]], np.uint16)
    header = read_header(write(make_tags(pixels, BitsStored=12, HighBit=11), tmp_path / "a.dcm"))
    np.testing.assert_array_equal(stored_frame(header), [[1, 2], [4095, 0]])
    signed = np.array([[0x0FFF, 0x0001], [0x0800, 0x07FF]], np.int16)
    header = read_header(write(make_tags(signed, BitsStored=12, HighBit=11), tmp_path / "b.dcm"))
    np.testing.assert_array_equal(stored_frame(header), [[-1, 1], [-2048, 2047]])


def test_monochrome1_films_are_inverted_and_hu_never(tmp_path: Path) -> None:
    pixels = np.array([[0, 100], [1000, 4095]], np.uint16)
    film = make_tags(pixels, DX, PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11)
    image = open_dicom([write(film, tmp_path / "film.dcm")])
    np.testing.assert_array_equal(image.array[0, 0], 4095 - pixels)
    assert "inverted" in image.source["notes"][0]
    files = make_series(
        tmp_path / "ct", [0.0, 1.0], volume=np.zeros((2, 2, 2), np.int16), PhotometricInterpretation="MONOCHROME1"
    )
    assert (open_dicom(files).array == -1024).all()


def test_films_are_inverted_after_their_table_not_before(tmp_path: Path) -> None:
    film = make_tags(np.array([[0, 1], [2, 3]], np.uint16), DX, PhotometricInterpretation="MONOCHROME1", BitsStored=2, HighBit=1)
    item = pydicom.Dataset()
    item.LUTDescriptor, item.ModalityLUTType = [4, 0, 8], "US"
    item.LUTData = np.array([0, 10, 100, 255], "<u2").tobytes()
    film.ModalityLUTSequence = [item]
    image = open_dicom([write(film, tmp_path / "film.dcm")])
    np.testing.assert_array_equal(image.array[0, 0], [[255, 245], [155, 0]])


def test_a_dark_bright_volume_keeps_its_values_and_is_shown_inverted(tmp_path: Path) -> None:
    files = make_series(tmp_path, [0.0, 1.0], volume=np.arange(8, dtype=np.int16).reshape(2, 2, 2), **DARK_BRIGHT)
    image = open_dicom(files)
    assert image.array.min() == -1024
    np.testing.assert_allclose(shown(image, Window(-1020.5, 7))[0, 0, 0], [1, 6 / 7], atol=1e-6)
    mixed = [*files, *make_series(tmp_path / "more", [2.0], volume=np.zeros((1, 2, 2), np.int16))]
    with pytest.raises(Refused, match="mixes MONOCHROME1 and MONOCHROME2"):
        open_dicom(mixed)


def test_whole_slopes_stay_integers_and_32_bits_are_not_cut(tmp_path: Path) -> None:
    doubled = open_dicom(make_series(tmp_path / "a", [0.0, 1.0], volume=np.full((2, 2, 2), 300, np.uint16), RescaleSlope=2))
    assert (doubled.array.dtype, doubled.array[0, 0, 0, 0]) == (np.dtype(np.int16), -424)
    large = np.full((2, 2, 2), 2**24 + 1, np.uint32)
    wide = open_dicom(make_series(tmp_path / "b", [0.0, 1.0], volume=large, RescaleSlope=1, RescaleIntercept=0))  # type: ignore[arg-type]
    assert (wide.array == 2**24 + 1).all()
    fraction = open_dicom(make_series(tmp_path / "c", [0.0, 1.0], volume=np.full((2, 2, 2), 7, np.int16), RescaleSlope=0.1))
    assert fraction.array.dtype == np.float32
    assert (fraction.array == np.float32(7 * 0.1 - 1024)).all()


@pytest.mark.parametrize(("slope", "says"), [(0, "'0'; expected a number other than 0"), (b"1;0 ", "'1;0'; expected a number")])
def test_a_senseless_slope_is_no_missing_slope(tmp_path: Path, slope: object, says: str) -> None:
    files = make_series(tmp_path, [0.0, 1.0], RescaleSlope="77777" if isinstance(slope, bytes) else slope)
    if isinstance(slope, bytes):
        for file in files:
            file.write_bytes(file.read_bytes().replace(b"77777 ", slope.ljust(6)))
    with pytest.raises(Refused, match=f"RescaleSlope is {says}") as refusal:
        open_dicom(files)
    assert refusal.value.code == "rescale"


@pytest.mark.parametrize("is_signed", [False, True])
def test_an_unusual_high_bit_is_undone(tmp_path: Path, is_signed: bool) -> None:
    values = np.array([[-5, 7], [100, -2048]] if is_signed else [[5, 7], [100, 4095]])
    raw = ((values.astype(np.int64) << 3) & 0x7FF8 | 0x8005).astype(np.uint16)  # 12 bits ending at bit 14, others used
    tags = make_tags(raw.view(np.int16) if is_signed else raw, BitsStored=12, HighBit=14)
    path = write(tags, tmp_path / "a.dcm")
    np.testing.assert_array_equal(stored_frame(read_header(path)), values)


@pytest.mark.parametrize("bits", [(16, 12, 16), (16, 17, 16), (12, 12, 11), (16, 12, 5)])
def test_bits_that_cannot_be_are_refused(tmp_path: Path, bits: tuple[int, int, int]) -> None:
    allocated, stored, high = bits
    files = make_series(tmp_path, [0.0, 1.0], BitsAllocated=allocated, BitsStored=stored, HighBit=high)
    with pytest.raises(Refused, match="bits") as refusal:
        open_dicom(files)
    assert refusal.value.code in ("pixel-bits", "truncated")


def test_padding_is_air_in_ct_and_dark_in_a_film(tmp_path: Path) -> None:
    volume = np.array([[[-2000, 0], [1024, 2000]]] * 2, np.int16)
    image = open_dicom(make_series(tmp_path / "ct", [0.0, 1.0], volume=volume, PixelPaddingValue=-2000))
    np.testing.assert_array_equal(image.array[0, 0], [[-1024, -1024], [0, 976]])
    assert image.source["notes"] == ["2 padded voxels set to -1024"]
    water = open_dicom(make_series(tmp_path / "no", [0.0, 1.0], volume=volume, PixelPaddingValue=1024))
    assert water.array[0, 0, 1, 0] == 0, "a padding value that would be tissue is not believed"
    pixels = np.array([[0, 50], [60, 4000]], np.uint16)
    film = make_tags(
        pixels, DX, PixelPaddingValue=0, PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11, RescaleIntercept=None
    )
    np.testing.assert_array_equal(open_dicom([write(film, tmp_path / "film.dcm")]).array[0, 0], [[95, 4045], [4035, 95]])
    ranged = make_tags(pixels, DX, PixelPaddingValue=0, PixelPaddingRangeLimit=55, PhotometricInterpretation="MONOCHROME2")
    np.testing.assert_array_equal(open_dicom([write(ranged, tmp_path / "r.dcm")]).array[0, 0], pixels)


def test_float_pixels_are_read(tmp_path: Path) -> None:
    values = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
    tags = make_tags(np.zeros((3, 4), np.uint32), SECONDARY_CAPTURE, PixelData=None, BitsStored=None, HighBit=None, Modality="OT")
    tags.FloatPixelData = values.tobytes()
    np.testing.assert_array_equal(open_dicom([write(tags, tmp_path / "a.dcm")]).array[0, 0], values)


def test_colour_becomes_three_channels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (4, 5, 3)).astype(np.uint8)
    image = open_dicom([write(make_tags(pixels, SECONDARY_CAPTURE, Modality="US"), tmp_path / "a.dcm")])
    assert image.channels == ("red", "green", "blue")
    np.testing.assert_array_equal(image.array[:, 0], pixels.transpose(2, 0, 1))


def test_planes_of_colour_are_put_together(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (4, 5, 3)).astype(np.uint8)
    tags = make_tags(pixels, SECONDARY_CAPTURE, Modality="US", PlanarConfiguration=1)
    tags.PixelData = pixels.transpose(2, 0, 1).tobytes()
    np.testing.assert_array_equal(open_dicom([write(tags, tmp_path / "a.dcm")]).array[:, 0], pixels.transpose(2, 0, 1))


def test_a_palette_of_8_bits_gives_8_bits() -> None:
    image = open_dicom([Path(str(get_testdata_file("examples_palette.dcm")))])
    assert (image.array.dtype, image.channels) == (np.dtype(np.uint8), ("red", "green", "blue"))


@pytest.mark.parametrize(("samples", "photometric"), [(1, "RGB"), (3, "MONOCHROME2"), (3, "HSV"), (4, "ARGB")])
def test_colours_that_make_no_sense_are_refused(tmp_path: Path, samples: int, photometric: str) -> None:
    pixels = np.zeros((2, 2), np.uint8) if samples == 1 else np.zeros((2, 2, samples), np.uint8)
    tags = make_tags(pixels, SECONDARY_CAPTURE, Modality="US", SamplesPerPixel=samples, PhotometricInterpretation=photometric)
    with pytest.raises(Refused, match=f"photometric interpretation '{photometric}'"):
        open_dicom([write(tags, tmp_path / "a.dcm")])


def test_modality_lut_is_applied(shared_data: Path) -> None:
    image = open_dicom([shared_data / "dicom" / "singles" / "mlut_18.dcm"])
    assert image.array.max() == 65535


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("coding", ["RLE", "bigendian", "expb", "implicit", "jp2klossless", "jpeg_ls_lossless", "padded"])
def test_every_coding_decodes_to_the_same_pixels(coding: str) -> None:
    plain = stored_frame(read_header(Path(str(get_testdata_file("MR_small.dcm")))))
    other = stored_frame(read_header(Path(str(get_testdata_file(f"MR_small_{coding}.dcm")))))
    np.testing.assert_array_equal(plain, other)


def test_cut_empty_and_foreign_files_are_named(tmp_path: Path) -> None:
    whole = write(make_tags(np.zeros((32, 32), np.int16)), tmp_path / "a.dcm").read_bytes()
    for name, content, code in (
        ("pixels.dcm", whole[:-100], "truncated"),
        ("empty.dcm", b"", "empty-file"),
        ("text.dcm", b"hello" * 100, "unreadable"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Refused, match=name) as refusal:
            open_dicom([tmp_path / name])
        assert refusal.value.code == code
    with pytest.raises(Refused, match="does not exist"):
        open_dicom([tmp_path / "nowhere.dcm"])


@pytest.mark.filterwarnings("ignore")
def test_mutated_headers_end_in_named_refusals(tmp_path: Path) -> None:
    """Random damage never escapes as anything but a refusal."""
    random = np.random.default_rng(3)
    whole = write(make_tags(np.zeros((8, 8), np.int16)), tmp_path / "a.dcm").read_bytes()
    target = tmp_path / "b.dcm"
    refusals = []
    for _ in range(300):
        content = bytearray(whole)
        for place in random.integers(0, len(content), 6):
            content[place] = random.integers(0, 256)
        target.write_bytes(content[: random.integers(1, len(content) + 1)] if random.random() < 0.3 else content)
        try:
            open_dicom([target])
        except OverreadError as error:
            refusals.append(error.what)
    assert 30 < len(refusals) < 300  # some damage is harmless, most cuts are not
    assert all(refusals)


def test_the_source_says_what_helps_and_nothing_that_identifies(tmp_path: Path) -> None:
    files = make_series(tmp_path, [0.0, 1.0], SyntheticData="YES", ConvolutionKernel="B31f", InstitutionName="St. Elsewhere")
    source = open_dicom(files).source
    assert source["is_simulated"] is True
    assert (source["modality"], source["vendor"], source["kernel"]) == ("CT", "Maker", "B31f")
    assert source["patient_age"] == 63
    written = repr(source)
    for identifier in ("Doe", "MRN-0001", "ACC-1", "2020", "1.2.3", "Elsewhere", "CT thorax", str(tmp_path)):
        assert identifier not in written


@pytest.mark.parametrize(("text", "years"), [("045Y", 45), ("018M", 1.5), ("095Y", 90), ("", None), ("45", None)])
def test_ages(text: str, years: float | None) -> None:
    assert age_in_years(text) == years


def test_private_blocks_and_sequences_do_not_disturb(tmp_path: Path) -> None:
    tags = make_tags(np.full((4, 4), 7, np.int16), CT)
    tags.private_block(0x0029, "MAKER", create=True).add_new(0x10, "OB", b"\xe0\x7f\x10\x00" * 50)
    inner = pydicom.Dataset()
    inner.ReferencedSOPInstanceUID = "1.2"
    tags.ReferencedImageSequence = [inner]
    assert (stored_frame(read_header(write(tags, tmp_path / "a.dcm"))) == 7).all()
