"""The reading room gives nothing away: images of both kinds take one form, and the page holds no word of which is which."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest

from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.image import Image
from overread.imaging.corner import with_corner
from overread.reporting.generation import held as holding
from overread.reporting.generation.alike import Alike
from overread.reporting.generation.alike import alike as alike_of
from overread.reporting.generation.held import held
from overread.reporting.generation.room import Room, room_page


def alike(real: list[Image], made: list[Image]) -> Alike:
    return alike_of([held(image) for image in real], [held(image) for image in made])


def film(side: int = 32, seed: int = 0, kind: type = np.uint8, **source: object) -> Image:
    values = np.random.default_rng(seed).integers(0, 200, (1, 1, side, side)).astype(kind)
    return Image(values, Grid.from_spacing((1, side, side), spacing_known=False, is_planar=True), source=dict(source))


def volume(shape: tuple[int, int, int], seed: int = 0, units: str = "HU", low: float = -900.0) -> Image:
    values = np.random.default_rng(seed).uniform(low, 500, (1, *shape)).astype(np.float32)
    return Image(values, Grid.from_spacing(shape, (3.0, 1.0, 1.0)), units)


def test_pixels_of_one_size_stay_as_they_are() -> None:
    real, made = [film(seed=k) for k in range(3)], [film(seed=9)]
    shown = alike(real, made)
    assert shown.levels.dtype == np.uint8
    assert (shown.levels[0] == real[0].array[0]).all()
    assert (shown.levels[3] == made[0].array[0]).all()
    assert "all images are shown as 32 x 32 pixels, which they are" in shown.notes


def test_sizes_and_number_formats_become_one() -> None:
    real = [film(96, seed=k, kind=np.uint16) for k in range(3)]
    made = [film(32, seed=k, kind=np.float32) for k in range(3)]
    shown = alike(real, made)
    assert shown.levels.shape == (6, 1, 32, 32)
    assert shown.depth == 1024
    assert [int(level.max()) for level in shown.levels] == [1023] * 6  # each by its own percentiles
    assert shown.notes[0] == "all images are shown as 32 x 32 pixels, resampled where they had another size"
    assert "3 of 3 real images were resampled, usually from 96 x 96 pixels" in shown.remarks[0]
    coarse = alike([film(32)], made)
    assert coarse.depth == 256  # the coarser of the two, or steps would tell
    turned = alike([film(32, shown_inverted=True)], [film(32)])
    assert (turned.levels[0] == 255 - turned.levels[1]).all()
    inverted = alike([film(32, kind=np.float32, shown_inverted=True)], [film(32, kind=np.float32)])
    assert np.abs(inverted.levels[0] - (1023.0 - inverted.levels[1])).max() <= 1


def test_ct_keeps_its_units_and_volumes_their_proportions() -> None:
    real, made = [volume((8, 20, 20), k) for k in range(2)], [volume((8, 20, 20), 5, "a.u.")]
    shown = alike(real, made)
    assert shown.offset == -1024
    assert int(shown.levels[1, 4, 3, 3]) - 1024 == round(float(real[1].array[0, 4, 3, 3]))
    assert any("taken to be in HU" in remark for remark in shown.remarks)
    assert shown.start == (-150 + 1024, 250 + 1024)
    other = alike(real, [volume((8, 20, 20), 5, "a.u.", low=0.0)])
    assert other.offset is None
    with pytest.raises(OverreadError, match="Some of these images are planar and some are volumes"):
        alike(real, [film()])


def test_a_mark_in_the_corner_hides_the_same_corner_in_all() -> None:
    made = [film(64, seed=k) for k in range(3)]
    marked = Image(with_corner(made[0].array[0, 0], "synthetic", 0, 255)[None, None], made[0].grid)
    shown = alike([film(64, seed=7)], [marked, *made[1:]])
    hidden = (shown.levels == 0).all(axis=(0, 1))
    assert hidden[-7:, -20:].all()
    assert not hidden[:-8].any()
    assert any("that corner is black in real and made images alike" in note for note in shown.notes)
    assert any("no mark of synthetic images is drawn" in note for note in alike([film(64, seed=7)], made).notes)


def test_large_images_are_held_small_and_keep_their_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "MOST_VOXELS", 1000)
    marked = Image(with_corner(film(64).array[0, 0], "synthetic", 0, 255)[None, None], film(64).grid)
    kept = held(marked)
    assert kept.image.array.shape == (1, 1, 31, 31)
    assert kept.image.array.dtype == np.uint8
    assert kept.stored == (1, 64, 64)
    assert kept.corner is not None
    large = volume((40, 20, 10))
    assert held(large).image.array.size <= 1000
    assert held(large).image.array.mean() == pytest.approx(large.array.mean(), abs=30)


def test_colours_are_shown_by_their_luminance() -> None:
    array = np.zeros((3, 1, 16, 16), np.uint8)
    array[1] = 100
    coloured = Image(array, Grid.from_spacing((1, 16, 16), is_planar=True), channels=("red", "green", "blue"))
    shown = alike([film(16)], [coloured])
    assert (shown.levels[1] == 59).all()
    assert "colours are shown by their luminance" in shown.notes


def test_the_page_holds_grey_levels_of_one_length_and_no_address() -> None:
    shown = alike([film(seed=k) for k in range(4)], [film(seed=9)] * 4)
    page = room_page(Room("abc123", "Films <of> July", shown, is_phantom=True))
    pixels = json.loads(re.search(r'id="room-pixels">(.*?)</script>', page, re.S).group(1))  # type: ignore[union-attr]
    facts = json.loads(re.search(r'id="room-facts">(.*?)</script>', page, re.S).group(1))  # type: ignore[union-attr]
    assert len({len(text) for text in pixels}) == 1
    first = np.frombuffer(base64.b64decode(pixels[0]), np.uint8).reshape(1, 32, 32)
    assert (first == shown.levels[0]).all()
    assert set(facts) == {
        "format", "room", "count", "shape", "bytes", "depth", "offset", "start", "aspect", "windows", "confidence",
    }  # fmt: skip
    assert "Films &lt;of&gt; July" in page
    assert "PHANTOM" in page
    assert not re.search(r"https?://|src=\"(?!data:)|<link[^>]+href=\"(?!data:)|@import|fetch\(|XMLHttpRequest", page)


def test_deep_levels_are_little_endian_and_ct_has_its_windows() -> None:
    shown = alike([volume((4, 8, 8))], [volume((4, 8, 8), 3)])
    page = room_page(Room("abc123", "Livers", shown, is_phantom=False))
    facts = json.loads(re.search(r'id="room-facts">(.*?)</script>', page, re.S).group(1))  # type: ignore[union-attr]
    pixels = json.loads(re.search(r'id="room-pixels">(.*?)</script>', page, re.S).group(1))  # type: ignore[union-attr]
    assert (np.frombuffer(base64.b64decode(pixels[1]), "<u2") == shown.levels[1].ravel()).all()
    assert facts["bytes"] == 2
    assert facts["windows"]["lung"] == [-1350 + 1024, 150 + 1024]
    assert 'data-window="lung"' in page
    assert "wheel" in page


def test_every_key_on_the_page_is_heard_by_its_script() -> None:
    templates = Path(__file__).parents[2] / "src" / "overread" / "reporting" / "templates"
    page, script = ((templates / name).read_text() for name in ("room.html.j2", "room.js"))
    keys = {key.lower() for key in re.findall(r"<kbd>([A-Z])</kbd>", page)}
    assert keys == {"r", "f", "w", "z", "s", "p"}
    assert all(f'key === "{key}"' in script for key in keys)
    deeds = set(re.findall(r'data-do="(\w+)"', page))
    assert deeds == {"back", "pause", "save", "window"}
