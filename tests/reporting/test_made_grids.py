"""Grids of made images: every made tile is marked, real ones are not, copies are framed, tables must fit."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from overread.core.errors import OverreadError
from overread.imaging.raster import read_raster_header
from overread.reporting.generation import grid, tiles
from overread.reporting.generation.tiles import ALARM, WORDS, Tile, sheet_of


def opened(png: bytes) -> np.ndarray:
    return np.asarray(Picture.open(io.BytesIO(png)).convert("RGB")).astype(int)


def near(pixels: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.abs(pixels - np.array(colour)).max(-1) < 12


def images(*lead: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(*lead, 28, 28))


def test_every_made_tile_is_marked_and_no_real_one(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    drawn = tiles.ImageDraw.ImageDraw.text

    def heard(pen: object, at: tuple[float, float], words: str, **how: object) -> None:
        said.append(words)
        drawn(pen, at, words, **how)

    monkeypatch.setattr(tiles.ImageDraw.ImageDraw, "text", heard)
    shares = np.linspace(0, 1, 5).tolist()
    made = {
        grid.made_grid(images(10), title="made"): 10,
        grid.nearest_grid(images(3), images(3, 4), np.ones((3, 4)), title="near"): 3,
        grid.looks_grid(images(3, 4), [1, 5, 20], [0, 1, 2, 3], title="looks"): 12,
        grid.interpolation_strip(images(), images(5), images(), shares, names=("C-1", "C-2"), title="way"): 5,
        grid.walk_grid(images(2, 3), ["7", "9"], [-2.0, 0.0, 2.0], title="walk"): 6,
    }
    assert said.count(WORDS["synthetic"]) == sum(made.values())
    assert {"look 20", "seed 3", "C-2", "distance 1", "25% of the way", "+2 SD", "nearest training image"} <= set(said)


def test_a_sheet_says_in_its_text_what_was_made(tmp_path: Path) -> None:
    kinds, names = ("t1", "flair"), ["C-1", "C-2"]
    sheets = {
        "synthetic": grid.made_grid(images(2), title="made", is_phantom=True),
        "derived": grid.translated_grid(images(2), images(2), images(2), kinds=kinds, names=names, title="translated"),
        "": sheet_of([[Tile(images(), made=None)]], "real"),
    }
    for kind, png in sheets.items():
        (tmp_path / "sheet.png").write_bytes(png)
        header = read_raster_header(tmp_path / "sheet.png")
        assert (header.made, header.is_simulated) == (kind, kind == "synthetic")


def test_what_is_nearer_than_real_cases_are_is_framed() -> None:
    distances = np.array([[0.2, 1.0], [0.9, 1.0]])
    alarm = tuple(int(ALARM[k : k + 2], 16) for k in (1, 3, 5))
    framed = near(opened(grid.nearest_grid(images(2), images(2, 2), distances, usual=0.5, title="near")), alarm).sum()  # type: ignore[arg-type]
    none = near(opened(grid.nearest_grid(images(2), images(2, 2), distances, usual=0.1, title="near")), alarm).sum()  # type: ignore[arg-type]
    assert framed > 600
    assert none == 0


def test_small_pictures_are_enlarged_without_smoothing_and_volumes_show_their_middle() -> None:
    checked = np.indices((8, 8)).sum(0) % 2
    shown = opened(sheet_of([[Tile(checked.astype(float), made=None)]], "t"))
    inside = shown[34 : 34 + 8 * 16, 8 : 8 + 8 * 16]
    assert set(np.unique(inside)) <= {0, 255}
    assert (inside[::16, ::16, 0] // 255 == checked).all()
    volume = np.zeros((2, 5, 28, 28))
    volume[:, 2] = np.random.default_rng(1).normal(size=(2, 28, 28))
    flat = opened(grid.made_grid(volume, title="volumes"))
    assert flat.shape == opened(grid.made_grid(volume[:, 2], title="volumes")).shape
    assert len(np.unique(flat)) > 30


def test_tables_that_do_not_fit_are_refused() -> None:
    with pytest.raises(OverreadError, match="3 looks and 2 seeds need a table of as many images"):
        grid.looks_grid(images(3, 4), [1, 2, 3], [0, 1], title="t")
    with pytest.raises(OverreadError, match="3 made images need as many rows of neighbours"):
        grid.nearest_grid(images(3), images(2, 4), np.ones((2, 4)), title="t")
    with pytest.raises(OverreadError, match="5 images need as many shares of the way; got 2"):
        grid.interpolation_strip(images(), images(5), images(), [0, 1], names=("a", "b"), title="t")
