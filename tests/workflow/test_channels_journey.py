"""Several images per case from `plan` to `read`: one rule for all of it, whatever the order of the files."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cohort.folders import write_sheet
from imaging.make_dicom import make_series
from overread.batches.prepare import prepare_image
from overread.cohort.fingerprint import fingerprint
from overread.cohort.load import load_image
from overread.cohort.rules import image_rules
from overread.core.errors import OverreadError
from overread.core.preparation import Normalisation, Preparation
from overread.workflow.init import init
from overread.workflow.plan import plan
from overread.workflow.project import Project
from overread.workflow.read import read
from overread.workflow.readings.exams import exams_in
from overread.workflow.train import train
from overread.workflow.update import update
from workflow.test_init_dicom import labels, studies
from workflow.two_channels import cohort, decathlon, write_exam

SMALL = {"training.patch": "16,16,16", "training.batch": "2", "training.precision": "float32"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A model of two channels, one epoch old; it fills a missing T1 with zeros."""
    folder = tmp_path_factory.mktemp("trained")
    images, masks = cohort(folder, lacking={3: "t1"})
    project = init(folder / "p", images, masks, missing="zeros")
    train(project, epochs=1, overrides=SMALL)
    return project


def model_of(project: Project) -> Path:
    return next((project.path / "runs" / "first").glob("*.overread"))


def answers(folder: Path) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads((folder / "answers.json").read_text())["readings"]
    return listed


def test_the_plan_knows_the_channels(trained: Project) -> None:
    card = json.loads((trained.run("first").model / "model.json").read_text())
    assert card["preparation"]["channels"] == ["flair", "t1"]
    assert card["network"]["in_channels"] == 2
    assert card["reading"]["images"] == {
        "series": {},
        "channels": [{"name": "flair", "rule": {"file": "_flair"}}, {"name": "t1", "rule": {"file": "_t1"}}],
        "missing": "zeros",
        "gaps": "refuse",
        "tilt": "refuse",
    }


def test_the_order_of_the_files_does_not_matter(trained: Project, tmp_path: Path) -> None:
    write_exam(tmp_path / "new", "someone", 40)
    files = [tmp_path / "new" / f"someone_{c}.nii.gz" for c in ("flair", "t1")]
    masks = []
    for k, studies_given in enumerate([files, files[::-1], [tmp_path / "new"]]):
        readings = read(model_of(trained), studies_given, tmp_path / str(k))
        assert [r.case_id for r in readings] == ["someone"]
        assert not readings[0].refusal
        masks.append((tmp_path / str(k) / "someone.nii.gz").read_bytes())
        assert answers(tmp_path / str(k))[0]["images"] == {"flair": "someone_flair.nii.gz", "t1": "someone_t1.nii.gz"}
    assert masks[0] == masks[1] == masks[2]


def test_reading_sees_what_training_saw(trained: Project) -> None:
    """The same voxels by the way of the cohort and by the way of a new study."""
    from overread.cohort.load import open_channels
    from overread.reading.model import load_model

    whole, card = trained.cohort(), load_model(model_of(trained)).card
    exams = {e.name: e for e in exams_in([whole.images_folder], card)}
    assert len(exams) == 12
    by_file = {e.references[0].files: e for e in exams.values()}
    for case in whole.cases:
        exam = by_file[case.images[0].files]
        seen = open_channels(exam.name, exam.references, exam.folder, gaps=exam.gaps, tilt=exam.tilt)
        assert (seen.array == load_image(whole, case).array).all()
        assert seen.source.get("missing_channels") == load_image(whole, case).source.get("missing_channels")


def test_a_missing_channel_is_filled_and_said_and_a_missing_reference_refused(trained: Project, tmp_path: Path) -> None:
    write_exam(tmp_path / "new", "a", 41, lacking="t1")
    write_exam(tmp_path / "new", "b", 42, lacking="flair")
    readings = {r.case_id: r for r in read(model_of(trained), [tmp_path / "new"], tmp_path / "out")}
    assert "channel 't1' is missing; it was filled with zeros" in readings["a"].warnings
    assert readings["b"].refusal == "reference channel missing (flair)"
    assert not (tmp_path / "out" / "b.nii.gz").exists()


def test_files_that_name_no_channel_are_refused(trained: Project, tmp_path: Path) -> None:
    write_exam(tmp_path, "x", 43)
    (tmp_path / "x_flair.nii.gz").rename(tmp_path / "scan.nii.gz")
    with pytest.raises(OverreadError, match="no file's name says which it is"):
        read(model_of(trained), [tmp_path / "scan.nii.gz"], tmp_path / "out")


def test_a_missing_channel_is_the_zero_of_the_preparation(trained: Project) -> None:
    whole = trained.cohort()
    case = next(c for c in whole.cases if c.images[1].format == "missing")
    assert case.covariates == {"missing channels": "t1"}
    for rule in (Normalisation("per-image"), Normalisation("window", 50.0, 400.0, 200.0, 30.0)):
        preparation = Preparation(("flair", "t1"), "a.u.", 3, (2.0, 1.5, 1.5), None, (8, 8, 8), False, (rule, rule))
        prepared = prepare_image(load_image(whole, case), preparation)
        assert not prepared.array[1].any()
        assert prepared.array[0].any()


def test_zeros_do_not_enter_the_intensities(tmp_path: Path) -> None:
    images, masks = cohort(tmp_path, lacking=dict.fromkeys(range(0, 12, 2), "t1"))
    facts = fingerprint(init(tmp_path / "p", images, masks, missing="zeros").cohort())
    assert facts.intensity[1].min > 50
    assert facts.intensity[1].mean == pytest.approx(290, abs=15)


def test_a_plan_of_four_modalities(tmp_path: Path) -> None:
    project = init(tmp_path / "p", decathlon(tmp_path / "d"))
    planned = plan(project, overrides={"training.patch": "8,8,8", "training.batch": "1"})
    assert planned.plan.preparation.channels == ("flair", "t1w", "t1gd", "t2w")
    assert planned.plan.network["in_channels"] == 4


# ---- update -----------------------------------------------------------------------------------------


def test_update_applies_the_rules_of_the_project_file(tmp_path: Path) -> None:
    images, masks = cohort(tmp_path, lacking={3: "t1"})
    project = init(tmp_path / "p", images, masks)
    before = {c.case_id: c for c in project.cohort().cases}
    path = project.path / "project.toml"
    path.write_text(path.read_text().replace('missing = "refuse"', 'missing = "zeros"'))
    assert update(project.path).summary.facts["changed"]["new_cases"] == 1  # type: ignore[union-attr]
    again = Project.open(project.path).cohort()
    new = next(c for c in again.cases if c.case_id not in before)
    write_exam(images, "pat03", 3)
    update(project.path)
    complete = Project.open(project.path).cohort().case(new.case_id)  # the same case when its T1 arrives
    assert [i.format for i in complete.images] == ["nifti", "nifti"]
    assert complete.covariates == {}


def test_update_chooses_series_as_init_did(tmp_path: Path) -> None:
    images = studies(tmp_path, {"thin art": 1.0, "thick art": 5.0, "thin ven": 1.0})
    rules = {"thickness": "<= 2", "art.phase": "arterial", "ven.phase": "venous"}
    project = init(tmp_path / "p", images, sheet=labels(tmp_path), positive="ill", series=rules)
    assert project.settings.images.series == {"thickness": "<= 2"}
    assert project.settings.images.channels == {"art": {"phase": "arterial"}, "ven": {"phase": "venous"}}
    assert "channel art: 8 exams, because thickness = '<= 2', phase = 'arterial'" in str(project.summary)
    assert "-8  series not chosen: thickness is not '<= 2'" in str(project.summary)
    assert update(project.path).summary.facts["changed"] == {  # type: ignore[union-attr]
        "new_patients": 0,
        "new_cases": 0,
        "new_exams_of_known_patients": 0,
        "removed_cases": 0,
        "changed_images": [],
        "corrected_truths": [],
    }


# ---- read: DICOM ------------------------------------------------------------------------------------


def card(series: dict[str, str], channels: dict[str, Any], names: tuple[str, ...], missing: str = "refuse") -> Any:
    rules = image_rules(series, channels, missing)
    return SimpleNamespace(preparation=SimpleNamespace(channels=names), reading={"images": rules.as_dict()})


def test_exams_that_are_called_alike_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    studies(tmp_path, {"thin": 1.0}, 3)
    exams = list(exams_in([tmp_path / "dicom"], card({}, {}, ("image",))))
    assert [e.name for e in exams] == ["study0_thin", "study1_thin", "study2_thin"]
    assert [e.source for e in exams] == [str(tmp_path / "dicom" / f"study{k}" / "thin") for k in range(3)]
    (alone,) = exams_in([tmp_path / "dicom" / "study1"], card({}, {}, ("image",)))
    assert alone.name == "thin"


def test_read_chooses_the_series_by_the_rule_of_the_training(tmp_path: Path) -> None:
    studies(tmp_path, {"thin": 1.0, "thick": 5.0}, 2)
    exams = list(exams_in([tmp_path / "dicom"], card({"thickness": "<= 2"}, {}, ("image",))))
    assert [e.chosen for e in exams] == [{"image": "thin"}] * 2
    assert all("/thin/" in f for e in exams for f in e.references[0].files)
    assert exams[0].notes == ("of 2 series, thin chosen by the rule of the training (image: thickness = '<= 2')",)
    exams = list(exams_in([tmp_path / "dicom"], card({"description": "bone*"}, {}, ("image",))))
    assert [e.refusal.what for e in exams if e.refusal] == [
        "no series of the exam fits [images.series] (description = 'bone*')"
    ] * 2
    exams = list(exams_in([tmp_path / "dicom"], card({"description": "bone*"}, {}, ("image",)), {"description": "thick"}))
    assert [e.chosen for e in exams] == [{"image": "thick"}] * 2
    exams = list(exams_in([tmp_path / "dicom"], card({"description": "thi*"}, {}, ("image",))))
    assert all(e.refusal is not None and "2 series of one exam fit [images.series]" in e.refusal.what for e in exams)


def test_read_maps_series_to_channels(tmp_path: Path) -> None:
    studies(tmp_path, {"arterial": 5.0, "venous": 5.0}, 1)
    rules = {"ven": {"phase": "venous"}, "art": {"phase": "arterial"}}
    (exam,) = exams_in([tmp_path / "dicom"], card({}, rules, ("ven", "art")))
    assert exam.chosen == {"ven": "venous", "art": "arterial"}
    assert [r.channel for r in exam.references] == ["ven", "art"]
    (exam,) = exams_in([tmp_path / "dicom"], card({}, {"flair": "_flair", "t1": "_t1"}, ("flair", "t1")))
    assert exam.refusal is not None
    assert "tells its channels apart by the names of files" in exam.refusal.what
    assert "--series flair.description='*flair*'" in exam.refusal.next
    with pytest.raises(OverreadError, match="The model has no channel 'x'"):
        list(exams_in([tmp_path / "dicom"], card({}, rules, ("ven", "art")), {"x.phase": "venous"}))


def test_series_in_two_frames_of_reference_are_no_channels(tmp_path: Path) -> None:
    for name, frame in (("arterial", "1.2.3.5"), ("venous", "1.2.3.6")):
        make_series(
            tmp_path / name, [0.0, 5.0, 10.0], SeriesDescription=name, SeriesInstanceUID=f"1.9.{name == 'venous':d}",
            FrameOfReferenceUID=frame,
        )  # fmt: skip
    rules = {"ven": {"phase": "venous"}, "art": {"phase": "arterial"}}
    (exam,) = exams_in([tmp_path], card({}, rules, ("ven", "art")))
    assert exam.refusal is not None
    assert "lie in different frames of reference" in exam.refusal.what


def test_a_model_without_rules_reads_each_series(tmp_path: Path) -> None:
    studies(tmp_path, {"thin": 1.0, "thick": 5.0}, 1)
    bare: Any = SimpleNamespace(preparation=SimpleNamespace(channels=("image",)), reading={})
    assert len(list(exams_in([tmp_path / "dicom"], bare))) == 2


def test_a_model_of_one_volume_takes_it_from_a_file_with_several(tmp_path: Path) -> None:
    folder = decathlon(tmp_path / "d", 1)
    (exam,) = exams_in([folder / "imagesTr"], card({}, {"t1": {"volume": "1"}}, ("t1",)))
    assert exam.references[0].index == 1


def test_truth_of_a_channel_is_that_of_its_case(tmp_path: Path) -> None:
    sheet = write_sheet(tmp_path / "a.csv", ["id", "n"], [[f"pat{k:02d}", k] for k in range(12)])
    images, _ = cohort(tmp_path)
    project = init(tmp_path / "p", images, sheet=sheet, label=["n"], task="regression")
    assert "12 images have a row" in str(project.summary)
    assert np.isfinite([c.truth.values["n"] for c in project.cohort().of("training") if c.truth]).all()
