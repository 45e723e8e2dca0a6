"""What paths say, and the forms of a given split."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cohort.folders import film_cohort
from overread.cohort import names
from overread.workflow.init import init


def test_class_folders_are_few_and_full() -> None:
    paths = [f"train/{c}/{k}.png" for c in ("NORMAL", "PNEUMONIA") for k in range(3)]
    assert names.class_folders(paths) == {p: p.split("/")[1] for p in paths}
    assert names.partition_folders(paths) is None
    assert names.class_folders([f"patient{p:02d}/{k}.png" for p in range(5) for k in range(3)]) is None
    assert names.class_folders([f"images/{k}.png" for k in range(9)]) is None
    assert names.class_folders(["a.png", "b.png"]) is None


def test_channels_by_number_and_by_word() -> None:
    cases, channels = names.channels_of([f"imagesTr/liver_{k:02d}_{c:04d}.nii.gz" for k in range(3) for c in range(2)])
    assert channels == ("0000", "0001")
    assert cases["imagesTr/liver_01"] == {c: f"imagesTr/liver_01_{c}.nii.gz" for c in channels}
    cases, channels = names.channels_of([f"sub-{k}/anat/sub-{k}_{c}.nii.gz" for k in range(3) for c in ("T1w", "FLAIR")])
    assert channels == ("flair", "t1w")
    assert len(cases) == 3
    cases, channels = names.channels_of([f"patient{k}/{c}_x.nii.gz" for k in range(3) for c in ("T1", "T2", "FLAIR")])
    assert sorted(cases) == ["patient0", "patient1", "patient2"]
    cases, channels = names.channels_of([f"a_{k}_0000.nii.gz" for k in range(3)])
    assert channels == ("image",)
    assert cases["a_1"] == {"image": "a_1_0000.nii.gz"}
    assert names.channels_of(["a.png", "b.png"])[1] == ("image",)


def test_masks_beside_their_images() -> None:
    images, masks = names.split_masks(["s1/s1_t1.nii.gz", "s1/s1_flair.nii.gz", "s1/s1_seg.nii.gz", "s2/label_maker.nii.gz"])
    assert masks == ["s1/s1_seg.nii.gz"]
    assert images == ["s1/s1_t1.nii.gz", "s1/s1_flair.nii.gz", "s2/label_maker.nii.gz"]


def test_patients_and_sides_by_name() -> None:
    assert names.patient_by_name("train/00000005_001.png", "prefix") == "00000005"
    assert names.patient_by_name("a/IM-0115-0001.jpeg", "prefix") == "IM-0115"
    assert names.patient_by_name("p7/x.png", "folder") == "p7"
    assert names.side_of("p12_L") == ("left", "p12")
    assert names.side_of("RIGHT-p12") == ("right", "p12")
    assert names.side_of("p12") == ("", "p12")
    assert names.shared_beginnings([f"{k // 2}_{k % 2}.png" for k in range(20)]) == "0_0 and 0_1"
    assert names.shared_beginnings([f"scan_{k}.png" for k in range(20)]) is None


@pytest.mark.parametrize("form", ["parts", "folds", "nnunet", "table", "column of folds"])
def test_every_form_of_a_given_split(tmp_path: Path, form: str) -> None:
    images, sheet = film_cohort(tmp_path, patients=12)
    films = sorted(p.stem for p in images.iterdir())
    thirds = [films[:4], films[4:8], films[8:]]
    path = tmp_path / "s.json"
    if form == "parts":
        path.write_text(json.dumps(dict(zip(("train", "valid", "test"), thirds, strict=True))))
    elif form == "folds":
        path.write_text(json.dumps({"folds": thirds}))
    elif form == "nnunet":
        path.write_text(json.dumps([{"train": [n for n in films if n not in third], "val": third} for third in thirds]))
    else:
        path = tmp_path / "s.csv"
        head, words = ("split", ("training", "tuning", "test")) if form == "table" else ("fold", ("1", "2", "3"))
        path.write_text(f"film,{head}\n" + "".join(f"{n},{w}\n" for w, third in zip(words, thirds, strict=True) for n in third))
    project = init(tmp_path / "p", images, sheet=sheet, positive="ill", splits=path)
    if form in ("parts", "table"):
        cohort = project.cohort()
        assert [len(cohort.of(p)) for p in ("training", "tuning", "internal")] == [4, 4, 4]
        assert project.settings.split.given == "../s.json" if form == "parts" else "../s.csv"
    else:
        assert project.folds == (0, 1, 2)
        assert all(len(project.cohort(k).of("internal")) == 4 for k in range(3))


def test_tuning_is_drawn_where_the_given_split_has_none(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path, patients=12)
    films = sorted(p.stem for p in images.iterdir())
    (tmp_path / "s.json").write_text(json.dumps({"train": films[:8], "test": films[8:]}))
    project = init(tmp_path / "p", images, sheet=sheet, positive="ill", splits=tmp_path / "s.json")
    cohort = project.cohort()
    assert len(cohort.of("internal")) == 4
    assert len(cohort.of("tuning")) in (1, 2)
    assert "this share was drawn from its training part" in (tmp_path / "p" / "project.toml").read_text()


def test_a_file_that_names_the_patient_by_its_beginning(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path, patients=8, exams=2)
    sheet.write_text(
        "\n".join(",".join(c for k, c in enumerate(line.split(",")) if k != 1) for line in sheet.read_text().splitlines())
    )
    text = str(init(tmp_path / "a", images, sheet=sheet, positive="ill").summary)
    assert "if these are patients, say --group-by prefix" in text
    project = init(tmp_path / "b", images, sheet=sheet, positive="ill", group_by="prefix")
    assert len({c.patient_id for c in project.cohort().cases}) == 8
    assert project.settings.cohort.group_by == "prefix"
