"""The check of lesions catches one who erases and one who invents, from the images on."""

from __future__ import annotations

import numpy as np
import pytest

from overread.metrics.pictures.lesions import lesions
from planted_lesions import BALL, TISSUE, erase, exam, invent, outline

PLACES = ((8, 14, 14), (8, 26, 24), (5, 12, 27))


def volume() -> np.ndarray:
    return exam(np.random.default_rng(5), PLACES)


def test_one_who_changes_nothing_but_noise_is_not_accused() -> None:
    made = exam(np.random.default_rng(6), PLACES)
    found = lesions(outline(volume()), outline(made))
    assert (len(found.of_truth), len(found.of_made)) == (3, 3)
    assert not found.erased.any()
    assert not found.invented.any()
    assert found.of_truth.mean() == pytest.approx(4 / 3 * np.pi * BALL**3, rel=0.2)


def test_an_eraser_is_caught() -> None:
    made = erase(volume(), [0, 2])
    found = lesions(outline(volume()), outline(made))
    assert found.erased.sum() == 2
    assert not found.invented.any()
    filled = made[outline(volume()) & ~outline(made)]
    assert filled.mean() == pytest.approx(TISSUE, abs=4)


def test_an_inventor_is_caught() -> None:
    made = invent(volume(), [(10, 26, 12)])
    found = lesions(outline(volume()), outline(made))
    assert not found.erased.any()
    assert found.invented.sum() == 1


def test_one_who_does_both_is_caught_at_both() -> None:
    made = invent(erase(volume(), [1]), [(10, 26, 12), (4, 20, 32)])
    found = lesions(outline(volume()), outline(made))
    assert (int(found.erased.sum()), int(found.invented.sum())) == (1, 2)
    with pytest.raises(IndexError, match="lesion 3 of 3"):
        erase(volume(), [3])
