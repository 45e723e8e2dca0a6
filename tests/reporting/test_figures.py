"""Panels: the right slice, the right way round, with the right words."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest

from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.kinds import Findings, LabelMap, Measurements, Points, Structure
from overread.reporting.pictures.canvas import ANSWER_COLOUR, PHANTOM_COLOUR, TRUTH_COLOUR
from overread.reporting.pictures.display import grey
from overread.reporting.pictures.figures import case_panel
from overread.reporting.pictures.planes import largest_slice, orientation_letters, planes, region_of_interest, spread_slices
from overread.reporting.pictures.prepared import example_grid, prepared_panel
from reporting.fakes import liver_panels

GRID = Grid.from_spacing((6, 20, 24), (5.0, 1.0, 1.0))


def has_colour(png: bytes, colour: str) -> bool:
    pixels = np.asarray(PIL.Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    wanted = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)])
    return bool((np.abs(pixels - wanted).max(-1) <= 6).any())


def label_map(grid: Grid = GRID, shift: int = 0) -> LabelMap:
    layers = np.zeros((1, *grid.shape), dtype=np.int16)
    layers[0, grid.shape[0] // 2, 5 + shift : 12 + shift, 6:15] = 1
    return LabelMap(layers, (Structure("liver", 1),), grid)


def image(grid: Grid = GRID, units: str = "HU") -> Image:
    return Image(np.random.default_rng(0).normal(40, 60, (1, *grid.shape)).astype(np.float32), grid, units)


def test_letters_of_the_three_planes_follow_radiological_convention() -> None:
    axial, coronal, sagittal = planes(GRID)
    assert axial.letters == ("R", "L", "A", "P")
    assert coronal.letters == ("R", "L", "H", "F")
    assert sagittal.letters == ("A", "P", "H", "F")


def test_oblique_planes_get_two_letters() -> None:
    assert orientation_letters(np.array([1.0, 0.0, 0.0])) == "L"
    assert orientation_letters(np.array([0.8, -0.6, 0.0])) == "LA"
    assert orientation_letters(np.array([0.0, 0.1, -0.99])) == "F"


def test_coronal_slices_show_the_head_on_top() -> None:
    array = np.arange(6)[:, None, None] * np.ones((6, 20, 24))
    assert planes(GRID)[1].cut(array, 3)[0, 0] == 5


def test_pictures_without_spacing_carry_no_letters() -> None:
    flat = Grid.from_spacing((1, 30, 30), spacing_known=False, is_planar=True)
    assert planes(flat)[0].letters == ("", "", "", "")


def test_the_slice_with_most_of_the_mask_is_chosen() -> None:
    mask = np.zeros((5, 8, 8), dtype=bool)
    mask[1, :3, :3] = True
    mask[3, :5, :5] = True
    assert largest_slice(mask, 0) == 3
    assert largest_slice(np.zeros((5, 8, 8), dtype=bool), 0) == 2


def test_slices_are_spread_through_the_volume() -> None:
    assert spread_slices(4, 6) == [0, 1, 2, 3]
    assert spread_slices(101, 3) == [10, 50, 90]


def test_a_small_disagreement_is_enlarged_and_a_large_one_is_not() -> None:
    small = np.zeros((100, 80), dtype=bool)
    small[10:14, 70:75] = True
    rows, columns = region_of_interest(small) or pytest.fail("no region")
    assert small[rows, columns].sum() == small.sum()
    assert (rows.stop - rows.start, columns.stop - columns.start) == (30, 24)  # the proportions of the slice
    assert region_of_interest(np.ones((100, 80), dtype=bool)) is None


def test_a_segmentation_panel_shows_both_outlines() -> None:
    png = case_panel(image(), label_map(), label_map(shift=3), title="C-0001", is_phantom=False)
    assert has_colour(png, TRUTH_COLOUR)
    assert has_colour(png, ANSWER_COLOUR)
    assert not has_colour(png, PHANTOM_COLOUR)


def test_phantom_is_drawn_on_panels_of_phantoms() -> None:
    for panel in liver_panels(True)[:1]:
        assert has_colour(panel.png, PHANTOM_COLOUR)


@pytest.mark.parametrize(
    ("truth", "answer"),
    [
        (Findings({"a": 1.0, "b": 0.0}), Findings({"a": 0.4, "b": 0.6})),
        (Findings({"a": None}), Findings({"a": 0.4})),
        (Measurements({"age": 43.0}, {"age": "years"}), Measurements({"age": 50.0}, {"age": "years"})),
        (None, Measurements({"age": 50.0}, {"age": "years"})),
        (None, None),
        (label_map(), None),
        (None, label_map()),
    ],
)
def test_every_kind_can_be_drawn_with_or_without_truth(truth: object, answer: object) -> None:
    png = case_panel(image(), truth, answer, title="C-0001", is_phantom=True)  # type: ignore[arg-type]
    assert PIL.Image.open(io.BytesIO(png)).format == "PNG"


def test_empty_masks_and_colour_pictures_are_drawn() -> None:
    flat = Grid.from_spacing((1, 30, 40), spacing_known=False, is_planar=True)
    colour = Image(np.full((3, *flat.shape), 120, dtype=np.uint8), flat, channels=("red", "green", "blue"))
    empty = LabelMap(np.zeros((1, *flat.shape), dtype=np.uint8), (Structure("lesion", 1),), flat)
    assert case_panel(colour, empty, empty, title="C-0002", is_phantom=False).startswith(b"\x89PNG")


def test_other_kinds_are_refused_by_name() -> None:
    points = Points(np.zeros((0, 3)), (), np.zeros(0))
    with pytest.raises(OverreadError, match="A panel of Points cannot be drawn"):
        case_panel(image(), points, None, title="C-0003", is_phantom=False)


def test_windows_follow_the_units() -> None:
    ct = Image(np.array([-150.0, 50.0, 250.0, 3000.0], dtype=np.float32).reshape(1, 1, 2, 2), Grid.from_spacing((1, 2, 2)), "HU")
    assert grey(ct).ravel().tolist() == pytest.approx([0.0, 0.5, 1.0, 1.0])
    assert grey(ct, (0.0, 100.0)).ravel().tolist() == pytest.approx([0.0, 0.5, 1.0, 1.0])


def test_prepared_and_augmented_panels() -> None:
    array = np.random.default_rng(0).normal(size=(2, 6, 20, 24)).astype(np.float32)
    label = label_map().layers[0]
    assert has_colour(prepared_panel(array, label, "prepared"), TRUTH_COLOUR)
    assert prepared_panel(array, None, "prepared").startswith(b"\x89PNG")
    assert has_colour(example_grid([(array, label)] * 4, "examples", is_phantom=True), PHANTOM_COLOUR)
