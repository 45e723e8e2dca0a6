"""What `benchmarks/fuzz.py` once found in the readers of sheets and of drawn labels, and greys that are stored in colour."""

from __future__ import annotations

import json
import zipfile
from datetime import date

import numpy as np
import openpyxl
import pytest
from PIL import Image as Pillow

from overread.cohort.labels.convert import label_map_of_marks
from overread.cohort.labels.marks import Mark
from overread.cohort.labels.recognise import read_labels
from overread.cohort.sheet import as_date, is_number, read_sheet
from overread.core.errors import OverreadError, Refused
from overread.core.grid import Grid
from overread.imaging.mha import open_mha
from overread.imaging.raster import open_raster


def test_a_cell_without_end_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('id,label\n1,"' + "x" * 200_000)
    with pytest.raises(OverreadError, match="quotation mark"):
        read_sheet(path)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\xff\xfea\0,\0b", "id,label\n1,2".encode("utf-16") + b"\0"])
def test_cut_utf_16_is_refused(tmp_path, content):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(OverreadError):
        read_sheet(path)


def test_a_table_that_would_fill_the_memory_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,label\n" + "1,2\n" * 3000 + "," * 5000 + "x")
    with pytest.raises(OverreadError, match="more than 4,000,000 cells"):
        read_sheet(path)


def test_numbers_are_finite_and_days_exist():
    assert not is_number("1e999")
    assert not is_number("9" * 5000)
    assert is_number("1e99")
    assert as_date("31/02/2024") is None
    assert as_date("29/02/2024") == date(2024, 2, 29)


def workbook(path, change):
    """A workbook whose worksheet's text is changed."""
    book = openpyxl.Workbook()
    for row in (["id", "label"], ["a", 1], ["b", 0]):
        book.active.append(row)
    book.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, held in members.items():
            archive.writestr(name, change(held) if name.endswith("sheet1.xml") else held)
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:200],
        lambda text: text.replace(b">1<", b">" + b"9" * 5000 + b"<"),
        lambda text: text.replace(b'r="B3"', b'r="B99999999999"'),
        lambda text: text + b"\0" * 100,
        lambda text: text.replace(b"</sheetData>", b"</sheetData>" + b"<!-- -->" * (9 << 20)),
    ],
    ids=["cut", "number", "far", "tail", "bomb"],
)
def test_a_damaged_workbook_is_refused(tmp_path, change):
    with pytest.raises(OverreadError, match=r"The sheet a\.xlsx"):
        read_sheet(workbook(tmp_path / "a.xlsx", change))


def test_a_stray_cell_far_below_costs_nothing(tmp_path):
    path = workbook(tmp_path / "a.xlsx", lambda text: text.replace(b'r="3"', b'r="1000000"').replace(b'r="A3"', b'r="A1000000"').replace(b'r="B3"', b'r="B1000000"'))  # fmt: skip # noqa: E501
    sheet = read_sheet(path)
    assert sheet.rows == (("a", "1"), ("b", "0"))
    assert sheet.lines == (2, 1_000_000)


def test_many_outlines_of_one_class_are_united_as_one_is():
    grid = Grid.from_spacing((2, 8, 9), is_planar=False)
    square, triangle = np.array([(1.0, 1), (5, 1), (5, 5), (1, 5)]), np.array([(3.0, 3), (8, 3), (8, 7)])
    marks = [Mark("a", None, (square,)), Mark("a", None, (triangle,)), Mark("b", None, (square,))]
    once = label_map_of_marks({1: marks}, grid, {"a": 1, "b": 2}, "case").kind
    often = label_map_of_marks({1: marks * 50}, grid, {"a": 1, "b": 2}, "case").kind
    for name in ("a", "b"):
        assert (once.mask(name) == often.mask(name)).all()
    assert once.mask("a").sum() == (once.mask("a") | once.mask("b")).sum() > once.mask("b").sum() == 16
    assert not once.mask("a")[0].any()


@pytest.mark.parametrize("number", ["65535", "²", "9" * 5000])
def test_a_class_number_is_a_small_number(tmp_path, number):
    path = tmp_path / "a.txt"
    path.write_text(f"{number} 0.5 0.5 0.2 0.3\n")
    with pytest.raises(Refused, match="begins with the number of a class"):
        read_labels("yolo", path)


@pytest.mark.parametrize("key", ["²", "9" * 5000])
def test_ids_of_categories_may_be_anything(tmp_path, key):
    path = tmp_path / "a.json"
    categories = [{"id": key, "name": "cyst"}, {"id": "2", "name": "tumour"}]
    path.write_text(json.dumps({"images": [], "annotations": [], "categories": categories}))
    assert read_labels("coco", path).classes == ("tumour", "cyst")


def test_a_data_file_with_an_endless_name_is_not_there(tmp_path):
    path = tmp_path / "a.mhd"
    sizes = "DimSize = 2 2 2\nElementType = MET_UCHAR\nElementSpacing = 1 1 1"
    path.write_text(f"ObjectType = Image\nNDims = 3\n{sizes}\nElementDataFile = {'9' * 5000}\n")
    with pytest.raises(Refused, match="which is not there") as refused:
        open_mha(path)
    assert refused.value.code == "missing-data-file"


# ---- greys stored in colour -------------------------------------------------------------------------


def grey_picture() -> np.ndarray:
    """(64, 64) uint8, brighter than black."""
    return np.random.default_rng(0).integers(60, 200, (64, 64)).astype(np.uint8)


def opened(tmp_path, array: np.ndarray, name: str = "a.jpg"):
    path = tmp_path / name
    options = {"quality": 98, "subsampling": 0} if name.endswith("jpg") else {}
    Pillow.fromarray(array).save(path, **options)
    image = open_raster(path)
    return image, " ".join(image.source.get("notes", ()))


def test_equal_channels_stay_as_stored(tmp_path):
    grey = grey_picture()
    image, note = opened(tmp_path, np.repeat(grey[..., None], 3, axis=2), "a.png")
    assert image.channels == ("image",)
    assert (image.array[0, 0] == grey).all()
    assert "one channel kept" in note


def test_grey_with_the_noise_of_jpeg_is_grey_and_says_so(tmp_path):
    noise = np.random.default_rng(1).integers(-6, 7, (64, 64, 3))
    image, note = opened(tmp_path, (grey_picture()[..., None] + noise).astype(np.uint8))
    assert image.channels == ("image",)
    assert np.abs(image.array[0, 0].astype(int) - grey_picture()).max() <= 9
    assert "noise of JPEG (channels differ by up to" in note


def test_a_cross_hair_makes_no_colour_picture(tmp_path):
    array = np.repeat(grey_picture()[..., None], 3, axis=2)
    array[10, 3:9] = (255, 0, 255)
    image, note = opened(tmp_path, array)
    assert image.channels == ("image",)
    assert image.array.shape == (1, 1, 64, 64)
    assert "coloured marks in" in note
    assert opened(tmp_path, array, "a.png")[0].channels == ("red", "green", "blue")  # exact values are kept


def test_colour_that_may_mean_something_stays(tmp_path):
    array = np.repeat(grey_picture()[..., None], 3, axis=2)
    array[20:26, 20:30] = (200, 30, 30)  # flow in a Doppler image
    assert opened(tmp_path, array)[0].channels == ("red", "green", "blue")
    banner = np.repeat(grey_picture()[..., None], 3, axis=2)
    banner[:5] = (20, 40, 160)  # of a web page, or the buttons of a workstation
    assert opened(tmp_path, banner)[0].channels == ("image",)
    banner[20:26, 20:30] = (200, 30, 30)
    assert opened(tmp_path, banner)[0].channels == ("red", "green", "blue")
    spots = np.zeros((64, 64, 3), np.uint8)
    spots[5, 5] = (0, 0, 250)  # fluorescence: little, but all there is
    assert opened(tmp_path, spots)[0].channels == ("red", "green", "blue")


@pytest.mark.parametrize("name", ["y161", "y180", "no318"], ids=["tint", "cross-hair", "banner of a web page"])
def test_greys_of_a_web_collection_that_are_stored_in_colour(shared_data, name):
    assert open_raster(next((shared_data / "brain_tumor_mr_2d").rglob(f"{name}_jpg*.jpg"))).channels == ("image",)
