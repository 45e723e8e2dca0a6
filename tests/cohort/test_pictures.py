"""What is read of a case's own image, and what of it is the truth."""

from __future__ import annotations

import numpy as np
import pytest

from overread.cohort.pictures import given_image, true_picture
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.question import Question

GRID = Grid.from_spacing((8, 16, 20), (3.0, 1.0, 1.0))
TRANSLATE = Question("translate", ("flair",), given=("t2", "t1"))
RESTORE = Question("restore", ("t1",), given=("t1",), degradation="noise:0.2")


def exam(kind: type = np.int16, units: str = "a.u.", **source: object) -> Image:
    array = np.random.default_rng(2).integers(1, 500, (3, *GRID.shape)).astype(kind)
    clinical = {"age": 61}
    return Image(array, GRID, units, ("t1", "t2", "flair"), {"modality": "MR", **source}, clinical)


def test_a_translation_reads_the_given_channels_in_their_order_and_answers_the_others() -> None:
    image = exam()
    given, truth = given_image(image, TRANSLATE, "C-1"), true_picture(image, TRANSLATE, "C-1")
    assert given.channels == ("t2", "t1")
    np.testing.assert_array_equal(given.array, image.array[[1, 0]])
    assert (given.grid, given.clinical, given.array.dtype) == (GRID, image.clinical, image.array.dtype)
    assert truth.array.dtype == np.float32
    np.testing.assert_array_equal(truth.array, image.array[[2]])
    assert (truth.grid, truth.units) == (GRID, "a.u.")


def test_to_be_restored_is_what_was_made_worse_and_the_truth_is_the_image_as_it_came() -> None:
    image = exam(np.float32)
    before = image.array.copy()
    given, truth = given_image(image, RESTORE, "C-1"), true_picture(image, RESTORE)
    assert given.channels == ("t1",)
    assert (given.array != image.array[:1]).all()
    np.testing.assert_array_equal(truth.array, image.array[:1])
    np.testing.assert_array_equal(image.array, before)
    np.testing.assert_array_equal(given_image(image, RESTORE, "C-1").array, given.array)
    assert not np.array_equal(given_image(image, RESTORE, "C-2").array, given.array)


def test_units_and_what_is_known_of_channels_go_with_them() -> None:
    image = exam(units="HU, SUV, a.u.", missing_channels=["t2"], covered={"flair": 0.9})
    one = given_image(image, Question("translate", ("t1",), given=("flair",)), "C-1")
    assert (one.units, one.source) == ("a.u.", {"modality": "MR", "covered": {"flair": 0.9}})
    two = given_image(image, Question("translate", ("flair",), given=("t1", "t2")), "C-1")
    assert (two.units, two.source) == ("HU, SUV", {"modality": "MR", "missing_channels": ["t2"]})
    assert true_picture(image, Question("translate", ("t1",), given=("flair",))).units == "HU"


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(OverreadError, match=r"C-1: the image has no channel 'pd'; its channels are t1, t2, flair(?s:.*)question"):
        given_image(exam(), Question("translate", ("flair",), given=("t1", "pd")), "C-1")
    with pytest.raises(OverreadError, match="C-1: the image is asked for no channel"):
        given_image(exam(), Question("translate", ("flair",)), "C-1")
    with pytest.raises(OverreadError, match=r"C-1: this exam lacks channel 'flair', which the model is to answer"):
        true_picture(exam(missing_channels=["flair"]), TRANSLATE, "C-1")
    with pytest.raises(OverreadError, match="A case: this exam lacks channels 'flair', 't1'"):
        true_picture(exam(missing_channels=["t1", "flair"]), Question("autoencode", ("flair", "t1"), given=("flair", "t1")))
    with pytest.raises(OverreadError, match=r"C-1: low_dose:0.25 cannot be simulated(?s:.*)leave the case out"):
        given_image(exam(), Question("restore", ("t1",), given=("t1",), degradation="low_dose:0.25"), "C-1")
