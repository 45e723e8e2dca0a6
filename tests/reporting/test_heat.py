"""Pictures of maps: one scale, the verdict on the picture, the right slices; and what the page says of maps."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest
from skimage.color import rgb2lab

from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.question import Question
from overread.explanation.methods.table import METHODS as MADE
from overread.reporting.explanation.maps import maps_section
from overread.reporting.explanation.maps_words import METHODS, score_words
from overread.reporting.page_parts import Part, Pictures, Words
from overread.reporting.pictures.canvas import ANSWER_COLOUR, PHANTOM_COLOUR, TRUTH_COLOUR
from overread.reporting.pictures.heat import FAILED_COLOUR, SIGNED, Scale, Stamp, heat_panel, peak_of
from overread.reporting.pictures.heat_marks import WINDOW_COLOUR, Marks, turned_marks

VOLUME = Grid.from_spacing((6, 20, 24), (5.0, 1.0, 1.0))
FILM = Grid.from_spacing((1, 30, 40), spacing_known=False, is_planar=True)
PLAIN = Scale(2.0, False, "fall of the score")


def image(grid: Grid) -> Image:
    return Image(np.random.default_rng(0).normal(40, 60, (1, *grid.shape)).astype(np.float32), grid, "HU")


def ball(grid: Grid) -> np.ndarray:
    middle = [(n - 1) / 2 for n in grid.shape]
    distance = sum(((g - m) * s) ** 2 for g, m, s in zip(np.indices(grid.shape), middle, grid.spacing, strict=True))
    return (2 * np.exp(-distance / 60)).astype(np.float32)


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(PIL.Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def has_colour(png: bytes, colour: str) -> bool:
    wanted = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)])
    return bool((np.abs(pixels(png) - wanted).max(-1) <= 6).any())


def panel(grid: Grid, verdict: str = "passed", marks: Marks | None = None, *, is_phantom: bool = False) -> bytes:
    stamp = Stamp(verdict, "Weight randomisation: the map stays when the weights are random.")
    return heat_panel(
        image(grid), ball(grid), PLAIN, stamp, title="C-0001: Occlusion, liver", lines=["The score: 1.2"],
        marks=marks or Marks(), is_phantom=is_phantom,
    )  # fmt: skip


def test_a_signed_scale_is_as_light_at_a_value_as_at_its_negative() -> None:
    steps = np.linspace(0, 1, 41)
    lightness = rgb2lab(SIGNED(steps)[None, :, :3])[0, :, 0]
    assert np.abs(lightness - lightness[::-1]).max() < 2.5
    assert np.all(np.diff(lightness[20:]) > 0)
    assert lightness[20] < 6


def test_colours_end_at_the_limit_and_zero_covers_nothing() -> None:
    signed = Scale(2.0, True, "")
    assert np.array_equal(signed.colours(np.array([2.0])), signed.colours(np.array([9.0])))
    assert np.array_equal(signed.share(np.array([-9.0, -1.0, 0.0, 1.0])), [-1, -0.5, 0, 0.5])
    assert np.array_equal(PLAIN.share(np.array([-1.0, 1.0, 3.0])), [0, 0.5, 1])
    assert signed.over(np.array([0.0]))[0, 3] == 0
    assert signed.over(np.array([-2.0]))[0, 3] == signed.over(np.array([2.0]))[0, 3] > 0


def test_only_what_failed_is_framed_in_red() -> None:
    for verdict, is_red in (("passed", False), ("not tried", False), ("failed", True)):
        png = panel(FILM, verdict)
        edge = pixels(png)[:, 1]
        wanted = np.array([int(FAILED_COLOUR[k : k + 2], 16) for k in (1, 3, 5)])
        assert bool((np.abs(edge - wanted).max(-1) <= 6).all()) == is_red
        assert has_colour(png, FAILED_COLOUR) == is_red


def test_a_phantom_is_said_to_be_one() -> None:
    assert has_colour(panel(VOLUME, is_phantom=True), PHANTOM_COLOUR)
    assert not has_colour(panel(VOLUME), PHANTOM_COLOUR)


def test_a_volume_gets_a_second_row_of_planes_through_the_peak() -> None:
    assert pixels(panel(VOLUME)).shape[0] > 1.3 * pixels(panel(FILM)).shape[0]
    values = np.zeros((3, 4, 5))
    values[2, 1, 3], values[0, 0, 0] = 1.0, -5.0
    assert peak_of(values) == (2, 1, 3)
    assert peak_of(np.minimum(values, 0)) == (0, 0, 0)


def test_target_reference_and_window_are_drawn() -> None:
    mask = ball(VOLUME) > 1
    box = np.array([[-0.5, 3.0, 4.0], [5.5, 15.0, 20.0]])
    png = panel(VOLUME, marks=Marks(target=mask, truth=ball(VOLUME) > 0.5, window=box))
    assert all(has_colour(png, colour) for colour in (ANSWER_COLOUR, TRUTH_COLOUR, WINDOW_COLOUR))
    boxed = panel(FILM, marks=Marks(target_box=np.array([[-0.5, 3, 4], [0.5, 15, 20]]), truth_boxes=(box[:, :] * 1.2,)))
    assert has_colour(boxed, ANSWER_COLOUR)


def test_a_box_turns_with_the_image() -> None:
    order, flips = (0, 1, 2), (True, False, False)
    box = np.array([[-0.5, 3.0, 4.0], [1.5, 15.0, 20.0]])
    mask = np.zeros(VOLUME.shape, bool)
    mask[0:2, 4:15, 5:20] = True
    turned = turned_marks(Marks(target=mask, target_box=box), VOLUME, order, flips)
    assert turned.target_box is not None
    assert turned.target is not None
    assert turned.target_box[:, 0].tolist() == [3.5, 5.5]
    assert np.flatnonzero(turned.target.any(axis=(1, 2))).tolist() == [4, 5]


def test_a_map_of_nothing_can_be_drawn() -> None:
    nothing = np.zeros(VOLUME.shape, np.float32)
    png = heat_panel(image(VOLUME), nothing, PLAIN, Stamp("not tried"), title="C-0001", lines=[], marks=Marks(), is_phantom=False)
    assert pixels(png).shape[1] == 1280


def test_every_method_has_its_words() -> None:
    assert set(METHODS) == set(MADE)
    assert all("{score}" in words.unit or "attention" in words.unit for words in METHODS.values())


@pytest.mark.parametrize(
    ("question", "is_listed", "words"),
    [
        (Question("classification", ("no", "yes"), positive="yes"), False, "the score (log odds of yes)"),
        (Question("classification", ("a", "b", "c")), False, "the score (logit of b)"),
        (Question("regression", ("age", "weight"), units=("years", "kg")), False, "weight (kg)"),
        (Question("segmentation", ("liver", "cyst"), (1, 2)), False, "the score (mean logit of cyst over its voxels)"),
        (Question("detection", ("nodule", "mass"), (1, 2)), True, "the score (0 to 1, of this object)"),
    ],
)
def test_the_score_is_named_with_its_unit(question: Question, is_listed: bool, words: str) -> None:
    assert score_words(question, 1, is_listed=is_listed) == words


def method_row(name: str, verdict: str, *, is_withheld: bool = False, **more: object) -> dict:
    plain = {
        "method": name,
        "title": name.title(),
        "verdict": verdict,
        "why": "edges: it redraws edges",
        "unit": "u",
        "seconds": 1.5,
    }
    return plain | {"tells": "t", "cannot": "c", "is_withheld": is_withheld, "left_out": "", "refusals": [], **more}


def map_row(verdict: str) -> dict:
    return {
        "method": "saliency", "title": "Saliency", "target": "yes", "file": "C-1_saliency_yes.png", "verdict": verdict,
        "parameters_words": "", "score": 1.25, "score_words": "the score (log odds of yes)",
    }  # fmt: skip


def section(methods: list[dict], cases: list[dict], **more: object) -> tuple[str, list[str], list[Pictures]]:
    record = {"n_cases": len(cases), "has_trial": True, "target": None, "methods": methods, "cases": cases, "notes": [], **more}
    made = maps_section(Part(record, {"C-1_saliency_yes.png": b"png"}))
    words = [block.text for block in made.blocks if isinstance(block, Words)]
    return made.lead, words, [block for block in made.blocks if isinstance(block, Pictures)]


def case_row(**more: object) -> dict:
    return {
        "case_id": "C-1",
        "why": "at random",
        "told": "",
        "answer": "yes 0.91",
        "refusal": "",
        "is_empty": False,
        "warnings": [],
        "maps": [],
    } | more


def test_the_page_says_what_was_withheld_and_why() -> None:
    rows = [method_row("saliency", "passed"), method_row("occlusion", "failed", is_withheld=True)]
    lead, words, pictures = section(rows, [case_row(maps=[map_row("passed")])])
    assert lead == "1 map of 1 case, by Saliency. Withheld, as it failed on trial: Occlusion."
    assert any("Occlusion was withheld" in text and "Edges: it redraws edges." in text for text in words)
    assert not pictures[0].pictures[0].is_failed
    assert pictures[0].pictures[0].caption == "Saliency of yes; score (log odds of yes): 1.25."


def test_a_failed_map_that_was_asked_for_is_marked() -> None:
    _, _, pictures = section([method_row("saliency", "failed")], [case_row(maps=[map_row("failed")])])
    (shown,) = pictures[0].pictures
    assert shown.is_failed
    assert "do not believe this map" in shown.caption


def test_a_case_without_an_answer_to_ask_about_is_said() -> None:
    _, words, pictures = section([method_row("saliency", "not tried")], [case_row(is_empty=True, answer="")], has_trial=False)
    assert not pictures
    assert any("C-1 (at random). The model answered nothing here" in text for text in words)
    assert any("stamped as not tried" in text for text in words)


def test_refusals_are_said_once() -> None:
    rows = [method_row("class_activation", "not tried", refusals=["it answers per voxel"], left_out="")]
    _, words, _ = section(rows, [case_row()])
    assert any("cannot be asked of this network: it answers per voxel." in text for text in words)
