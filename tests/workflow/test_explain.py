"""`overread explain` on tiny projects and studies: what is drawn, what is withheld, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest

from asked_toys import WAYS, Way, image_of, predictor_of
from imaging.answers import ct, film
from overread.cli.main import main
from overread.core.case import ImageReference
from overread.core.errors import OverreadError
from overread.core.image import Image
from overread.core.kinds import Map
from overread.explanation.methods.table import make
from overread.reading.ensemble import Ensemble
from overread.reporting.explanation.page import SECTIONS
from overread.workflow.explain import explain_project
from overread.workflow.explanations.maps import made as maps_made
from overread.workflow.explanations.maps.cases import Picked
from overread.workflow.explanations.maps.files import Files, parse_formats
from overread.workflow.explanations.maps.methods import USUAL, Wish, chosen_methods
from overread.workflow.explanations.maps.one_map import Made, map_of, topics_of
from overread.workflow.explanations.maps.verdicts import judged, trial_beside
from overread.workflow.explanations.record import FILE, part_of, records_of, write_page, write_part
from overread.workflow.project import Project
from overread.workflow.readings.refusing import Refusing
from workflow.balls import film_project, volume_project
from workflow.untrained import untrained

REASON = "Failed: weight randomisation."


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = film_project(tmp_path_factory.mktemp("films"), "ball", positive="large")
    untrained(project, "first", architecture="resnet10")
    return project


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = volume_project(tmp_path_factory.mktemp("volumes"))
    untrained(project, "first", architecture="unet")
    return project


def way(name: str) -> Way:
    return next(each for each in WAYS if str(each) == name)


def nifti(path: Path) -> nibabel.Nifti1Image:
    loaded = nibabel.load(path)
    assert isinstance(loaded, nibabel.Nifti1Image)
    return loaded


def trial_of(project: Project, **verdicts: str) -> dict[str, Any]:
    card = json.loads((project.run("first").model / "model.json").read_text())
    criterion = {"criterion": "weights", "title": "Weight randomisation", "interval": None, "rule": "", "reason": ""}
    methods = [
        {"method": name, "title": name, "parameters": {}, "criteria": [{**criterion, "verdict": v}], "verdict": v, "why": REASON}
        for name, v in verdicts.items()
    ]
    return {"format": 1, "model": card["sha256"], "methods": methods, "controls": [], "human": None, "notes": []}


def tuning(project: Project) -> list[str]:
    return [case.case_id for case in project.cohort().of("tuning")]


def test_tuning_cases_are_explained_and_the_seal_stays(films: Project, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = (films.path / "cohort" / "ledger.jsonl").read_bytes()
    sealed = films.path / "cohort" / "sealed" / "internal.parquet"
    sealed.rename(films.path / "hidden")  # nothing here may need it
    try:
        assert main(["explain", str(films.path), "--method", "saliency,occlusion", "--limit", "2"]) == 0
    finally:
        (films.path / "hidden").rename(sealed)
    said = capsys.readouterr().out
    assert "Saliency of large, score" in said
    assert "not tried" in said
    assert f"Next: overread trial {films.path} --run first" in said
    assert (films.path / "cohort" / "ledger.jsonl").read_bytes() == ledger
    part = part_of(films.run("first"), "maps")
    assert part is not None
    record = part.record
    assert {case["case_id"] for case in record["cases"]} <= set(tuning(films))
    assert len(part.pictures) == 4
    (first, *_) = record["cases"][0]["maps"]
    assert first["score_words"] == "the score (log odds of large)"
    assert first["parameters"] == {}
    assert {row["method"]: row["limit"] > 0 for row in record["methods"]} == {"saliency": True, "occlusion": True}
    page = (films.run("first").path / "explanation.html").read_text()
    assert "No method has been put on trial" in page
    for text in (page, json.dumps(record)):
        assert "film0" not in text
        assert str(films.path) not in text


def test_cases_are_named_by_their_pseudonyms_and_files_are_written(films: Project, tmp_path: Path) -> None:
    wanted = tuning(films)[1]
    wish = Wish(("saliency",), target="small")
    result = explain_project(films, wish, cases=[wanted], out=tmp_path, formats=("png", "nifti", "dicom"))
    assert [(case["case_id"], case["why"]) for case in result["cases"]] == [(wanted, "asked for")]
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"{wanted}_saliency_small.nii.gz", f"{wanted}_saliency_small.png"]
    assert b"NOT TRIED" in bytes(nifti(tmp_path / names[0]).header["descrip"])
    assert any("its image is no DICOM" in note for note in result["notes"])


def test_what_failed_its_trial_is_withheld_or_marked(
    films: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(SECTIONS, "trial", raising=False)  # the record here holds what maps need of it
    run = films.run("first")
    write_part(run, "trial", trial_of(films, saliency="failed", guided_backprop="passed"))
    one = ["--limit", "1"]
    assert main(["explain", str(films.path), *one]) == 0  # without names: those of the trial
    said = capsys.readouterr().out
    assert f"Withheld: Saliency failed its trial. {REASON}" in said
    assert "Guided backpropagation of large" in said
    part = part_of(run, "maps")
    assert part is not None
    assert [one["method"] for one in part.record["cases"][0]["maps"]] == ["guided_backprop"]
    assert part.record["cases"][0]["maps"][0]["verdicts"] == {"weights": "passed"}
    result = explain_project(films, Wish(("saliency",), show_failed=True), limit=1)
    assert result["cases"][0]["maps"][0]["verdict"] == "failed"
    page = (run.path / "explanation.html").read_text()
    assert 'class="failed"' in page
    assert "do not believe this map" in page
    (run.path / "explanation" / "trial" / "record.json").unlink()


def test_maps_that_a_later_trial_has_overtaken_are_not_shown(films: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(SECTIONS, "trial", raising=False)  # the record here holds what maps need of it
    run = films.run("first")
    explain_project(films, Wish(("saliency", "guided_backprop")), limit=1)
    before = part_of(run, "maps")
    assert before is not None
    assert len(before.pictures) == 2  # both stamped as not tried
    write_part(run, "trial", trial_of(films, saliency="failed"))
    part = part_of(run, "maps")
    assert part is not None
    assert [one["method"] for one in part.record["cases"][0]["maps"]] == ["guided_backprop"]
    assert list(part.pictures) == [part.record["cases"][0]["maps"][0]["file"]]
    saliency = next(row for row in part.record["methods"] if row["method"] == "saliency")
    assert saliency["verdict"] == "failed"
    page = write_page(films, run, is_phantom=False).read_text()
    assert "Saliency was left out: its maps were drawn before the trial as it is now" in page
    assert "No method has been put on trial" not in page
    explain_project(films, Wish(("saliency",), show_failed=True), limit=1)
    again = part_of(run, "maps")
    assert again is not None
    assert len(again.pictures) == 1  # stamped as the trial says
    (run.path / "explanation" / "trial" / "record.json").unlink()


def test_a_record_of_another_form_is_no_part_of_the_page(films: Project) -> None:
    run = films.run("first")
    explain_project(films, Wish(("saliency",)), limit=1)
    file = run.path / "explanation" / "maps" / FILE
    record = json.loads(file.read_text())
    for other in ({**record, "format": 99}, {"model": record["model"]}, {}):
        file.write_text(json.dumps(other))
        assert part_of(run, "maps") is None
        assert "maps" not in records_of(run)
        assert '<h2 id="maps">' not in write_page(films, run, is_phantom=False).read_text()


def test_files_of_a_run_are_replaced_as_a_whole(films: Project) -> None:
    folder = films.run("first").path / "explanation" / "maps-files"
    first, second, *_ = tuning(films)
    result = explain_project(films, Wish(("saliency",)), cases=[first], formats=("nifti",))
    assert result["files"] == str(folder)
    explain_project(films, Wish(("saliency",)), cases=[second], formats=("nifti",))
    assert [path.name.partition("_")[0] for path in folder.iterdir()] == [second]
    assert not list(folder.parent.glob(".*"))


def test_cases_that_may_not_be_asked_are_refused(films: Project) -> None:
    cohort = films.cohort()
    with pytest.raises(OverreadError, match="belongs to the internal test, which is sealed"):
        explain_project(films, Wish(("saliency",)), cases=[cohort.of("internal")[0].case_id])
    with pytest.raises(OverreadError, match="is a training case"):
        explain_project(films, Wish(("saliency",)), cases=[cohort.of("training")[0].case_id])
    with pytest.raises(OverreadError, match="There is no case 'C-xyz'"):
        explain_project(films, Wish(("saliency",)), cases=["C-xyz"])
    with pytest.raises(OverreadError, match="--limit 0 leaves no case"):
        explain_project(films, Wish(("saliency",)), limit=0)


@pytest.mark.parametrize(
    ("words", "what", "next_step"),
    [
        (["--method", "salience"], "No attribution method is called 'salience'", "did you mean saliency"),
        (["--method", "saliency", "--target", "larg"], "The model has no target 'larg'", "did you mean large"),
        (["--method", "grad_cam", "--layer", "stage.9"], "stage.9", "Next:"),
        (["--method", "saliency", "--patch-mm", "8"], "None of the methods saliency takes --patch-mm", "occlusion"),
        (["--method", "saliency", "--format", "tiff"], "There is no format 'tiff' for maps", "--format png,nifti"),
        (["study.png"], "study.png", "Next:"),
        (["--run", "nobody"], "There is no run 'nobody'", "train"),
        (["--series", "description=*t2*"], "--series goes with studies, and none was named", "leave it out"),
    ],
)
def test_what_does_not_exist_is_named_with_the_nearest(
    films: Project, capsys: pytest.CaptureFixture[str], words: list[str], what: str, next_step: str
) -> None:
    assert main(["explain", str(films.path), *words]) == 2
    said = capsys.readouterr().err
    assert what in said
    assert next_step in said


def test_a_study_is_explained_on_its_own_grid(volumes: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (model,) = volumes.run("first").path.glob("*.overread")
    study = next((volumes.path.parent / "cohort" / "images").glob("*.nii.gz"))
    words = [str(model), str(study), "--out", str(tmp_path / "maps"), "--method", "saliency", "--format", "png,nifti"]
    assert main(["explain", *words]) == 0
    said = capsys.readouterr().out
    out = tmp_path / "maps"
    record = json.loads((out / "explanation.json").read_text())
    assert (out / "index.html").exists()
    assert f"Page: {out / 'index.html'}" in said
    (case,) = record["cases"]
    (one,) = case["maps"]
    assert one["target"] == "label 1"
    made, given = (nifti(path) for path in (out / one["file"].replace(".png", ".nii.gz"), study))
    assert made.shape == given.shape
    assert np.allclose(made.affine, given.affine)
    values = np.asarray(made.dataobj).transpose(2, 1, 0)  # RAS in the file: the peak is told in the image's own axes
    assert float(values.max()) == pytest.approx(one["largest"], rel=1e-4)
    assert np.unravel_index(values.argmax(), values.shape) == tuple(one["peak"])


def test_a_study_that_the_model_refuses_to_read_is_not_explained(
    volumes: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (model,) = volumes.run("first").path.glob("*.overread")
    study = next((volumes.path.parent / "cohort" / "images").glob("*.nii.gz"))
    refused = (SimpleNamespace(code="body-part"), "it shows a head", ())
    monkeypatch.setattr(Refusing, "look", lambda self, model, image, prepared: refused)
    assert main(["explain", str(model), str(study), "--out", str(tmp_path / "maps"), "--method", "saliency"]) == 2
    said = capsys.readouterr().err
    assert "No study could be explained" in said
    assert "the model refuses to read it: it shows a head" in said


def test_a_case_in_which_nothing_was_answered_is_said(
    volumes: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(maps_made, "topics_of", lambda answering, image, target: ())
    assert main(["explain", str(volumes.path), "--method", "saliency", "--limit", "1"]) == 0
    assert "nothing was answered here that could be asked about" in capsys.readouterr().out
    assert "The model answered nothing here" in (volumes.run("first").path / "explanation.html").read_text()


def test_a_model_is_named_with_what_it_needs(volumes: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (model,) = volumes.run("first").path.glob("*.overread")
    onnx = tmp_path / "liver.onnx"
    onnx.write_bytes(b"onnx")
    tries = {
        ("liver.onnx is an ONNX network", "explain the .overread file"): [str(onnx), "study", "--out", str(tmp_path)],
        ("gradients", "exported from"): [str(onnx), "study"],
        ("Where shall the maps go?", "--out"): [str(model), "study"],
        ("A model alone cannot be explained", "name a study"): [str(model), "--out", str(tmp_path)],
        ("--run goes with a project", "leave it out"): [str(model), "study", "--run", "first", "--out", str(tmp_path)],
        ("There is no project and no model at", "give a project"): [str(tmp_path), "--out", str(tmp_path)],
        ("There is nothing at", "check the path"): [str(model), str(tmp_path / "no"), "--out", str(tmp_path)],
    }
    for (what, step), words in tries.items():
        assert main(["explain", *words]) == 2
        said = capsys.readouterr().err
        assert what in said
        assert step in said


def test_the_trial_beside_a_model_counts_only_for_that_model(volumes: Project, tmp_path: Path) -> None:
    trial = trial_of(volumes, saliency="failed")
    model = tmp_path / "liver.overread"
    (tmp_path / "liver.trial.json").write_text(json.dumps(trial))
    assert trial_beside(model, trial["model"])[0] == trial
    found, note = trial_beside(model, "sha256:other")
    assert found is None
    assert "the trial of another model" in note
    (tmp_path / "liver.trial.json").write_text(json.dumps({**trial, "format": 99}))
    found, note = trial_beside(model, trial["model"])
    assert found is None
    assert "written by another version of Overread; put the methods on trial again" in note
    assert trial_beside(tmp_path / "none.overread", "sha256:other") == (None, "")


def test_a_verdict_holds_for_the_parameters_that_were_tried() -> None:
    row = {"method": "occlusion", "criteria": [], "verdict": "passed", "why": "", "title": "Occlusion"}
    trial = {"methods": [{**row, "parameters": {"patch_mm": 8.0, "stride_mm": None, "fill": "mean"}}]}
    (as_tried,) = chosen_methods(Wish(), trial)
    assert as_tried.parameters["patch_mm"] == 8.0
    assert as_tried.judged.verdict == "passed"
    (otherwise,) = chosen_methods(Wish(patch_mm=16.0), trial)
    assert otherwise.judged.verdict == "not tried"
    assert "other parameters (patch mm 8, fill mean)" in otherwise.judged.why
    assert judged(trial, "saliency", {}).why == "the trial of this model did not try this method"
    assert [chosen.method.name for chosen in chosen_methods(Wish(), None)] == list(USUAL)


@pytest.mark.parametrize("toy", WAYS, ids=str)
def test_every_answering_task_is_explained(toy: Way) -> None:
    topics = topics_of(predictor_of(toy), image_of(toy))
    assert topics
    made = map_of(topics[0], make("saliency"))
    assert isinstance(made, Made)
    assert made.values.shape == image_of(toy).grid.shape
    assert made.values.any()
    assert np.isfinite(topics[0].score())


def test_the_map_of_an_ensemble_is_that_of_its_members_by_share() -> None:
    toy = way("classification-2d-resnet10")
    members = [predictor_of(toy, seed) for seed in (0, 1)]
    together = Ensemble.of(members, [3.0, 1.0], members[0].decisions)
    (topic,) = topics_of(together, image_of(toy))
    alone = [topics_of(member, image_of(toy))[0] for member in members]
    made, parts = map_of(topic, make("saliency")), [map_of(one, make("saliency")) for one in alone]
    assert isinstance(made, Made)
    assert np.allclose(made.values, 0.75 * parts[0].values + 0.25 * parts[1].values, atol=1e-6)  # type: ignore[union-attr]
    assert topic.score() == pytest.approx(0.75 * alone[0].score() + 0.25 * alone[1].score(), rel=1e-5)
    assert topic.silent == 0


def test_members_that_list_nothing_there_are_counted() -> None:
    toy = way("detection-2d-centre_detector")
    members = [predictor_of(toy, seed) for seed in (0, 1)]
    topics = topics_of(Ensemble.of(members, [1.0, 1.0], members[0].decisions), image_of(toy))
    assert 0 < len(topics) <= 5
    assert all(len(topic.asked) + topic.silent == 2 for topic in topics)
    assert all(topic.box is not None and topic.box.shape == (2, 3) for topic in topics)


def picked(image: Image, files: list[Path], folder: Path) -> Picked:
    reference = ImageReference("ct", "dicom", tuple(str(f.relative_to(folder)) for f in files))
    return Picked("study", "given", "", lambda: image, lambda image: (), lambda: None, reference, folder)


@pytest.mark.filterwarnings("ignore")
def test_a_dicom_map_says_its_verdict_and_a_film_gets_a_picture(tmp_path: Path) -> None:
    card: Any = SimpleNamespace(sha256="sha256:" + "ab" * 32, is_phantom=False)
    files = Files(tmp_path / "out", ("dicom", "nifti"), card, "liver-first")
    for name, (paths, image) in {"ct": ct(tmp_path / "ct"), "film": film(tmp_path)}.items():
        values = np.abs(np.random.default_rng(0).normal(size=image.grid.shape)).astype(np.float32)
        values[..., : values.shape[-1] // 2] *= -1  # the left half speaks against it
        heat = Map(values, image.grid, "Occlusion", "liver", {"trial": "failed", "weights": "failed"})
        notes = files.write(name, heat, picked(image, paths, tmp_path), image, b"", "FAILED ITS TRIAL")
        is_told = [note.startswith("study: a picture was written in place of a DICOM map: no MAP was written") for note in notes]
        assert is_told == [True] * (name == "film")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "ct.nii.gz",
        "ct_liver_map.dcm",
        "film.nii.gz",
        "film_sc.dcm",
    ]
    note = bytes(nifti(tmp_path / "out" / "ct.nii.gz").header["descrip"])
    assert note.startswith(b"PHANTOM, research, FAILED ITS TRIAL: Occlusion of liver")  # the series says that it was computed
    tags = pydicom.dcmread(tmp_path / "out" / "ct_liver_map.dcm")
    assert tags.SeriesDescription == "RESEARCH Occlusion (FAILED ITS TRIAL) of liver"
    drawn = pydicom.dcmread(tmp_path / "out" / "film_sc.dcm").pixel_array.astype(int)
    middle = drawn[drawn.shape[0] // 3 : -drawn.shape[0] // 3]
    left, right = np.split(middle[:, : middle.shape[1] // 2 * 2], 2, axis=1)
    assert left[..., 2].mean() > left[..., 0].mean() + 10  # blue
    assert right[..., 0].mean() > right[..., 2].mean() + 10  # red


def test_formats_are_read() -> None:
    assert parse_formats("png, NIfTI,png") == ("png", "nifti")
    with pytest.raises(OverreadError, match="There is no format"):
        parse_formats("")


def test_a_study_on_disk_is_explained_by_the_model_of_the_project(films: Project, capsys: pytest.CaptureFixture[str]) -> None:
    study = next(path for path in sorted(films.images_folder.rglob("*")) if path.is_file())
    assert main(["explain", str(films.path), str(study), "--method", "saliency"]) == 0, capsys.readouterr().err
    page = (films.run(None).path / "explanation/studies/index.html").read_text()
    assert "the model of run first answer" in page
    assert "Studies are named as their files are" in page
    assert "Cases are named by pseudonyms" not in page
    assert main(["explain", str(films.path), str(study), "C-0001", "--method", "saliency"]) == 2
    assert "'C-0001' is no file or folder" in capsys.readouterr().err
