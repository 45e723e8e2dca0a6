"""Anybody's predictions: sheets and folders of masks, without a project."""

import json
import os
import stat

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.imaging.nifti import write_nifti
from overread.workflow.evaluate import evaluate_answers


def sheets(tmp_path, truth, answers):
    paths = tmp_path / "truth.csv", tmp_path / "answers.csv"
    for path, rows in zip(paths, (truth, answers), strict=True):
        path.write_text("\n".join(rows) + "\n")
    return paths


@pytest.fixture
def binary(tmp_path):
    random = np.random.default_rng(0)
    truth = np.arange(60) % 3 == 0
    score = np.round(1 / (1 + np.exp(-(random.normal(size=60) + truth))), 4)
    rows = [f"MRN{k:03d},P{k // 2},{'tumour' if t else 'none'}" for k, t in enumerate(truth)]
    replies = [f"MRN{k:03d},{s}" for k, s in enumerate(score)]
    return *sheets(tmp_path, ["id,patient_id,label", *rows], ["id,probability", *reversed(replies)]), truth, score


def test_two_sheets_with_patients(binary, tmp_path) -> None:
    truth_path, answers_path, truth, score = binary
    result = evaluate_answers(truth_path, answers_path, "classification", positive="tumour", resamples=200)
    assert result["auc"]["tumour"].estimate == pytest.approx(roc_auc_score(truth, score))
    assert (result["n_cases"], result["n_patients"], result["partition"]) == (60, 30, "answers")
    assert result["operating_points"][0]["rule"] == "0.5 (given)"
    assert {s["role"] for s in result["scores"]} == {"exploratory"}


def test_the_file_holds_pseudonyms_and_the_link_is_private(binary, tmp_path) -> None:
    truth_path, answers_path, _, _ = binary
    out = tmp_path / "out.json"
    evaluate_answers(truth_path, answers_path, "classification", positive="tumour", resamples=100, out=out)
    text = out.read_text()
    assert "MRN" not in text
    assert "P12" not in text
    assert json.loads(text)["cases"][0]["case_id"] == "case-0001"
    link = tmp_path / "out-link.csv"
    assert "case-0001,patient-0001,MRN000,P0" in link.read_text()
    assert stat.S_IMODE(os.stat(link).st_mode) == 0o600
    evaluate_answers(truth_path, answers_path, "classification", positive="tumour", resamples=100, out=out, keep_ids=True)
    assert "MRN000" in out.read_text()


def test_what_a_sheet_quotes_of_itself_is_said_and_not_written(tmp_path) -> None:
    """A title above the header may name a patient or a ward."""
    truth = ["Ward of Dr Planted,,", "case,patient,age", *(f"c{k},p{k},{60 + k}" for k in range(12))]
    paths = sheets(tmp_path, truth, ["case,age", *(f"c{k},{61 + k}" for k in range(12))])
    result = evaluate_answers(*paths, "regression", resamples=100, out=tmp_path / "out.json")
    assert any("Planted" in note for note in result["notes"])
    assert "Planted" not in (tmp_path / "out.json").read_text()


def test_without_patients_it_says_so(tmp_path) -> None:
    paths = sheets(
        tmp_path, ["case,age", *(f"c{k},{60 + k}" for k in range(12))], ["case;age", *(f"c{k};{61 + k},5" for k in range(12))]
    )
    result = evaluate_answers(*paths, "regression", resamples=100)
    assert result["bias"]["age"].estimate == pytest.approx(1.5)
    assert any("each of the 12 cases counts as its own patient" in note for note in result["notes"])


def test_several_findings_with_blanks(tmp_path) -> None:
    rows = [f"c{k},{k % 2},{'' if k < 5 else k % 3 == 0}" for k in range(30)]
    replies = [f"c{k},{0.2 + 0.5 * (k % 2)},{(k % 7) / 7:.3f}" for k in range(30)]
    paths = sheets(tmp_path, ["id,effusion,nodule", *rows], ["id,effusion,nodule", *replies])
    result = evaluate_answers(*paths, "classification", resamples=100)
    assert result["auc"]["effusion"].estimate == 1.0
    assert result["auc"]["nodule"].n_cases == 25


def test_other_columns_of_the_truth_sheet_are_no_findings(tmp_path) -> None:
    rows = [f"c{k},{50 + k},{k % 2},{k % 3 == 0}" for k in range(12)]
    replies = [f"c{k},{(k % 5) / 5},{(k % 7) / 7:.3f}" for k in range(12)]
    paths = sheets(tmp_path, ["id,age,effusion,nodule", *rows], ["id,effusion,nodule", *replies])
    result = evaluate_answers(*paths, "classification", resamples=100)
    assert set(result["auc"]) - {"mean", "micro"} == {"effusion", "nodule"}
    assert any("not evaluated: age" in note for note in result["notes"])


def test_a_label_column_among_others_is_named(tmp_path) -> None:
    rows = [f"c{k},{50 + k},{'ill' if k % 2 else 'well'}" for k in range(12)]
    paths = sheets(tmp_path, ["id,age,label", *rows], ["id,p", *(f"c{k},{(k % 5) / 5}" for k in range(12))])
    with pytest.raises(OverreadError, match="which one holds the truth is not said"):
        evaluate_answers(*paths, "classification", positive="ill", resamples=100)
    result = evaluate_answers(*paths, "classification", positive="ill", classes=["label"], resamples=100)
    assert set(result["auc"]) == {"ill"}


@pytest.mark.parametrize(
    ("truth", "answers", "words", "message"),
    [
        (["id,label", "a,x", "b,y"], ["id,p", "a,0.5", "b,1"], {}, "which one is positive"),
        (["id,label", "a,x", "b,y"], ["id,p", "a,0.5"], {"positive": "x"}, "1 of 2 cases of truth.csv have no answer"),
        (["id,label", "a,x", "a,y"], ["id,p", "a,0.5"], {"positive": "x"}, "line 3: the id a occurs twice"),
        (["id,label", "a,x", "b,y"], ["id,p", "a,high", "b,1"], {"positive": "x"}, "'high' is not a number"),
        (["id,label", "a,x", "b,y"], ["id,p", "a,", "b,1"], {"positive": "x"}, "blank is not a number"),
        (["id,label", "a,x", "b,x"], ["id,p", "a,0", "b,1"], {"positive": "x"}, "at least two classes"),
        (["id,label", "a,x", "b,y", "c,z"], ["id,x,y", "a,0,1", "b,1,0", "c,1,0"], {}, "no column 'z'"),
        (["id,e,n", "a,1,0", "b,perhaps,1"], ["id,e,n", "a,0,1", "b,1,0"], {}, "'perhaps' was found where 1 or 0"),
        (["id,label", "a,x", "b,y"], ["id,p", "a,40", "b,1"], {"positive": "x"}, "between 0 and 1"),
        (["id,label", "a,x", "b,y"], ["id,p", "a,0", "b,1"], {"positive": "x", "patients": "who"}, "neither a column"),
    ],
)  # fmt: skip
def test_faults_in_sheets_are_named(tmp_path, truth, answers, words, message) -> None:
    with pytest.raises(OverreadError, match=message):
        evaluate_answers(*sheets(tmp_path, truth, answers), "classification", **words)


@pytest.fixture
def mask_folders(tmp_path):
    grid = Grid.from_spacing((6, 10, 12), (3.0, 1.0, 1.0))
    for k in range(8):
        truth, answer = np.zeros(grid.shape, np.uint8), np.zeros(grid.shape, np.uint8)
        truth[1:4, 2:8, 2:8] = 1
        answer[1:4, 2 : 8 + k % 3, 2:8] = 1
        truth[4:, 2:4, 2:4] = answer[4:, 2:4, 2:4] = 2
        (tmp_path / "labels").mkdir(exist_ok=True)
        write_nifti(tmp_path / "labels" / f"liver_{k:03d}.nii.gz", truth, grid)
        write_nifti(tmp_path / "predicted" / f"liver_{k:03d}.nii.gz", answer, grid)
    return tmp_path / "labels", tmp_path / "predicted"


def test_two_folders_of_masks(mask_folders, tmp_path) -> None:
    truth, answers = mask_folders
    result = evaluate_answers(truth, answers, "segmentation", resamples=100, out=tmp_path / "out.json")
    assert result["question"]["classes"] == ["label 1", "label 2"]
    expected = np.mean([2 * 36 / (36 + 6 * (6 + k % 3)) for k in range(8)])
    assert result["dice"]["label 1"].estimate == pytest.approx(expected)
    assert result["hd95"]["label 1"].estimate is not None
    (truth / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "liver": 1, "tumour": 2}}))
    assert set(evaluate_answers(truth, answers, "segmentation", resamples=100)["dice"]) == {"liver", "tumour", "mean"}
    named = evaluate_answers(truth, answers, "segmentation", classes={"liver": 1, "cyst": 2}, resamples=100)
    assert set(named["dice"]) == {"liver", "cyst", "mean"}
    assert "liver_000" not in (tmp_path / "out.json").read_text()


def test_faults_in_folders_are_named(mask_folders, tmp_path) -> None:
    truth, answers = mask_folders
    with pytest.raises(OverreadError, match="nobody declared"):
        evaluate_answers(truth, answers, "segmentation", classes={"liver": 1})
    grid = Grid.from_spacing((6, 10, 12), (3.0, 1.0, 2.0))
    write_nifti(answers / "liver_000.nii.gz", np.zeros(grid.shape, np.uint8), grid)
    with pytest.raises(OverreadError, match="the answer to liver_000"):
        evaluate_answers(truth, answers, "segmentation", classes={"a": 1, "b": 2})
    (answers / "liver_003.nii.gz").unlink()
    with pytest.raises(OverreadError, match=r"1 of 8 cases .* no answer .* liver_003"):
        evaluate_answers(truth, answers, "segmentation")
    with pytest.raises(OverreadError, match="not a folder of masks"):
        evaluate_answers(tmp_path / "nowhere", answers, "segmentation")
    with pytest.raises(OverreadError, match="'captioning' is not known"):
        evaluate_answers(truth, answers, "captioning")


def test_masks_of_slicer_are_read_as_nifti_ones_are(tmp_path) -> None:
    nrrd = pytest.importorskip("nrrd")
    header = {"space": "left-posterior-superior", "space directions": np.diag([1, 1, 3.0]), "space origin": [0, 0, 0]}
    for side in ("truth", "answers"):
        (tmp_path / side).mkdir()
        for k in range(5):
            mask = np.zeros((12, 10, 6), np.uint8)  # (X, Y, Z), as NRRD has it
            mask[2:8, 2:8, 1 : 4 + (side == "answers")] = 1
            nrrd.write(str(tmp_path / side / f"c{k}.nrrd"), mask, header)
    result = evaluate_answers(tmp_path / "truth", tmp_path / "answers", "segmentation", classes={"liver": 1}, resamples=50)
    assert result["dice"]["liver"].estimate == pytest.approx(2 * 3 / 7)
    assert result["volume_error_ml"]["liver"].estimate == pytest.approx(36 * 3 / 1000)
