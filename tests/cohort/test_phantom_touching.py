"""Lesions that touch: planted where asked, told apart by the truth, and not by connected voxels."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest
from scipy.ndimage import label

from overread.cohort.labels.coco import read_coco
from overread.cohort.phantom.anatomy import draw_anatomy, lesions_at
from overread.cohort.phantom.chest import draw_thorax
from overread.cohort.phantom.covariates import draw_person
from overread.workflow.phantom import phantom

SEED = 7
ILL = 3  # a patient with metastases, from one of the two seeds that are drawn


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crowded") / "ct"
    phantom(folder, patients=3, format="nifti", size=64, seed=SEED, touching=True, workers=1)
    return folder


@pytest.fixture(scope="module")
def exams(crowded):
    return json.loads((crowded / "phantom.json").read_text())["exams"]


def _array(path):
    return np.asarray(nibabel.load(path).dataobj)


def test_metastases_that_touch_are_more_than_their_connected_parts(crowded, exams):
    true = parts = 0
    for exam in exams:
        numbers, mask = _array(crowded / f"metastases/{exam}.nii.gz"), _array(crowded / f"masks/{exam}.nii.gz")
        assert ((numbers > 0) <= (mask == 2)).all()
        true += len(np.unique(numbers)) - 1
        parts += label(mask == 2, np.ones((3, 3, 3)))[1]
    assert true >= 6
    assert parts <= 0.7 * true


def test_mimics_are_in_no_truth_of_metastases(crowded, exams):
    for exam, known in exams.items():
        spread = {item["instance"] for item in known["instances"] if item["class"] == "metastasis"}
        assert set(np.unique(_array(crowded / f"metastases/{exam}.nii.gz"))) - {0} == spread
        assert len(spread) == known["truth"]["n_metastases"]


def test_a_lesion_keeps_its_number_from_slice_to_slice(crowded):
    coco = json.loads((crowded / "coco.json").read_text())
    exam_of = {image["id"]: (image["exam_id"], image["slice"]) for image in coco["images"]}
    slices: dict[tuple[str, int], list[int]] = {}
    for item in coco["annotations"]:
        exam, number = exam_of[item["image_id"]]
        slices.setdefault((exam, item["instance"]), []).append(number)
    assert any(len(where) > 1 for where in slices.values())
    assert all(sorted(where) == list(range(min(where), max(where) + 1)) for where in slices.values())


def test_the_rest_of_the_patient_is_the_same():
    person = draw_person(SEED, "abdomen", ILL)
    plain, crowd = draw_anatomy(SEED, person), draw_anatomy(SEED, person, touching=True)
    assert len(crowd.lesions) > len(plain.lesions)
    assert [x.centre for x in crowd.lesions[: len(plain.lesions)]] == [x.centre for x in plain.lesions]
    assert plain.liver == crowd.liver
    assert [x.centre for x in draw_anatomy(SEED, person, touching=True).lesions] == [x.centre for x in crowd.lesions]


def test_a_cluster_grows_as_a_whole():
    anatomy = draw_anatomy(SEED, draw_person(SEED, "abdomen", ILL), touching=True)
    growth = anatomy.person.response
    for before, after in zip(anatomy.lesions, lesions_at(anatomy, 1), strict=True):
        if before.hub is not None:
            apart = [np.linalg.norm(np.subtract(x.centre, before.hub)) for x in (before, after)]
            assert apart[1] == pytest.approx(growth * apart[0])


def test_nodules_overlap_on_films_and_keep_their_whole_outline(tmp_path):
    number = next(n for n in range(1, 30) if _overlap(draw_thorax(SEED, draw_person(SEED, "chest", n), touching=True).nodules))
    folder = tmp_path / "films"
    phantom(folder, kind="chest", patients=number, format="png", size=96, seed=SEED, touching=True)
    file = read_coco(folder / "coco.json")
    nodules = [[mark.box for mark in image.marks if mark.class_name == "nodule"] for image in file.images]
    assert any(_meet(a, b) for boxes in nodules for k, a in enumerate(boxes) for b in boxes[:k])


def _meet(a, b):
    return max(a[0], b[0]) < min(a[2], b[2]) and max(a[1], b[1]) < min(a[3], b[3])


def _overlap(nodules):
    return any(
        np.hypot(a.centre[0] - b.centre[0], a.centre[2] - b.centre[2]) < 0.48 * (a.diameter + b.diameter)
        for k, a in enumerate(nodules)
        for b in nodules[:k]
    )
