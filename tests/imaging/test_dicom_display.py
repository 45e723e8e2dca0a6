"""Real-world values and their units; windows, tables and overlays, which change no value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_modality_lut, apply_voi_lut, apply_windowing

from imaging.make_dicom import DX, make_series, make_tags, write
from overread.core.errors import Refused
from overread.imaging.dicom.header import read_header
from overread.imaging.dicom.overlay import read_overlays
from overread.imaging.dicom.pixels import stored_frame
from overread.imaging.dicom.volume import open_dicom
from overread.imaging.window import Window, display_range, file_windows, shown

MR = "1.2.840.10008.5.1.4.1.1.4"
RAMP = np.arange(16, dtype=np.uint16).reshape(4, 4)


def real_world(units: str, slope: float = 0.5, intercept: float = 10.0, first: int = 0, last: int = 4095) -> pydicom.Dataset:
    code = pydicom.Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = units, "UCUM", units
    item = pydicom.Dataset()
    item.RealWorldValueSlope, item.RealWorldValueIntercept = slope, intercept
    item.add_new("RealWorldValueFirstValueMapped", "US", first)
    item.add_new("RealWorldValueLastValueMapped", "US", last)
    item.MeasurementUnitsCodeSequence = [code]
    item.LUTLabel = units
    return item


def make_mr(folder: Path, *maps: pydicom.Dataset, **changes: Any) -> list[Path]:
    given: dict[str, Any] = {"Modality": "MR", "RescaleIntercept": 3, "RescaleSlope": 2}
    if maps:
        given["RealWorldValueMappingSequence"] = list(maps)
    return make_series(folder, [0.0, 1.0], volume=np.stack([RAMP, RAMP]), **(given | changes))  # type: ignore[arg-type]


def test_a_real_world_map_gives_values_and_units(tmp_path: Path) -> None:
    image = open_dicom(make_mr(tmp_path, real_world("um2/s"), WindowCenter=17, WindowWidth=29))
    assert image.units == "um2/s"
    np.testing.assert_array_equal(image.array[0, 0], RAMP * 0.5 + 10)
    assert image.source["notes"] == ["values by the file's real-world value map, in um2/s"]
    (window,) = file_windows(image)  # given for 2 x stored + 3, so moved with the values
    np.testing.assert_allclose(window.range, (10 - 0.25 + 0.0, 17.25 - 0.5), atol=0.5)


def test_a_table_of_real_world_values(tmp_path: Path) -> None:
    item = real_world("ms", last=15)
    del item.RealWorldValueSlope, item.RealWorldValueIntercept
    item.RealWorldValueLUTData = [float(k * k) for k in range(16)]
    image = open_dicom(make_mr(tmp_path, item))
    assert (image.units, image.array.dtype) == ("ms", np.dtype(np.float32))
    np.testing.assert_array_equal(image.array[0, 0], RAMP.astype(np.float32) ** 2)


@pytest.mark.parametrize(
    ("maps", "note"),
    [
        ((real_world("1"),), None),
        ((real_world("ms", last=9),), "does not speak of every stored value"),
        ((real_world("ms"), real_world("um2/s")), "to ms, um2/s; none was chosen"),
    ],
)
def test_maps_that_do_not_fit_leave_the_rescale(tmp_path: Path, maps: tuple[pydicom.Dataset, ...], note: str | None) -> None:
    image = open_dicom(make_mr(tmp_path, *maps))
    assert image.units == "a.u."
    np.testing.assert_array_equal(image.array[0, 0], RAMP * 2 + 3)
    assert note is None or note in image.source["notes"][0]


def test_ct_keeps_its_rescale_to_hu(tmp_path: Path) -> None:
    files = make_mr(tmp_path, real_world("[hnsf'U]"), Modality="CT")
    assert (open_dicom(files).units, open_dicom(files).array[0, 0, 0, 1]) == ("HU", 5)
    bare = make_mr(tmp_path / "bare", real_world("[hnsf'U]"), Modality="CT", RescaleIntercept=None, RescaleSlope=None)
    assert (open_dicom(bare).units, open_dicom(bare).array[0, 0, 0, 1]) == ("HU", 10.5)


@pytest.mark.parametrize("units", ["{SUVbw}g/ml", "g/ml{SUVbw}"])
def test_pet_with_a_map_to_suv_needs_nothing_else(tmp_path: Path, units: str) -> None:
    files = make_mr(tmp_path, real_world("Bq/ml", 100), real_world(units, 0.25, 0), Modality="PT")
    image = open_dicom(files)
    assert image.units == "SUV"
    np.testing.assert_array_equal(image.array[0, 0], RAMP * 0.25)


def test_pet_takes_no_other_map(tmp_path: Path) -> None:
    files = make_mr(tmp_path, real_world("kBq/ml", 100), Modality="PT", Units="GML")
    np.testing.assert_array_equal(open_dicom(files).array[0, 0], RAMP * 2 + 3)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_windows_show_what_pydicom_shows(tmp_path: Path, function: str, photometric: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 4096, (20, 20)).astype(np.uint16)
    window = {"WindowCenter": [1800, 1000], "WindowWidth": [900, 10], "WindowCenterWidthExplanation": ["SOFT", "HARD"]}
    tags = make_tags(
        pixels, DX, PhotometricInterpretation=photometric, BitsStored=12, HighBit=11, VOILUTFunction=function, **window
    )
    image = open_dicom([write(tags, tmp_path / "a.dcm")])
    expected = apply_windowing(pixels, tags) / 4095
    if photometric == "MONOCHROME1":
        expected = 1 - expected
    np.testing.assert_allclose(shown(image)[0, 0], expected, atol=1e-6)
    assert [w.name for w in file_windows(image)] == ["SOFT", "HARD"]
    if function != "SIGMOID":
        low, high = display_range(image)
        np.testing.assert_allclose(np.clip((image.array[0, 0] - low) / (high - low), 0, 1), expected, atol=1e-6)
    json.dumps(image.source)


@pytest.mark.filterwarnings("ignore")
def test_a_voi_table_shows_what_pydicom_shows(shared_data: Path) -> None:
    path = shared_data / "dicom" / "singles" / "vlut_04.dcm"
    tags = pydicom.dcmread(path)
    image = open_dicom([path])
    np.testing.assert_array_equal(image.array[0, 0], tags.pixel_array)
    bits = tags.VOILUTSequence[0].LUTDescriptor[2]
    np.testing.assert_allclose(shown(image)[0, 0], apply_voi_lut(tags.pixel_array, tags) / (2**bits - 1), atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_a_modality_table_equals_that_of_pydicom(shared_data: Path) -> None:
    path = shared_data / "dicom" / "singles" / "mlut_18.dcm"
    tags = pydicom.dcmread(path)
    image = open_dicom([path])
    np.testing.assert_array_equal(image.array[0, 0], apply_modality_lut(tags.pixel_array, tags))
    assert image.array.dtype == np.uint16


def test_a_table_cut_short_is_refused(tmp_path: Path) -> None:
    item = pydicom.Dataset()
    item.LUTDescriptor, item.LUTData, item.ModalityLUTType = [16, 0, 16], b"\0\0" * 9, "US"
    tags = make_tags(RAMP, DX, ModalityLUTSequence=[item])
    with pytest.raises(Refused, match="holds 9 entries; expected 16") as refusal:
        open_dicom([write(tags, tmp_path / "a.dcm")])
    assert refusal.value.code == "look-up-table"


def test_no_window_changes_a_value(tmp_path: Path) -> None:
    plain = open_dicom(make_series(tmp_path / "a", [0.0, 1.0]))
    windowed = open_dicom(make_series(tmp_path / "b", [0.0, 1.0], WindowCenter=40, WindowWidth=80, VOILUTFunction="SIGMOID"))
    np.testing.assert_array_equal(plain.array, windowed.array)
    assert windowed.source["window"] == (40, 80)
    assert shown(windowed, Window(40, 80, "sigmoid")).max() <= 1


def add_overlay(tags: pydicom.Dataset, mask: np.ndarray, group: int = 0x6000, origin: tuple[int, int] = (1, 1)) -> None:
    tags.add_new((group, 0x0010), "US", mask.shape[0])
    tags.add_new((group, 0x0011), "US", mask.shape[1])
    tags.add_new((group, 0x0040), "CS", "G")
    tags.add_new((group, 0x0050), "SS", list(origin))
    tags.add_new((group, 0x0100), "US", 1)
    tags.add_new((group, 0x0102), "US", 0)
    tags.add_new((group, 0x1500), "LO", "arrow")
    tags.add_new((group, 0x3000), "OW", np.packbits(mask.reshape(-1), bitorder="little").tobytes().ljust(4, b"\0"))


def test_overlays_are_told_and_read_and_never_in_the_values(tmp_path: Path) -> None:
    tags = make_tags(RAMP, DX)
    mask = np.eye(4, dtype=bool)
    add_overlay(tags, mask)
    add_overlay(tags, np.ones((2, 3), bool), 0x6002, origin=(4, 0))
    path = write(tags, tmp_path / "a.dcm")
    image = open_dicom([path])
    np.testing.assert_array_equal(image.array[0, 0], RAMP)
    assert image.source["notes"] == ["the file carries overlays (graphics or regions); they are not part of the values"]
    first, second = read_overlays(path)
    assert (first.kind, first.name) == ("graphics", "arrow")
    np.testing.assert_array_equal(first.mask[0], mask)
    np.testing.assert_array_equal(np.argwhere(second.mask[0]), [[3, 0], [3, 1]])  # cut at the image's edge


def test_an_overlay_in_unused_bits_is_cut_off_the_values_and_read(tmp_path: Path) -> None:
    mask = np.eye(4, dtype=bool)
    tags = make_tags(RAMP | (mask.astype(np.uint16) << 14), DX, BitsStored=12, HighBit=11)
    for element, kind, value in ((0x10, "US", 4), (0x11, "US", 4), (0x40, "CS", "R"), (0x100, "US", 16), (0x102, "US", 14)):
        tags.add_new((0x6000, element), kind, value)
    path = write(tags, tmp_path / "a.dcm")
    np.testing.assert_array_equal(open_dicom([path]).array[0, 0], RAMP)
    (overlay,) = read_overlays(path)
    assert overlay.kind == "region"
    np.testing.assert_array_equal(overlay.mask[0], mask)


@pytest.mark.filterwarnings("ignore")
def test_a_real_overlay_equals_that_of_pydicom(shared_data: Path) -> None:
    path = shared_data / "dicom" / "singles" / "MR-SIEMENS-DICOM-WithOverlays.dcm"
    tags = pydicom.dcmread(path)
    overlays = read_overlays(path)
    assert overlays
    for overlay in overlays:
        np.testing.assert_array_equal(overlay.mask[0], tags.overlay_array(overlay.group).astype(bool))
    np.testing.assert_array_equal(stored_frame(read_header(path)), tags.pixel_array)


def test_a_broken_overlay_is_refused_by_name(tmp_path: Path) -> None:
    tags = make_tags(RAMP, DX)
    add_overlay(tags, np.ones((4, 4), bool))
    tags[0x6000, 0x0010].value = 40000
    with pytest.raises(Refused, match="overlay 6000 has 4 bytes for 160000 pixels"):
        read_overlays(write(tags, tmp_path / "a.dcm"))
