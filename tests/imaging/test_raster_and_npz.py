"""Pictures and archives: modes, depths, marks of simulation, damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from overread.core.errors import OverreadError, Refused
from overread.imaging.labels import open_labels
from overread.imaging.npz import open_npz, read_npz_labels, read_npz_parts
from overread.imaging.raster import open_raster, read_raster_header

GREY = np.arange(30, dtype=np.uint8).reshape(5, 6)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp"])
def test_grey_pictures(tmp_path: Path, name: str) -> None:
    Pillow.fromarray(GREY).save(tmp_path / name)
    image = open_raster(tmp_path / name)
    np.testing.assert_array_equal(image.array[0, 0], GREY)
    assert image.grid.is_planar
    assert not image.grid.spacing_known


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bits_stay_16_bits(tmp_path: Path, name: str) -> None:
    deep = GREY.astype(np.uint16) * 2000
    Pillow.fromarray(deep).save(tmp_path / name)
    image = open_raster(tmp_path / name)
    np.testing.assert_array_equal(image.array[0, 0], deep)
    assert image.array.dtype.itemsize >= 2


def test_colour_and_grey_stored_as_colour(tmp_path: Path) -> None:
    colour = np.stack([GREY, GREY + 1, GREY + 2], axis=-1)
    Pillow.fromarray(colour).save(tmp_path / "c.png")
    image = open_raster(tmp_path / "c.png")
    assert image.channels == ("red", "green", "blue")
    np.testing.assert_array_equal(image.array[:, 0], colour.transpose(2, 0, 1))
    Pillow.fromarray(np.stack([GREY] * 3, axis=-1)).save(tmp_path / "g.png")
    grey = open_raster(tmp_path / "g.png")
    assert grey.channels == ("image",)
    assert "one channel kept" in grey.source["notes"][0]
    Pillow.fromarray(np.dstack([colour, np.full_like(GREY, 255)])).save(tmp_path / "alpha.png")
    np.testing.assert_array_equal(open_raster(tmp_path / "alpha.png").array, image.array)


def test_a_phantom_says_so(tmp_path: Path) -> None:
    text = PngInfo()
    text.add_text("Description", "PHANTOM chest film")
    Pillow.fromarray(GREY).save(tmp_path / "a.png", pnginfo=text)
    assert open_raster(tmp_path / "a.png").source["is_simulated"] is True
    assert read_raster_header(tmp_path / "a.png").is_simulated


def test_damaged_pictures_are_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    for name in ("a.png", "a.jpg"):
        Pillow.fromarray(noise).save(tmp_path / name)
        whole = (tmp_path / name).read_bytes()
        for content, code in ((whole[: len(whole) // 2], "truncated"), (b"", "empty-file"), (b"no picture", "unreadable")):
            (tmp_path / name).write_bytes(content)
            for read in (open_raster, read_raster_header):
                with pytest.raises(Refused, match=name) as refusal:
                    read(tmp_path / name)
                assert refusal.value.code == code


def test_pages(tmp_path: Path) -> None:
    pages = [Pillow.fromarray(GREY + k) for k in range(3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(Refused, match="3 pages"):
        open_raster(tmp_path / "a.tif")
    np.testing.assert_array_equal(open_raster(tmp_path / "a.tif", 2).array[0, 0], GREY + 2)


def test_masks_from_pictures(tmp_path: Path) -> None:
    Pillow.fromarray(GREY).save(tmp_path / "m.png")
    layers, grid = open_labels([tmp_path / "m.png"], "raster")
    np.testing.assert_array_equal(layers[0, 0], GREY)
    assert grid.is_planar
    Pillow.fromarray(np.stack([GREY, GREY, GREY + 1], axis=-1)).save(tmp_path / "c.png")
    with pytest.raises(Refused, match="one label value per pixel"):
        open_labels([tmp_path / "c.png"], "raster")


def archive(path: Path, row: tuple[int, ...]) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 5), ("val", 2), ("test", 3)):
        arrays[f"{split}_images"] = random.integers(0, 255, (count, *row)).astype(np.uint8)
        arrays[f"{split}_labels"] = random.integers(0, 2, (count, 1))
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    return arrays


@pytest.mark.parametrize(("row", "shape"), [((4, 6), (1, 1, 4, 6)), ((4, 6, 3), (3, 1, 4, 6)), ((5, 4, 6), (1, 5, 4, 6))])
def test_rows_of_an_archive(tmp_path: Path, row: tuple[int, ...], shape: tuple[int, ...]) -> None:
    arrays = archive(tmp_path / "a.npz", row)
    assert [(p.split, p.start, p.count) for p in read_npz_parts(tmp_path / "a.npz")] == [
        ("train", 0, 5),
        ("val", 5, 2),
        ("test", 7, 3),
    ]
    image = open_npz(tmp_path / "a.npz", 6)
    assert image.array.shape == shape
    first = image.array[0].squeeze() if len(row) == 2 or row[-1] != 3 else image.array[0, 0]
    expected = arrays["val_images"][1]
    np.testing.assert_array_equal(first, expected if len(row) == 2 or row[-1] != 3 else expected[..., 0])
    np.testing.assert_array_equal(read_npz_labels(tmp_path / "a.npz")["test"], arrays["test_labels"])
    with pytest.raises(Refused, match="rows 0 to 9; there is no row 10"):
        open_npz(tmp_path / "a.npz", 10)


def test_foreign_and_damaged_archives(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", weights=np.zeros(3))
    with pytest.raises(Refused, match="arrays weights; expected train_images"):
        read_npz_parts(tmp_path / "a.npz")
    np.savez(tmp_path / "o.npz", images=np.array([{}], dtype=object))
    with pytest.raises(OverreadError):
        open_npz(tmp_path / "o.npz", 0)
    (tmp_path / "b.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:60])
    with pytest.raises(Refused, match="not a readable NumPy archive"):
        read_npz_parts(tmp_path / "b.npz")
