"""Where maps lie: maps that know nothing stay in the image, and a reader who drew nothing agrees with nobody."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from asked_toys import WAYS, predictor_of
from overread.batches.prepare import prepare_image
from overread.core.grid import Grid
from overread.core.image import Image
from overread.evaluation.rules import Rules
from overread.explanation.asked import Asked, ask
from overread.explanation.targets import targets_of
from overread.explanation.trial.localisation import human, known_nothing
from overread.explanation.trial.localise import even, locate, middle
from overread.explanation.trial.posed import Posed

FLAT = WAYS[0]


def wide_film() -> Asked:
    """A film twice as wide as high, in a square window: a quarter of it above and a quarter below is not of the film."""
    predictor = predictor_of(FLAT)
    values = np.random.default_rng(0).normal(size=(1, 1, 32, 64)).astype(np.float32)
    image = Image(values, Grid.from_spacing((1, 32, 64), spacing_known=False, is_planar=True), "a.u.", ("image",))
    prepared = prepare_image(image, predictor.preparation)
    return ask(predictor, prepared, targets_of(predictor, prepared)[0])


def test_what_was_put_around_an_image_is_no_part_of_it() -> None:
    asked = wide_film()
    inside = np.zeros(asked.patch, dtype=bool)
    inside[:, 16:48] = True
    assert asked.patch == (1, 64, 64)
    assert np.array_equal(even(asked) > 0, inside)
    assert not middle(asked)[~inside].any()
    assert np.allclose(middle(asked), middle(asked)[:, ::-1, ::-1])
    assert middle(asked)[0, 31, 31] == middle(asked).max()
    truth = np.zeros(asked.patch, dtype=bool)
    truth[0, 16:32, 0:16] = True
    (level,), _ = known_nothing([Posed("C-1", "P-1", ((asked, 1.0),), truth)])
    assert level is not None
    assert level.energy == pytest.approx(1 / 8)  # a share of the film, not of the window
    assert level.energy == pytest.approx(locate(inside.astype(np.float32), truth).energy)


def test_a_window_that_reaches_out_of_a_volume_is_even_in_the_volume() -> None:
    way = next(way for way in WAYS if way.task == "segmentation" and way.dimensions == 3)
    predictor = predictor_of(way)
    grid = Grid.from_spacing((20, 40, 32), spacing_known=True)
    image = Image(np.random.default_rng(0).normal(size=(1, 20, 40, 32)).astype(np.float32), grid, "a.u.", ("image",))
    prepared = prepare_image(image, predictor.preparation)
    asked = ask(predictor, prepared, targets_of(predictor, prepared)[0])
    assert asked.patch == (32, 32, 32)
    shown = np.zeros(asked.patch, dtype=bool)
    shown[6:26] = True
    assert np.array_equal(even(asked) > 0, shown)


def test_a_reader_who_drew_nothing_overlaps_by_nothing() -> None:
    asked, drawn = wide_film(), np.zeros((1, 64, 64), dtype=bool)
    drawn[0, 20:30, 20:30] = True
    case = Posed("C-1", "P-1", ((asked, 1.0),), drawn, (drawn,))
    silent = replace(case, case_id="C-2", patient_id="P-2", readers=(np.zeros_like(drawn),))
    absent = replace(case, case_id="C-3", patient_id="P-3", readers=(None,))
    (found,) = human([case, silent, absent], Rules())
    assert found["reader"] == 2
    assert found["measures"]["iou"]["estimate"] == pytest.approx(0.5)
    assert found["measures"]["iou"]["n_cases"] == 2
    assert found["measures"]["energy"]["estimate"] == pytest.approx(1.0)
