"""Masks on their images' grids, several files as channels, and the seal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cohort.folders import grid, mask_cohort, write_mask, write_volume
from overread.cohort.load import label_map, load_image, load_truth, open_channels
from overread.cohort.place import place_layers
from overread.cohort.seal import truth_digest
from overread.core.case import ImageReference, TruthReference
from overread.core.errors import OverreadError, Refused
from overread.core.grid import Grid
from overread.core.image import reorient
from overread.core.question import Question
from overread.workflow.init import init

orders = st.permutations([0, 1, 2]).map(tuple)
flips = st.tuples(st.booleans(), st.booleans(), st.booleans())


@given(orders, flips, st.floats(0, 3.1))
def test_any_order_and_flip_of_the_same_voxels_comes_back(
    order: tuple[int, int, int], flip: tuple[bool, bool, bool], angle: float
) -> None:
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    target = Grid((3, 4, 5), turn @ Grid.from_spacing((3, 4, 5), (2.0, 1.0, 0.5)).affine)
    layers = np.arange(60).reshape(1, 3, 4, 5)
    moved = place_layers(reorient(layers, order, flip), target.reoriented(order, flip), target, what="case")
    np.testing.assert_array_equal(moved, layers)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Grid.from_spacing((3, 4, 5), (2.0, 1.0, 1.1)), r"voxels are 2 x 1 x 1.1 against 2 x 1 x 1 mm"),
        (Grid.from_spacing((3, 4, 6), (2.0, 1.0, 1.0)), "the mask has 3 x 4 x 6 voxels, the image 3 x 4 x 5"),
    ],
)
def test_other_grids_are_refused(other: Grid, message: str) -> None:
    target = Grid.from_spacing((3, 4, 5), (2.0, 1.0, 1.0))
    layers = np.zeros((1, *other.shape), np.uint8)
    with pytest.raises(Refused, match=message):
        place_layers(layers, other, target, what="case")


def test_half_a_voxel_is_too_far() -> None:
    target = Grid.from_spacing((3, 4, 5))
    moved = replace(target, affine=target.affine + np.array([[0, 0, 0, 0.5], [0] * 4, [0] * 4, [0] * 4]))
    with pytest.raises(Refused, match=r"their centres are 0.50 mm apart, their corners up to 0.50 mm"):
        place_layers(np.zeros((1, 3, 4, 5)), moved, target, what="case")


def test_without_spacing_the_shape_alone_counts() -> None:
    known, unknown = Grid.from_spacing((1, 4, 5)), Grid.from_spacing((1, 4, 5), spacing_known=False, is_planar=True)
    assert place_layers(np.zeros((1, 1, 4, 5)), unknown, known, what="case").shape == (1, 1, 4, 5)
    with pytest.raises(Refused, match="the mask has 1 x 4 x 5 voxels, the image 1 x 5 x 4"):
        place_layers(np.zeros((1, 1, 4, 5)), unknown, Grid.from_spacing((1, 5, 4)), what="case")


def test_channels_come_onto_the_grid_of_the_first(tmp_path: Path) -> None:
    write_volume(tmp_path / "a.nii.gz", 1, grid((4, 6, 6), (2.0, 1.0, 1.0)))
    write_volume(tmp_path / "b.nii.gz", 2, grid((8, 6, 6), (1.0, 1.0, 1.0)))
    references = [ImageReference("flair", "nifti", ("a.nii.gz",)), ImageReference("t1", "nifti", ("b.nii.gz",))]
    image = open_channels("case", references, tmp_path)
    assert image.array.shape == (2, 4, 6, 6)
    assert image.channels == ("flair", "t1")
    assert image.array.dtype == np.float32


def test_undeclared_values_are_named() -> None:
    layers = np.array([0, 1, 4, 9], np.uint8).reshape(1, 1, 2, 2)
    question = Question("segmentation", ("liver",), (1,))
    with pytest.raises(Refused, match="C-0001: the mask holds values 4, 9, which nobody declared; declared are 1 = liver"):
        label_map("C-0001", layers, question, Grid.from_spacing((1, 2, 2)))


def test_a_sealed_truth_is_not_loaded(tmp_path: Path) -> None:
    images, masks = mask_cohort(tmp_path)
    cohort = init(tmp_path / "p", images, masks).cohort()
    with pytest.raises(OverreadError, match=r"lies under the seal of the internal test(?s:.*)overread evaluate --on internal"):
        load_truth(cohort, cohort.of("internal")[0])


def test_a_mask_that_changed_after_init_is_still_checked(tmp_path: Path) -> None:
    images, masks = mask_cohort(tmp_path)
    cohort = init(tmp_path / "p", images, masks).cohort()
    case = cohort.of("training")[0]
    assert case.truth is not None
    write_mask(masks / case.truth.files[0], grid((4, 6, 6), (2.0, 1.0, 1.2)))
    assert load_image(cohort, case).array.shape == (1, 4, 6, 6)
    with pytest.raises(Refused, match=f"{case.case_id}: the mask lies on another grid"):
        load_truth(cohort, case)


def test_digests_tell_contradictions_without_telling_classes() -> None:
    ill, well = TruthReference({"ill": 1.0}), TruthReference({"ill": 0.0})
    assert truth_digest(b"k", "image a", ill) != truth_digest(b"k", "image a", well)
    assert truth_digest(b"k", "image a", ill) != truth_digest(b"k", "image b", ill)
    assert truth_digest(b"k", "image a", ill) != truth_digest(b"other", "image a", ill)
    assert truth_digest(b"k", "image a", ill) == truth_digest(b"k", "image a", TruthReference({"ill": 1.0}, reader="two"))
