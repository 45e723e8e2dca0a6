"""Bad input: each stops with a message that names the thing and the next step."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from cohort.folders import film_cohort, grid, mask_cohort, write_films, write_mask, write_png, write_sheet, write_volume
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.workflow.init import init


def refusal(tmp_path: Path, *args: object, **options: object) -> str:
    with pytest.raises(OverreadError) as caught:
        init(tmp_path / "project", *args, **options)  # type: ignore[arg-type]
    assert not (tmp_path / "project").exists()
    return str(caught.value)


def test_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    assert "holds no images; it is empty" in refusal(tmp_path, tmp_path / "images")
    (tmp_path / "images" / "a.txt").write_text("x")
    assert "holds no images, only other files (1 .txt)" in refusal(tmp_path, tmp_path / "images")
    assert "does not exist" in refusal(tmp_path, tmp_path / "nowhere")


def test_no_label_matches(tmp_path: Path) -> None:
    write_films(tmp_path / "images", [f"x{k}.png" for k in range(5)])
    sheet = write_sheet(tmp_path / "a.csv", ["id", "label"], [["alpha", "ill"], ["beta", "well"]])
    said = refusal(tmp_path, tmp_path / "images", sheet=sheet)
    assert "No label matches an image: of 2 rows in a.csv and 5 images none is named alike" in said
    assert "'alpha'" in said
    assert "'x0.png'" in said


def test_no_mask_matches(tmp_path: Path) -> None:
    write_volume(tmp_path / "images" / "a.nii.gz", 1)
    write_volume(tmp_path / "images" / "b.nii.gz", 2)
    write_mask(tmp_path / "masks" / "zz.nii.gz")
    said = refusal(tmp_path, tmp_path / "images", tmp_path / "masks")
    assert "No label matches: none of the 2 images has a truth (no mask)" in said
    assert "mask zz.nii.gz: no usable image is named alike" in said


def test_no_truth_at_all(tmp_path: Path) -> None:
    write_films(tmp_path / "images", ["a.png", "b.png"])
    assert "No truth was found" in refusal(tmp_path, tmp_path / "images")


def test_duplicate_ids_in_the_sheet(tmp_path: Path) -> None:
    images, _ = film_cohort(tmp_path)
    rows = [["p01_1", "ill"], ["p02_1", "well"], ["p01_1", "well"]]
    said = refusal(tmp_path, images, sheet=write_sheet(tmp_path / "a.csv", ["id", "label"], rows), positive="ill")
    assert "more than one row for 1 images (column 'id'): 'p01_1' in lines 2, 4" in said


def test_unknown_ids_are_listed_with_the_nearest_image(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path)
    with open(sheet, "a") as file:
        file.write("p99_1.png,PAT-099,ill,50\n")
    project = init(tmp_path / "p", images, sheet=sheet, positive="ill")
    assert "line 14: no usable image is called 'p99_1.png'; the nearest is " in str(project.summary)


def test_one_patient_in_two_spellings(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path)
    sheet.write_text(sheet.read_text().replace("p02_1.png,PAT-002", "p02_1.png,pat1"))
    said = refusal(tmp_path, images, sheet=sheet, positive="ill")
    assert "1 patient id is written in more than one way: 'PAT-001' and 'pat1'" in said


def test_one_class_only(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path)
    sheet.write_text(sheet.read_text().replace(",ill,", ",well,"))
    assert "All 12 cases (column 'label') are of one class, 'well'" in refusal(tmp_path, images, sheet=sheet)


def test_the_positive_class_is_asked_for(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path)
    said = refusal(tmp_path, images, sheet=sheet)
    assert "Which class is the disease, 'ill' or 'well'?" in said
    assert "--positive ill or --positive well" in said
    assert "The positive class 'sick' does not occur; classes are ill, well" in refusal(
        tmp_path, images, sheet=sheet, positive="sick"
    )


def test_two_columns_could_be_the_truth(tmp_path: Path) -> None:
    names = [f"c{k}.png" for k in range(12)]
    write_films(tmp_path / "images", names)
    sheet = write_sheet(
        tmp_path / "a.csv", ["file", "grade", "burden"], [[n, "low" if k % 2 else "high", k * 1.7] for k, n in enumerate(names)]
    )
    said = refusal(tmp_path, tmp_path / "images", sheet=sheet)
    assert "2 columns of a.csv could be the truth" in said
    assert "--label 'grade'  classification: 2 different values" in said
    assert "--label 'burden'  regression: 12 different values" in said
    assert (
        "a regression needs numbers"
        in refusal(tmp_path, tmp_path / "images", sheet=sheet, task="regression", label=["grade"]).lower()
    )


def test_a_mask_on_another_grid_says_how_far(tmp_path: Path) -> None:
    images, masks = mask_cohort(tmp_path)
    moved = Grid(grid().shape, grid().affine + np.array([[0, 0, 0, 3.0], [0, 0, 0, 4.0], [0] * 4, [0] * 4]))
    write_mask(masks / "case_02.nii.gz", moved)
    said = refusal(tmp_path, images, masks)
    assert "case_02.nii.gz: the mask lies on another grid than its image" in said
    assert "their centres are 5.00 mm apart" in said
    project = init(tmp_path / "p", images, masks, leave_out_faulty=True)
    assert len(project.cohort().cases) == 5
    assert "-1  refused: mask-on-another-grid: case_02.nii.gz" in str(project.summary)


def test_a_mask_of_another_size(tmp_path: Path) -> None:
    images, masks = mask_cohort(tmp_path)
    write_mask(masks / "case_03.nii.gz", grid((4, 6, 7)))
    assert "the mask has 4 x 6 x 7 voxels, the image 4 x 6 x 6" in refusal(tmp_path, images, masks)


def test_a_flipped_mask_is_the_same_voxels(tmp_path: Path) -> None:
    images, masks = mask_cohort(tmp_path)
    for path in masks.iterdir():
        file = nib.load(path)
        flipped = nib.as_closest_canonical(file)
        nib.save(
            nib.Nifti1Image(np.asarray(flipped.dataobj)[::-1], flipped.affine @ np.diag([-1, 1, 1, 1]) + _shift(flipped)), path
        )
    assert init(tmp_path / "p", images, masks).question.values == (1, 2)


def _shift(file: nib.Nifti1Image) -> np.ndarray:
    move = np.zeros((4, 4))
    move[:3, 3] = file.affine[:3, 0] * (file.shape[0] - 1)
    return move


def test_undeclared_values(tmp_path: Path) -> None:
    images, masks = mask_cohort(tmp_path)
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"0": "background", "1": "liver"}}))
    said = refusal(tmp_path, images, masks)
    assert "the mask holds 2, which nobody declared; declared are 1 = liver" in said


def test_broken_files_are_left_out_and_counted(tmp_path: Path) -> None:
    images, masks = mask_cohort(tmp_path, cases=9)
    (images / "case_01.nii.gz").write_bytes(b"")
    whole = write_volume(images / "case_02.nii.gz", 2, grid((8, 32, 32))).read_bytes()
    (images / "case_02.nii.gz").write_bytes(whole[: len(whole) // 2])
    file = nib.load(images / "case_03.nii.gz")
    array = np.asarray(file.dataobj, dtype=np.float32)
    array[0, 0, 0] = np.nan
    nib.save(nib.Nifti1Image(array, file.affine), images / "case_03.nii.gz")
    header = bytearray(gzip.decompress((images / "case_04.nii.gz").read_bytes()))
    header[280:328] = b"\0" * 48  # srow_x, srow_y, srow_z: no direction at all
    (images / "case_04.nii.gz").write_bytes(gzip.compress(bytes(header)))
    said = str(init(tmp_path / "p", images, masks).summary)
    for line in (
        "-1  refused: empty-file: case_01",
        "-1  refused: truncated: case_02",
        "-1  refused: not-finite: case_03",
        "-1  refused: bad-affine: case_04",
    ):
        assert line in said
    flow = json.loads((tmp_path / "p" / "cohort" / "flow.json").read_text())
    assert "case_0" not in json.dumps(flow)
    assert sum(step["excluded"] for step in flow) == 4


def test_only_broken_files(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"")
    assert "None of the 1 image files" in refusal(tmp_path, tmp_path / "images")


def test_a_phantom_is_not_mixed_with_patients(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path)
    write_png(images / "p03_1.png", 999, phantom=True)
    said = refusal(tmp_path, images, sheet=sheet, positive="ill")
    assert "1 of 12 images are simulated (for example p03_1.png)" in said
    assert "A phantom cannot be mixed with patients" in said


def test_a_phantom_alone_says_so(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path)
    for k, path in enumerate(sorted(images.iterdir())):
        write_png(path, k, phantom=True)
    project = init(tmp_path / "p", images, sheet=sheet, positive="ill")
    assert project.cohort().is_phantom
    assert "PHANTOM" in str(project.summary)


def test_a_given_split_that_shares_a_patient(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path, patients=6, exams=2)
    names = sorted(p.name for p in images.iterdir())
    (tmp_path / "s.json").write_text(json.dumps({"train": names[:5], "val": names[5:8], "test": names[8:]}))
    said = refusal(tmp_path, images, sheet=sheet, positive="ill", splits=tmp_path / "s.json")
    assert "1 patient (2 cases) lies in more than one partition" in said
    assert "patient PAT-003 - training: p03_1.png; tuning: p03_2.png" in said
    assert "--leak-override" in said


def test_a_given_split_that_shares_an_image(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path, patients=6)
    (images / "p05_1.png").write_bytes((images / "p02_1.png").read_bytes())
    names = sorted(p.name for p in images.iterdir())
    (tmp_path / "s.csv").write_text("name,part\n" + "".join(f"{n},{'train' if k < 3 else 'test'}\n" for k, n in enumerate(names)))
    said = refusal(tmp_path, images, sheet=sheet, positive="ill", splits=tmp_path / "s.csv")
    assert "the same pixels - training: p02_1.png; internal: p05_1.png; with contradicting truths" in said
    project = init(
        tmp_path / "p", images, sheet=sheet, positive="ill", splits=tmp_path / "s.csv", leak_override="published split"
    )
    entries = project.ledger.entries()
    assert entries[-1]["entry"] == "leak accepted"
    assert entries[-1]["reason"] == "published split"
    assert all(c.startswith("C-") for c in entries[-1]["leaks"][0]["cases"])


def test_a_drawn_split_keeps_identical_images_together(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path, patients=12)
    (images / "p05_1.png").write_bytes((images / "p02_1.png").read_bytes())
    project = init(tmp_path / "p", images, sheet=sheet, positive="ill")
    assert (
        "1 group of identical images lies under different patients (one person under two ids?), e.g. p02_1.png and p05_1.png"
        in str(project.summary)
    )
    links = {r.split(",")[3]: r.split(",")[0] for r in (tmp_path / "p/cohort/private/link.csv").read_text().splitlines()}
    partition = project.cohort().partition
    assert partition[links["p02_1.png"]] == partition[links["p05_1.png"]]


def test_a_split_whose_parts_have_strange_names(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path)
    assert (
        "the sheet labels.csv has no column 'nowhere'"
        in refusal(tmp_path, images, sheet=sheet, positive="ill", splits="nowhere").lower()
    )
    (tmp_path / "s.json").write_text("[1, 2]")
    assert "not in a form that is understood" in refusal(
        tmp_path, images, sheet=sheet, positive="ill", splits=tmp_path / "s.json"
    )


def test_too_few_patients(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path, patients=2, exams=3)
    assert "Of 2 patients no training, tuning and test can be made" in refusal(tmp_path, images, sheet=sheet, positive="ill")


def test_an_existing_project_is_left_alone(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path)
    init(tmp_path / "p", images, sheet=sheet, positive="ill")
    with pytest.raises(OverreadError, match=r"There is a project in(?s:.*)overread update"):
        init(tmp_path / "p", images, sheet=sheet, positive="ill")
    with pytest.raises(OverreadError, match="exists and is not empty"):
        init(tmp_path / "images", images, sheet=sheet, positive="ill")
    with pytest.raises(OverreadError, match="would lie inside the image folder"):
        init(images / "p", images, sheet=sheet, positive="ill")


def test_boxes_and_colour_masks_are_named(tmp_path: Path) -> None:
    images, _ = film_cohort(tmp_path)
    (tmp_path / "coco.json").write_text("{}")
    assert "holds no labels that Overread knows" in refusal(tmp_path, images, tmp_path / "coco.json")


def test_images_of_different_kinds(tmp_path: Path) -> None:
    images, masks = mask_cohort(tmp_path)
    write_png(images / "film.png", 1)
    assert "mixes kinds of images: 6 nifti, 1 raster" in refusal(tmp_path, images, masks)


def test_a_mask_whose_image_is_unreadable_goes_to_nobody_else(tmp_path: Path) -> None:
    images, masks = mask_cohort(tmp_path)
    (images / "case_02.nii.gz").write_bytes(b"")
    (masks / "case_05.nii.gz").write_bytes(b"")
    project = init(tmp_path / "p", images, masks)
    assert len(project.cohort().cases) == 4
    assert "mask case_02.nii.gz: no usable image is named alike" in str(project.summary)
    assert "same grid" not in str(project.summary)


def test_undeclared_values_may_be_left_out(tmp_path: Path) -> None:
    images, masks = mask_cohort(tmp_path)
    write_mask(masks / "case_02.nii.gz", values=(1, 2, 7))
    said = refusal(tmp_path, images, masks, names={"1": "liver", "2": "lesion"})
    assert "case_02.nii.gz: the mask holds 7, which nobody declared; declared are 1 = liver, 2 = lesion" in said
    project = init(tmp_path / "p", images, masks, names={"1": "liver", "2": "lesion"}, leave_out_faulty=True)
    assert "-1  refused: undeclared-value: case_02.nii.gz: the mask holds 7" in str(project.summary)
    assert len(project.cohort().cases) == 5


def test_a_place_where_nothing_can_be_written(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(OverreadError, match=r"cannot be made: (?s:.*)choose a folder in which you may write"):
        init(tmp_path / "file" / "p", images, sheet=sheet, positive="ill")


def test_a_sheet_without_a_header_loses_no_row(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path)
    sheet.write_text("".join(sheet.read_text().splitlines(keepends=True)[1:]))
    said = refusal(tmp_path, images, sheet=sheet, positive="ill")
    assert "The sheet labels.csv has no header: its first line, p01_1.png, PAT-001, ill, 41, names an image" in said


def test_a_birth_date_is_not_the_date_of_the_exam(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path)
    sheet.write_text(sheet.read_text().replace("age", "birthdate").replace(",4", ",1950-01-2").replace(",5", ",1950-02-1"))
    said = refusal(tmp_path, images, sheet=sheet, positive="ill", index_exam="first")
    assert "needs the date of every exam, and 12 of 12 have none" in said


def test_shares_that_leave_nothing(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path)
    said = refusal(tmp_path, images, sheet=sheet, positive="ill", tuning=0.9, internal=0.5)
    assert "got training -0.40, tuning 0.90, internal 0.50" in said
    assert "change --tuning or --internal" in said


def test_too_few_patients_say_what_went_before(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path)
    assert "no 20 folds can be made; at least 21 are needed" in refusal(tmp_path, images, sheet=sheet, positive="ill", folds=20)
    rows = sheet.read_text().splitlines(keepends=True)
    sheet.write_text("".join(rows[:3]))
    said = refusal(tmp_path, images, sheet=sheet, positive="ill", label=["label"])
    assert "Of 2 patients no training, tuning and test can be made; at least 3 are needed" in said
    assert "Left out before: 10 (no row in the sheet)." in said


def test_words_and_entries_of_a_split_that_fit_nothing(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path)
    words = ["train", "val", "test"]
    rows = [[f"p{p:02d}_1.png", words[p // 2 % 3]] for p in range(1, 13)]
    split = write_sheet(tmp_path / "s.csv", ["id", "split"], [*rows, ["p77_1.png", "train"]])
    summary = str(init(tmp_path / "p", images, sheet=sheet, positive="ill", splits=split).summary)
    assert "1 entry of the given split fits no image: p77_1.png" in summary
    rows[3][1] = "holdout"
    said = refusal(tmp_path, images, sheet=sheet, positive="ill", splits=write_sheet(tmp_path / "s.csv", ["id", "split"], rows))
    assert "calls a part 'holdout'" in said


def test_a_column_that_looks_like_a_split_is_pointed_out(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path)
    lines = sheet.read_text().splitlines()
    words = ["train", "val", "test"]
    sheet.write_text("\n".join([lines[0] + ",my split", *(f"{line},{words[k // 2 % 3]}" for k, line in enumerate(lines[1:]))]))
    note = "note: column 'my split' looks like a split; to keep to it, say --splits 'my split'"
    assert note in str(init(tmp_path / "a", images, sheet=sheet, positive="ill").summary)
    assert note not in str(init(tmp_path / "b", images, sheet=sheet, positive="ill", splits="none").summary)


def test_masks_in_a_folder_below_the_images_are_found(tmp_path: Path) -> None:
    mask_cohort(tmp_path / "all")
    project = init(tmp_path / "p", tmp_path / "all")
    assert project.question.task == "segmentation"
    assert "masks: 6 found in the image folder itself" in str(project.summary)


def test_several_lesions_of_one_image_have_no_answer_each(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path)
    sheet.write_text(sheet.read_text() + "p01_1.png,PAT-001,well,41\n")
    lesions = {"positive": "ill", "names": {"0": "well", "1": "ill"}, "aggregation": "max"}
    sheet.write_text(sheet.read_text().replace(",ill,", ",1,").replace(",well,", ",0,"))
    said = refusal(tmp_path, images, sheet=sheet, unit="lesion", **lesions)
    assert "The unit of analysis is the lesion, and 1 image has several lesions" in said
    assert "--unit exam --aggregation max" in said
    assert init(tmp_path / "p", images, sheet=sheet, unit="exam", **lesions).question.unit == "exam"  # type: ignore[arg-type]
