"""The folder of answers: complete, readable, and whose they are."""

import pytest

from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.evaluation.sources.predictions import Predictions

TWO = Question("classification", ("normal", "disease"), positive="disease")
ORGANS = Question("segmentation", ("liver", "lesion"), (1, 2), exclusive=False)


def folder(tmp_path, text):
    path = tmp_path / "predictions" / "tuning"
    path.mkdir(parents=True)
    (path / "answers.csv").write_text(text)
    return Predictions(path, TWO)


def test_values_come_in_the_order_asked(tmp_path) -> None:
    found = folder(tmp_path, "case_id,disease,normal\nb,0.25,0.75\na,0.5,0.5\n")
    found.check_complete(["a", "b"])
    assert [f.probabilities for f in found.values(["a", "b"])] == [
        {"normal": 0.5, "disease": 0.5},
        {"normal": 0.75, "disease": 0.25},
    ]
    assert found.identity.startswith("sha256:")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case_id,normal,disease\na,1,0\n", "1 of 2 tuning cases have no answer"),
        ("case_id,normal,disease\na,1,0\na,1,0\n", "line 3: a second answer for a"),
        ("case_id,normal,disease\na,1,\nb,1,0\n", "line 2, column 'disease': '' is not a number"),
        ("case_id,normal,disease\na,1,inf\nb,1,0\n", "'inf' is not a number"),
        ("id,normal\na,1\n", "case_id, disease missing"),
    ],
)
def test_faults_are_named(tmp_path, text, message) -> None:
    with pytest.raises(OverreadError, match=message):
        folder(tmp_path, text).check_complete(["a", "b"])


def test_no_answers_at_all(tmp_path) -> None:
    with pytest.raises(OverreadError, match="no answers to the internal cases"):
        Predictions(tmp_path / "internal", TWO).check_complete(["a"])


def test_masks_of_structures_that_overlap_lie_in_a_file_each(tmp_path) -> None:
    for name in ("a_liver", "a_lesion", "b_liver", "c"):
        (tmp_path / f"{name}.nii.gz").touch()
    found = Predictions(tmp_path, ORGANS)
    assert [p.name for p in found.masks("a")] == ["a_liver.nii.gz", "a_lesion.nii.gz"]
    assert [p.name for p in found.masks("c")] == ["c.nii.gz"]
    with pytest.raises(OverreadError, match=r"no answer in .*: b"):
        found.check_complete(["a", "b", "c"])
