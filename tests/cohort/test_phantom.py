"""The phantom is the same for the same seed, its files tell the truth, and each says that it is synthetic."""

from __future__ import annotations

import csv
import shutil
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image as Pillow

from overread.cohort.phantom.anatomy import STRUCTURES
from overread.cohort.phantom.threshold import EDGES, burden_threshold
from overread.core.errors import OverreadError
from overread.imaging.door import open_image
from overread.imaging.labels import open_labels
from overread.record.files import digest_file, read_json
from overread.workflow.phantom import PhantomSummary, phantom

SMALL = {"size": 64, "slices": 30, "seed": 7, "workers": 1}


@pytest.fixture(scope="module")
def abdomen(tmp_path_factory: pytest.TempPathFactory) -> PhantomSummary:
    return phantom(tmp_path_factory.mktemp("phantom") / "abdomen", patients=3, **SMALL)


@pytest.fixture(scope="module")
def chest(tmp_path_factory: pytest.TempPathFactory) -> PhantomSummary:
    return phantom(tmp_path_factory.mktemp("phantom") / "chest", kind="chest", patients=3, size=64, seed=7, workers=1)


def rows_of(summary: PhantomSummary) -> list[dict[str, str]]:
    with open(summary.sheet, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def digests(folder: Path) -> dict[str, str]:
    """Digest per file; the SEG objects are left out, as DICOM wants a fresh identifier in each."""
    files = (f for f in sorted(folder.rglob("*")) if f.is_file() and "seg" not in f.parts)
    return {f.relative_to(folder).as_posix(): digest_file(f) for f in files}


def series_of(summary: PhantomSummary, exam_id: str) -> list[Path]:
    return sorted((summary.images / exam_id).glob("*.dcm"))


def test_same_seed_gives_the_same_bytes_whatever_the_number_of_workers(abdomen: PhantomSummary, tmp_path: Path) -> None:
    again = phantom(tmp_path / "again", patients=3, **{**SMALL, "workers": 2})
    assert digests(again.folder) == digests(abdomen.folder)


def test_more_patients_leave_the_first_ones_as_they_were(abdomen: PhantomSummary, tmp_path: Path) -> None:
    fewer = phantom(tmp_path / "fewer", patients=1, **SMALL)
    before, after = digests(fewer.folder), digests(abdomen.folder)
    images = {name: digest for name, digest in before.items() if name.startswith(("images", "masks/P", "instances", "organs/P"))}
    assert images
    assert images.items() <= after.items()
    assert rows_of(fewer) == [row for row in rows_of(abdomen) if row["patient_id"] == "P001"]


def test_another_seed_gives_other_patients(abdomen: PhantomSummary, tmp_path: Path) -> None:
    other = phantom(tmp_path / "other", patients=1, **{**SMALL, "seed": 8})
    assert digest_file(other.masks / "P001_S1.nii.gz") != digest_file(abdomen.masks / "P001_S1.nii.gz")


def test_every_dicom_file_is_marked_synthetic(abdomen: PhantomSummary, chest: PhantomSummary) -> None:
    files = [f for s in (abdomen, chest) for f in s.folder.rglob("*.dcm")]
    assert files
    for file in files:
        tags = pydicom.dcmread(file, stop_before_pixels=True)
        assert tags.SyntheticData == "YES", file
        assert str(tags.PatientName).startswith("PHANTOM^")


def test_every_label_map_says_phantom(abdomen: PhantomSummary) -> None:
    files = list(abdomen.folder.rglob("*.nii.gz"))
    assert len(files) == 4 * abdomen.exams
    assert all(b"PHANTOM" in bytes(nib.load(f).header["descrip"]) for f in files)


def test_dicom_geometry_equals_the_masks_grid(abdomen: PhantomSummary) -> None:
    for row in rows_of(abdomen):
        image = open_image(series_of(abdomen, row["exam_id"]), "dicom")
        _, grid = open_labels([abdomen.folder / row["mask"]], "nifti")
        assert image.grid.is_same(grid), row["exam_id"]
        assert image.units == "HU"


def test_pure_regions_have_their_hounsfield_units_after_reading_back(abdomen: PhantomSummary) -> None:
    truth = read_json(abdomen.folder / "phantom.json")["exams"]
    for exam_id in truth:
        hu = open_image(series_of(abdomen, exam_id), "dicom").array[0]
        organs = np.asarray(nib.load(abdomen.folder / f"organs/{exam_id}.nii.gz").dataobj).transpose(2, 1, 0)
        from_file = {name: hu[organs == value] for name, value in STRUCTURES.items() if (organs == value).sum() > 200}
        assert np.median(from_file["lungs"]) == pytest.approx(-850, abs=40)
        assert np.median(from_file["spleen"]) == pytest.approx(122, abs=22)
        assert np.median(from_file["aorta"]) == pytest.approx(152, abs=30)
        assert 45 < np.median(from_file["liver"]) < 135
        assert hu[0, 0, 0] == pytest.approx(-1000, abs=60)


def test_the_liver_lies_on_the_patients_right_and_the_spleen_on_the_left(abdomen: PhantomSummary) -> None:
    """In LPS the right side has the smaller x; an oracle that reads the NIfTI affine by itself agrees."""
    organs = nib.load(abdomen.folder / "organs/P001_S1.nii.gz")
    labels = np.asarray(organs.dataobj)

    def left_mm(name: str) -> float:
        index = np.argwhere(labels == STRUCTURES[name]).mean(0)
        return -float((organs.affine @ [*index, 1])[0])

    assert left_mm("liver") < -20 < 20 < left_mm("spleen")
    assert left_mm("kidney right") < 0 < left_mm("kidney left")
    assert left_mm("inferior vena cava") < left_mm("aorta")


def test_sheet_masks_and_instances_agree(abdomen: PhantomSummary) -> None:
    record = read_json(abdomen.folder / "phantom.json")["exams"]
    for row in rows_of(abdomen):
        mask = nib.load(abdomen.folder / row["mask"])
        labels = np.asarray(mask.dataobj)
        instances = np.asarray(nib.load(abdomen.folder / f"instances/{row['exam_id']}.nii.gz").dataobj)
        assert set(np.unique(labels)) <= {0, 1, 2}
        volume = float((labels == 2).sum() * np.prod(mask.header.get_zooms()) / 1000)
        assert volume == pytest.approx(float(row["tumour_burden_ml"]), abs=0.02)
        classes = {item["instance"]: item["class"] for item in record[row["exam_id"]]["instances"]}
        assert set(classes) == set(np.unique(instances)) - {0}
        metastases = [n for n, kind in classes.items() if kind == "metastasis"]
        assert len(metastases) == int(row["n_metastases"])
        assert row["any_metastasis"] == ("yes" if metastases else "no")
        assert np.isin(instances[labels == 2], metastases).mean(dtype=float) == pytest.approx(1) if metastases else True


def test_coco_boxes_and_outlines_fit_the_instances(abdomen: PhantomSummary) -> None:
    coco = read_json(abdomen.folder / "coco.json")
    images = {image["id"]: image for image in coco["images"]}
    assert len(images) == abdomen.exams * SMALL["slices"]
    assert coco["annotations"]
    for item in coco["annotations"]:
        image = images[item["image_id"]]
        assert (abdomen.folder / image["file_name"]).is_file()
        plane = np.asarray(nib.load(abdomen.folder / f"instances/{image['exam_id']}.nii.gz").dataobj)[:, :, image["slice"]].T
        mask = plane == item["instance"]
        x, y, width, height = item["bbox"]
        assert mask[y : y + height, x : x + width].sum() == mask.sum() == item["area"]
        runs = item["segmentation"]["counts"]
        flat = np.repeat(np.arange(len(runs)) % 2, runs).astype(bool)
        assert np.array_equal(flat.reshape(mask.shape, order="F"), mask)


def test_seg_holds_the_mask(abdomen: PhantomSummary) -> None:
    for row in rows_of(abdomen):
        layers, _ = open_labels([abdomen.folder / f"seg/{row['exam_id']}.dcm"], "dicom-seg")
        mask = np.asarray(nib.load(abdomen.folder / row["mask"]).dataobj).transpose(2, 1, 0)
        assert int((layers > 0).sum()) == int((mask > 0).sum())


def test_metastases_follow_the_response_and_cysts_stay() -> None:
    from overread.cohort.phantom.anatomy import draw_anatomy, lesions_at
    from overread.cohort.phantom.covariates import draw_person

    anatomy = next(a for a in (draw_anatomy(7, draw_person(7, "abdomen", n)) for n in range(2, 9)) if len(a.lesions) > 3)
    first, later = lesions_at(anatomy, 0), lesions_at(anatomy, 2)
    factor = anatomy.person.response**2
    for before, after in zip(first, later, strict=True):
        expected = float(np.clip(before.diameter * factor, 5, 50)) if before.kind == "metastasis" else before.diameter
        assert after.diameter == pytest.approx(expected)


def test_the_burden_below_a_limit_is_the_best_of_all_limits() -> None:
    """Two exams of 1 ml and 2 ml voxels; the limit of 0 HU takes 10 and 20 of them, and 6 and 20 are metastases."""
    below, above = np.searchsorted(EDGES, (-100, 100))
    exams = []
    for inside in (10, 20):
        counts = np.zeros(len(EDGES) - 1, dtype=int)
        counts[below], counts[above] = inside, 1000
        exams.append({"organ": counts.tolist()})
    found = burden_threshold(exams, [6, 20], [1.0, 2.0])
    assert found == {"exams": 2, "below_hu": int(EDGES[below + 1]), "mean_absolute_error_ml": 2.0}
    assert burden_threshold(exams, [0, 0], [1.0, 2.0])["mean_absolute_error_ml"] == 0.0, "without metastases: nothing is called"


def test_phantom_json_reports_the_plain_threshold_and_what_it_is(abdomen: PhantomSummary, chest: PhantomSummary) -> None:
    for summary in (abdomen, chest):
        record = read_json(summary.folder / "phantom.json")
        assert record["phantom"] is True
        assert "PHANTOM" in record["warning"]
        assert record["options"]["seed"] == 7
        assert record["plain_threshold"] == summary.threshold
    liver = abdomen.threshold["liver"]
    assert -200 <= liver["low_hu"] < liver["high_hu"] <= 400
    assert 0.3 < liver["mean_dice"] < 0.9  # a phantom that a threshold solves would be of no use
    assert "PHANTOM" in str(abdomen)
    assert "plain threshold" in str(abdomen)


def test_chest_films_are_bright_in_bone_and_dark_in_lung(chest: PhantomSummary) -> None:
    modalities = set()
    for row in rows_of(chest):
        tags = pydicom.dcmread(chest.folder / row["image"])
        modalities.add(tags.Modality)
        mask = np.asarray(nib.load(chest.folder / row["mask"]).dataobj)[:, :, 0].T
        assert tags.PhotometricInterpretation == "MONOCHROME2"
        assert tags.pixel_array[mask == 1].mean() < 0.75 * tags.pixel_array[mask == 2].mean()
        columns = np.nonzero(mask == 2)[1]
        assert columns.mean() > mask.shape[1] / 2 - 1  # the heart lies to the patient's left, on the right of the film
    assert modalities == {"DX", "CR"}


def test_png_films_carry_text_and_a_corner_mark(tmp_path: Path) -> None:
    made = phantom(tmp_path / "png", kind="chest", format="png", patients=1, size=128, seed=7, workers=1)
    for file in made.folder.rglob("*.png"):
        with Pillow.open(file) as picture:
            assert "PHANTOM" in picture.text["Description"]
            assert picture.text["Synthetic Data"] == "YES"
    pixels = np.asarray(Pillow.open(next(made.images.glob("*.png"))))
    assert (pixels[-12:, -60:] == 255).sum() > 60


def test_nifti_volumes_read_back_as_hounsfield_units(tmp_path: Path) -> None:
    made = phantom(tmp_path / "nifti", format="nifti", patients=1, **SMALL)
    image = open_image([made.images / "P001_S1.nii.gz"], "nifti")
    assert image.units == "HU"
    assert image.source["is_simulated"] is True
    assert image.array.dtype == np.int16


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools are not installed")
def test_headers_satisfy_an_independent_validator(abdomen: PhantomSummary, chest: PhantomSummary) -> None:
    """dciodvfy finds nothing but the one attribute that is younger than it is, Synthetic Data (0008,001C)."""
    files = [series_of(abdomen, "P001_S1")[0], *sorted(chest.images.glob("*.dcm"))]
    for file in files:
        said = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True, check=False)
        errors = [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")]
        assert [e for e in errors if "(0x0008,0x001c)" not in e] == [], file.name


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"kind": "abdomens"}, "There is no kind of phantom 'abdomens'.\n  Next: did you mean 'abdomen'"),
        ({"format": "png"}, "cannot be written as 'png'"),
        ({"faults": ("markers",)}, "There is no fault 'markers'.\n  Next: did you mean 'marker'"),
        ({"kind": "chest", "faults": ("missing-slices",)}, "'missing-slices' needs a series of slices"),
        ({"kind": "chest", "slices": 40}, "A chest film has no slices; got slices = 40"),
        ({"patients": 0}, "patients = 0: expected 1 to 9999"),
        ({"size": 16}, "size = 16: expected 32 to 1024"),
    ],
)
def test_wishes_that_cannot_be_met_are_named(wish: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(OverreadError) as raised:
        phantom(tmp_path / "none", **wish)  # type: ignore[arg-type]
    assert message in str(raised.value)
    assert not (tmp_path / "none").exists()


def test_a_folder_with_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scan.dcm").write_bytes(b"x")
    with pytest.raises(OverreadError, match="a phantom is never mixed with other images"):
        phantom(tmp_path)
