"""TIFF: pages, depths, packings, and spacing only where it is stated; tifffile is the oracle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from overread.core.errors import OverreadError, Refused
from overread.imaging.raster import open_raster, open_raster_labels, read_raster_header

STACK = np.arange(4 * 5 * 6, dtype=np.uint16).reshape(4, 5, 6) * 500  # (Z, Y, X)


@pytest.mark.parametrize("dtype", ["u1", "i1", "<u2", ">u2", "<i2", "<i4", "<u4", "<f4"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("packing", [None, "deflate"])
def test_types_tiles_and_packings(tmp_path: Path, dtype: str, tile: tuple[int, int] | None, packing: str | None) -> None:
    order = ">" if dtype.startswith(">") else "<"
    low = -60 if np.dtype(dtype).kind in "if" else 0
    picture = (np.arange(40 * 50).reshape(40, 50) % 120 + low).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", picture, byteorder=order, tile=tile, compression=packing, metadata=None)
    np.testing.assert_array_equal(open_raster(tmp_path / "a.tif").array[0, 0], picture)


@pytest.mark.parametrize("packing", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_packings_of_other_writers(tmp_path: Path, packing: str) -> None:
    Pillow.fromarray(STACK[1]).save(tmp_path / "a.tif", compression=packing)
    np.testing.assert_array_equal(open_raster(tmp_path / "a.tif").array[0, 0], STACK[1])


def test_large_numbers_keep_their_sign(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.array([[4_000_000_000, 1]], np.uint32), metadata=None)
    assert open_raster(tmp_path / "a.tif").array[0, 0].tolist() == [[4e9, 1]]


def test_bigtiff(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], bigtiff=True, metadata=None)
    np.testing.assert_array_equal(open_raster(tmp_path / "a.tif").array[0, 0], STACK[0])


def imagej(path: Path, array: np.ndarray, pixels_per_unit: float = 4.0, **metadata: object) -> Path:
    tifffile.imwrite(path, array, imagej=True, resolution=(pixels_per_unit, pixels_per_unit / 2), metadata=metadata)
    return path


@pytest.mark.parametrize(("unit", "scale"), [("mm", 1.0), ("um", 0.001), ("\\u00B5m", 0.001), ("cm", 10.0)])
def test_an_imagej_stack_is_a_volume_with_its_spacing(tmp_path: Path, unit: str, scale: float) -> None:
    path = imagej(tmp_path / "a.tif", STACK, axes="ZYX", unit=unit, spacing=3.0)
    image, header = open_raster(path), read_raster_header(path)
    np.testing.assert_array_equal(image.array[0], STACK)
    assert image.grid.spacing_mm == pytest.approx((3 * scale, 0.5 * scale, 0.25 * scale))
    assert header.spacing == pytest.approx(image.grid.spacing_mm)
    assert (header.shape, header.pages) == ((4, 5, 6), 1)
    assert "no orientation" in image.source["notes"][0]
    np.testing.assert_array_equal(open_raster(path, 2).array[0, 0], STACK[2])


def test_an_imagej_stack_without_a_unit_has_no_millimetres(tmp_path: Path) -> None:
    for metadata in ({"unit": "pixel", "spacing": 3.0}, {}):
        image = open_raster(imagej(tmp_path / "a.tif", STACK, axes="ZYX", **metadata))
        assert image.array.shape == (1, 4, 5, 6)
        with pytest.raises(OverreadError, match="no pixel spacing"):
            _ = image.grid.spacing_mm
    half = open_raster(imagej(tmp_path / "b.tif", STACK, axes="ZYX", unit="mm"))
    assert not half.grid.spacing_known
    assert "only some of its spacings" in half.source["notes"][0]
    plane = open_raster(imagej(tmp_path / "c.tif", STACK[0], axes="YX", unit="mm"))
    assert plane.grid.is_planar
    assert plane.grid.spacing_mm[1:] == pytest.approx((0.5, 0.25))


def test_times_and_plain_pages_are_no_volume(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "plain.tif", STACK, photometric="minisblack", metadata=None)
    for path in (imagej(tmp_path / "a.tif", STACK, axes="TYX", unit="mm"), tmp_path / "plain.tif"):
        with pytest.raises(Refused, match="4 pages") as refusal:
            open_raster(path)
        assert refusal.value.code == "several-pages"
        np.testing.assert_array_equal(open_raster(path, 3).array[0, 0], STACK[3])


def test_ome_states_its_spacing(tmp_path: Path) -> None:
    about = {"axes": "ZYX", "PhysicalSizeX": 250.0, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.5, "PhysicalSizeYUnit": "mm"}
    about |= {"PhysicalSizeZ": 0.3, "PhysicalSizeZUnit": "cm"}
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, ome=True, metadata=about)
    image = open_raster(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(image.array[0], STACK)
    assert image.grid.spacing_mm == pytest.approx((3, 0.5, 0.25))
    tifffile.imwrite(tmp_path / "b.ome.tif", STACK, ome=True, metadata={"axes": "ZYX"})
    assert not open_raster(tmp_path / "b.ome.tif").grid.spacing_known


def test_dots_per_inch_are_not_pixel_spacing(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "a.tif", "a.bmp"):
        Pillow.fromarray(STACK[0].astype(np.uint8)).save(tmp_path / name, dpi=(300, 300))
        with pytest.raises(OverreadError, match="no pixel spacing"):
            _ = open_raster(tmp_path / name).grid.spacing_mm
        assert read_raster_header(tmp_path / name).spacing is None


def test_deep_colour_and_printing_colours_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "deep.tif", np.zeros((5, 6, 3), np.uint16), photometric="rgb", metadata=None)
    Pillow.new("CMYK", (6, 5)).save(tmp_path / "a.jpg")
    Pillow.new("CMYK", (6, 5)).save(tmp_path / "a.tif")
    Pillow.new("LAB", (6, 5)).save(tmp_path / "lab.tif")
    for name, code in (
        ("deep.tif", "colour-16-bit"),
        ("a.jpg", "print-colours"),
        ("a.tif", "print-colours"),
        ("lab.tif", "print-colours"),
    ):
        with pytest.raises(Refused, match=name) as refusal:
            open_raster(tmp_path / name)
        assert refusal.value.code == code


def test_what_pillow_would_get_wrong_is_refused(tmp_path: Path) -> None:
    for dtype in (">f4", ">i4"):
        tifffile.imwrite(tmp_path / "plain.tif", STACK[0].astype(dtype), byteorder=">", metadata=None)
        np.testing.assert_array_equal(open_raster(tmp_path / "plain.tif").array[0, 0], STACK[0])
        tifffile.imwrite(tmp_path / "a.tif", STACK[0].astype(dtype), byteorder=">", compression="deflate", metadata=None)
        for read in (open_raster, read_raster_header):
            with pytest.raises(Refused) as refusal:
                read(tmp_path / "a.tif")
            assert refusal.value.code == "packed-big-endian"


def test_white_as_zero_is_turned_over(tmp_path: Path) -> None:
    for dtype, top in (("u1", 255), ("u2", 65535)):
        tifffile.imwrite(tmp_path / "a.tif", STACK[0].astype(dtype), photometric="miniswhite", metadata=None)
        np.testing.assert_array_equal(open_raster(tmp_path / "a.tif").array[0, 0], top - STACK[0].astype(dtype).astype(int))


def test_damage_is_named(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.random.default_rng(0).random((40, 50)).astype(np.float32), metadata=None)
    whole = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Refused) as refusal:
        open_raster(tmp_path / "a.tif")
    assert refusal.value.code in ("truncated", "unreadable")
    tifffile.imwrite(tmp_path / "d.tif", np.zeros((5, 6)), metadata=None)  # 64-bit numbers
    with pytest.raises(Refused, match=r"d\.tif"):
        open_raster(tmp_path / "d.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_pictures_are_turned_upright_once(tmp_path: Path, name: str, orientation: int) -> None:
    picture = np.zeros((32, 48), np.uint8)
    picture[:16, :16] = 200
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    Pillow.fromarray(picture).save(tmp_path / name, exif=exif)
    if name == "a.tif" and orientation >= 5:
        with pytest.raises(Refused, match="stored sideways"):
            open_raster(tmp_path / name)
        return
    image = open_raster(tmp_path / name)
    turned = {1: picture, 2: picture[:, ::-1], 3: picture[::-1, ::-1], 4: picture[::-1]}
    turned |= {5: picture.T, 6: picture.T[:, ::-1], 7: picture.T[::-1, ::-1], 8: picture.T[::-1]}
    np.testing.assert_allclose(image.array[0, 0].astype(int), turned[orientation], atol=8)
    assert read_raster_header(tmp_path / name).shape == image.grid.shape


def test_labels_of_few_bits_and_palettes(tmp_path: Path) -> None:
    values = np.array([[0, 1, 2, 3], [3, 2, 1, 0]], np.uint8)
    voc = Pillow.fromarray(values, "P")
    voc.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])
    voc.save(tmp_path / "voc.png")
    layers, grid = open_raster_labels(tmp_path / "voc.png")
    np.testing.assert_array_equal(layers[0, 0], values)
    assert grid.is_planar
    assert open_raster(tmp_path / "voc.png").channels == ("red", "green", "blue")
    plain = Pillow.fromarray(values, "P")
    plain.putpalette([v for v in range(256) for _ in range(3)])
    plain.save(tmp_path / "plain.png", bits=8)
    np.testing.assert_array_equal(open_raster_labels(tmp_path / "plain.png")[0][0, 0], values)
    wide = Pillow.fromarray(values, "P")
    wide.putpalette([0, 0, 0, 85, 85, 85, 170, 170, 170, 255, 255, 255])
    wide.save(tmp_path / "wide.png")
    with pytest.raises(Refused, match="stored value 1 as grey 85") as refusal:
        open_raster_labels(tmp_path / "wide.png")
    assert refusal.value.code == "grey-palette"
    Pillow.fromarray(values > 1).save(tmp_path / "bits.png")
    assert set(np.unique(open_raster_labels(tmp_path / "bits.png")[0])) == {0, 1}


def test_transparency(tmp_path: Path) -> None:
    drawn = np.zeros((8, 9, 4), np.uint8)
    drawn[..., 0], drawn[2:4, 2:4, 3] = 255, 255
    Pillow.fromarray(drawn).save(tmp_path / "drawn.png")
    with pytest.raises(Refused, match="in the transparency") as refusal:
        open_raster(tmp_path / "drawn.png")
    assert refusal.value.code == "drawn-in-alpha"
    drawn[..., 1] = np.arange(9)
    Pillow.fromarray(drawn).save(tmp_path / "both.png")
    image = open_raster(tmp_path / "both.png")
    assert image.source["notes"] == ["transparency left out"]
    np.testing.assert_array_equal(image.array[1, 0], drawn[..., 1])
