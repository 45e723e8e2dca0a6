"""`overread init` end to end on tiny folders: what it makes, what it infers, what it says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from cohort.folders import film_cohort, mask_cohort, write_films, write_mask, write_png, write_sheet, write_volume
from overread.cohort.fingerprint import fingerprint
from overread.cohort.load import load_image, load_truth
from overread.cohort.seal import read_summary, sealed_truths
from overread.core.errors import OverreadError
from overread.core.kinds import Findings, LabelMap, Measurements
from overread.workflow.init import init
from overread.workflow.project import Project


def test_a_sheet_and_films_become_a_project(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path, patients=20, exams=2)
    project = init(tmp_path / "p", images, sheet=sheet, positive="ill")
    again = Project.open(tmp_path / "p")
    cohort = again.cohort()
    assert again.question.classes == ("ill", "well")
    assert again.question.positive == "ill"
    assert {name: len(cohort.of(name)) for name in ("training", "tuning", "internal")} == {
        "training": 26,
        "tuning": 6,
        "internal": 8,
    }
    sides = {(c.patient_id, cohort.partition[c.case_id]) for c in cohort.cases}
    assert len(sides) == 20
    assert all(c.truth is None for c in cohort.of("internal"))
    assert set(sealed_truths(tmp_path / "p")) == {c.case_id for c in cohort.of("internal")}
    case = cohort.of("training")[0]
    assert load_image(cohort, case).array.shape == (1, 1, 8, 8)
    truth = load_truth(cohort, case)
    assert isinstance(truth, Findings)
    assert sum(v or 0 for v in truth.probabilities.values()) == 1
    assert case.covariates["age"] > 40
    text = str(project.summary)
    for line in (
        "40 images have a row",
        "column 'patient', by the column's name",
        "Asked: classification",
        "internal test",
        "Next: overread plan",
    ):
        assert line in text
    assert read_summary(tmp_path / "p")["parts"]["internal"]["classes"] == {"ill": 4, "well": 4}


def test_the_same_input_gives_the_same_cohort(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path)
    first, second = (init(tmp_path / name, images, sheet=sheet, positive="ill").cohort() for name in "ab")
    assert first.partition == second.partition
    assert first.digest == second.digest
    other = init(tmp_path / "c", images, sheet=sheet, positive="ill", seed=3).cohort()
    assert other.partition != first.partition


def test_reasons_stand_in_the_settings(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path)
    init(tmp_path / "p", images, sheet=sheet, positive="ill")
    text = (tmp_path / "p" / "project.toml").read_text()
    for key in ("task =", "id_column =", "group_by =", "scheme =", "positive =", "unit ="):
        line = next(line for line in text.splitlines() if line.startswith(key))
        assert " # " in line, line


def test_masks_ask_for_a_segmentation(tmp_path: Path) -> None:
    images, masks = mask_cohort(tmp_path)
    project = init(tmp_path / "p", images, masks, names={"1": "liver", "2": "lesion"})
    cohort = project.cohort()
    assert (cohort.question.task, cohort.question.classes, cohort.question.values) == (
        "segmentation",
        ("liver", "lesion"),
        (1, 2),
    )
    truth = load_truth(cohort, cohort.of("training")[0])
    assert isinstance(truth, LabelMap)
    assert truth.mask("lesion").sum() == 3
    found = fingerprint(cohort)
    assert found.median_spacing == (2.0, 1.0, 1.0)
    assert found.volumes_ml["liver"] == pytest.approx((0.006,) * 5)
    assert found.structure_spans["liver"] == (1.0, 1.0, 3.0)
    json.dumps(found.as_dict(), allow_nan=False)


def test_numbers_ask_for_a_regression_and_blanks_are_missing(tmp_path: Path) -> None:
    names = [f"c{k}.png" for k in range(12)]
    write_films(tmp_path / "images", names)
    rows = [[n, f"P{k}", "" if k == 3 else 10.5 + k] for k, n in enumerate(names)]
    sheet = write_sheet(tmp_path / "a.csv", ["file", "patient", "burden_ml"], rows)
    project = init(tmp_path / "p", tmp_path / "images", sheet=sheet, units=["ml"])
    cohort = project.cohort()
    assert (cohort.question.task, cohort.question.units) == ("regression", ("ml",))
    assert len(cohort.cases) == 11
    assert "-1  its label is blank: c3.png" in str(project.summary)
    truth = load_truth(cohort, cohort.of("training")[0])
    assert isinstance(truth, Measurements)
    assert truth.units == {"burden_ml": "ml"}


def test_findings_may_be_unknown_one_by_one(tmp_path: Path) -> None:
    names = [f"c{k}.png" for k in range(10)]
    write_films(tmp_path / "images", names)
    rows = [[n, k % 2, "" if k == 0 else (k // 2) % 2] for k, n in enumerate(names)]
    sheet = write_sheet(tmp_path / "a.csv", ["file", "effusion", "nodule"], rows)
    project = init(tmp_path / "p", tmp_path / "images", sheet=sheet, label=["effusion", "nodule"], folds=2)
    assert not project.question.exclusive
    values = [t.values for k in (0, 1) for t in sealed_truths(tmp_path / "p", k).values()]
    assert sum(v["nodule"] is None for v in values) == 1
    assert sum(v["nodule"] == 0 for v in values) == 5


def test_class_folders_with_a_given_split(tmp_path: Path) -> None:
    names = [
        f"{part}/{label}/{part}{k}{label[0]}.png"
        for part in ("train", "val", "test")
        for label in ("NORMAL", "PNEUMONIA")
        for k in range(4)
    ]
    write_films(tmp_path / "images", names)
    project = init(tmp_path / "p", tmp_path / "images", positive="PNEUMONIA")
    assert project.settings.split.scheme == "given"
    cohort = project.cohort()
    assert len(cohort.of("internal")) == 8
    assert {Path(c.images[0].files[0]).parts[0] for c in cohort.of("tuning")} == {"val"}
    assert any("independence of training and test cannot be claimed" in line for line in project.summary.facts["warnings"])  # type: ignore[union-attr]


def test_folds_and_the_tuning_cases_of_a_fold(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path, patients=20)
    project = init(tmp_path / "p", images, sheet=sheet, positive="ill", folds=4)
    assert project.folds == (0, 1, 2, 3)
    for fold in project.folds:
        cohort = project.cohort(fold)
        assert len(cohort.of("internal")) == 5
        assert len(cohort.of("tuning")) in (2, 3)
        assert all((c.truth is None) == (cohort.partition[c.case_id] == "internal") for c in cohort.cases)
    with pytest.raises(OverreadError, match=r"split into folds 0 to 3, and no fold was given(?s:.*)--fold 0"):
        project.cohort()


def test_a_given_file_of_folds(tmp_path: Path) -> None:
    images, masks = mask_cohort(tmp_path)
    (tmp_path / "f.json").write_text(json.dumps({"folds": [["case_01", "case_02"], ["case_03", "case_04"], ["case_05"]]}))
    project = init(tmp_path / "p", images, masks, splits=tmp_path / "f.json")
    assert project.folds == (0, 1, 2)
    assert len(project.cohort(2).cases) == 5
    assert "-1  not in the given split: case_06.nii.gz" in str(project.summary)


def test_decathlon_and_nnunet_layouts(tmp_path: Path) -> None:
    for k in range(1, 6):
        for channel in (0, 1):
            write_volume(tmp_path / "d" / "imagesTr" / f"case_{k:03d}_{channel:04d}.nii.gz", 10 * k + channel)
        write_mask(tmp_path / "d" / "labelsTr" / f"case_{k:03d}.nii.gz")
    write_volume(tmp_path / "d" / "imagesTs" / "case_009_0000.nii.gz", 3)
    description = {"channel_names": {"0": "T1", "1": "FLAIR"}, "labels": {"background": 0, "tumour": 1}, "file_ending": ".nii.gz"}
    (tmp_path / "d" / "dataset.json").write_text(json.dumps(description))
    project = init(tmp_path / "p", tmp_path / "d")
    assert project.settings.images.channels == {"t1": "_0000", "flair": "_0001"}
    assert project.question.classes == ("tumour",)
    cohort = project.cohort()
    image = load_image(cohort, cohort.cases[0])
    assert image.channels == ("t1", "flair")
    assert image.array.shape == (2, 4, 6, 6)
    assert "nnU-Net raw layout, 5 cases" in str(project.summary)
    assert "test image without a published truth" in str(project.summary)


def test_medmnist_labels_names_and_split(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    arrays = {}
    for part, n in (("train", 12), ("val", 4), ("test", 6)):
        arrays[f"{part}_images"] = random.integers(0, 255, (n, 9, 9), dtype=np.uint8)
        arrays[f"{part}_labels"] = (np.arange(n) % 2).reshape(-1, 1)
    np.savez(tmp_path / "m.npz", **arrays)
    project = init(tmp_path / "p", tmp_path / "m.npz", positive="malignant", names={"0": "malignant", "1": "benign"})
    cohort = project.cohort()
    assert project.question.classes == ("benign", "malignant")
    assert [len(cohort.of(p)) for p in ("training", "tuning", "internal")] == [12, 4, 6]
    case = cohort.of("tuning")[0]
    row = case.images[0].index
    assert row is not None
    assert (load_image(cohort, case).array[0, 0] == arrays["val_images"][row - 12]).all()


def test_several_lesions_of_an_exam_become_one_truth(tmp_path: Path) -> None:
    names = [f"c{k}.png" for k in range(8)]
    write_films(tmp_path / "images", names)
    rows = [[n, g] for k, n in enumerate(names) for g in ((0, 0) if k % 2 else (0, 1))]
    sheet = write_sheet(tmp_path / "a.csv", ["file", "malignant"], rows)
    with pytest.raises(
        OverreadError, match=r"more than one row for 8 images \(column 'file'\): 'c0.png' in lines 2, 3(?s:.*)--aggregation any"
    ):
        init(tmp_path / "p", tmp_path / "images", sheet=sheet, positive="1")
    project = init(tmp_path / "p", tmp_path / "images", sheet=sheet, positive="1", aggregation="any", splits="none")
    assert project.summary is not None
    assert sum(part["classes"]["1"] for part in project.summary.facts["parts"].values()) == 4


def test_both_sides_of_an_exam(tmp_path: Path) -> None:
    names = [f"m{k:02d}_{side}.png" for k in range(6) for side in "LR"]
    write_films(tmp_path / "images", names)
    rows = [
        [f"m{k:02d}", side, "cancer" if (k + (side == "left")) % 2 else "normal"] for k in range(6) for side in ("left", "right")
    ]
    sheet = write_sheet(tmp_path / "a.csv", ["exam", "laterality", "outcome"], rows)
    project = init(tmp_path / "p", tmp_path / "images", sheet=sheet, positive="cancer", unit="side", group_by="exam")
    cohort = project.cohort()
    assert len(cohort.cases) == 12
    assert len({c.exam_id for c in cohort.cases}) == 6
    assert {c.covariates["side"] for c in cohort.cases} == {"left", "right"}
    side = {link.split(",")[0]: link for link in (tmp_path / "p/cohort/private/link.csv").read_text().splitlines()}
    for case in (*cohort.of("training"), *cohort.of("tuning")):
        assert case.truth is not None
        number = int(side[case.case_id].split(",")[3][1:3])
        assert case.truth.values["cancer"] == float((number + (case.covariates["side"] == "left")) % 2)


def test_the_index_exam(tmp_path: Path) -> None:
    names = [f"c{k}_{v}.png" for k in range(6) for v in range(3)]
    write_films(tmp_path / "images", names)
    rows = [[n, f"P{n[1]}", f"2024-0{int(n[3]) + 1}-10", "2024-02-01", "ill" if int(n[1]) % 2 else "well"] for n in names]
    sheet = write_sheet(tmp_path / "a.csv", ["file", "patient", "exam_date", "biopsy", "label"], rows)
    for rule, kept in (("first", "0"), ("last", "2"), ("nearest to biopsy within 15 days", "1")):
        project = init(tmp_path / f"p{kept}", tmp_path / "images", sheet=sheet, positive="ill", index_exam=rule, splits="none")
        links = (tmp_path / f"p{kept}" / "cohort" / "private" / "link.csv").read_text().splitlines()[1:]
        assert len(links) == 6
        assert {line.split(",")[3][3] for line in links} == {kept}
        assert "-12  not the patient's" in str(project.summary)
    with pytest.raises(OverreadError, match="The index exam 'newest' is not understood"):
        init(tmp_path / "q", tmp_path / "images", sheet=sheet, positive="ill", index_exam="newest")


def test_a_truth_of_patients_with_several_exams_needs_a_rule(tmp_path: Path) -> None:
    images, _ = film_cohort(tmp_path, patients=6, exams=2)
    with pytest.raises(OverreadError, match=r"6 of 6 patients have more than one exam(?s:.*)--index-exam first"):
        init(tmp_path / "p", images, sheet=tmp_path / "labels.csv", positive="ill", unit="patient")
    project = init(tmp_path / "p", images, sheet=tmp_path / "labels.csv", positive="ill", unit="patient", aggregation="max")
    assert project.settings.question.aggregation == "max"


def test_a_rehearsal_writes_nothing(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path)
    project = init(tmp_path / "p", images, sheet=sheet, positive="ill", dry_run=True)
    assert "Nothing was written" in str(project.summary)
    assert not (tmp_path / "p").exists()
    assert project.question.positive == "ill"


def test_init_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, sheet = film_cohort(tmp_path)
    monkeypatch.setattr("overread.workflow.init.write_settings", lambda *_: (_ for _ in ()).throw(RuntimeError("power cut")))
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(RuntimeError):
        init(tmp_path / "p", images, sheet=sheet, positive="ill")
    assert sorted(os.listdir(tmp_path)) == before


def test_names_stay_in_the_private_folder(tmp_path: Path) -> None:
    rows = []
    for k in range(12):
        write_png(tmp_path / "images" / f"SMITH{k}_JOHN.png", k)
        rows.append([f"SMITH{k}_JOHN.png", f"MRN77{k:02d}", f"ACC88{k:02d}", "2024-05-17", "ill" if k % 2 else "well"])
    sheet = write_sheet(tmp_path / "names.csv", ["file", "mrn", "accession", "exam_date", "label"], rows)
    project = init(tmp_path / "p", tmp_path / "images", sheet=sheet, positive="ill", label=["label"])
    for path in (tmp_path / "p").rglob("*"):
        if path.is_dir() or path.parent.name == "private":
            continue
        content = path.read_bytes()
        for secret in (b"MRN77", b"ACC88", b"2024-05-17", *((b"SMITH",) if path.name != "cases.parquet" else ())):
            assert secret not in content, path
    private = tmp_path / "p" / "cohort" / "private"
    assert (private / "link.csv").stat().st_mode & 0o777 == 0o600
    assert private.stat().st_mode & 0o777 == 0o700
    assert "SMITH" not in json.dumps(project.summary.facts)  # type: ignore[union-attr]
