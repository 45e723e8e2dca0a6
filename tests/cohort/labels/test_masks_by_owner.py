"""A mask called like a patient or an exam belongs to the only image there is of it; where there are several, to none."""

from __future__ import annotations

from overread.cohort.draft import Draft
from overread.cohort.labels.masks import BY_OWNER, join_masks


def series(name: str, patient: str, exam: str, accession: str = "") -> Draft:
    return Draft(name, (name,), (), patient=patient, exam=exam, exam_aliases=(accession,) if accession else ())


THREE = (
    series("studies/a/1/portal venous", "P01", "1.2.3", "ACC77"),
    series("studies/b/1/portal venous", "P02", "1.2.4"),
    series("studies/b/2/portal venous", "P02", "1.2.5"),
)


def test_a_mask_called_like_a_patient_with_one_image_is_joined() -> None:
    found = join_masks(["p-1_mask.nii.gz"], THREE)
    assert found.joined == {0: 0}
    assert found.rules == {BY_OWNER: 1}
    assert (found.unmatched, found.free) == ((), (1, 2))


def test_a_mask_called_like_an_accession_number_is_joined() -> None:
    assert join_masks(["ACC77.nii.gz"], THREE).joined == {0: 0}


def test_of_a_patient_with_several_images_none_is_chosen() -> None:
    found = join_masks(["P02.nii.gz"], THREE)
    assert (found.joined, found.unmatched) == ({}, (0,))


def test_two_masks_of_one_patient_are_not_chosen_among() -> None:
    found = join_masks(["P01.nii.gz", "P01_seg.nii.gz"], THREE)
    assert (found.joined, found.unmatched) == ({}, (0, 1))


def test_a_name_that_says_only_that_it_is_a_mask_joins_nothing() -> None:
    assert join_masks(["mask.nii.gz"], (series("a", "", ""),)).joined == {}
