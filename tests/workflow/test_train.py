"""From a folder to a frozen model and back: plan, train, stop, resume, evaluate, read, and everything that may go wrong."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from overread.cohort.fingerprint import fingerprint
from overread.core.errors import OverreadError
from overread.evaluation.unseal import ENTRY
from overread.reading.model import load_model
from overread.record import files
from overread.record.events import read_events
from overread.workflow.evaluate import evaluate
from overread.workflow.learning.plan_file import read_plan
from overread.workflow.plan import plan, refuse_unseen, with_overrides
from overread.workflow.project import Project
from overread.workflow.read import load, read
from overread.workflow.report import report
from overread.workflow.train import train
from workflow.balls import film_project, volume_project

DECLARED = {"hypothesis": "the ball is found", "primary_endpoint": "dice/1", "margin": None, "threshold_rule": "youden"}
SMALL = {"training.patch": "16,16,16", "training.batch": "2", "training.precision": "float32"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Project:
    """A segmentation project trained for two epochs."""
    project = volume_project(tmp_path_factory.mktemp("trained"))
    train(project, epochs=2, overrides=SMALL)
    return project


def endpoint(project: Project) -> dict:
    return {**DECLARED, "primary_endpoint": f"dice/{project.question.classes[0]}"}


def test_a_run_leaves_plan_events_model_and_answers(trained):
    run = trained.run("first")
    made = read_plan(run.plan)
    assert made.reasons["patch"]
    assert "#" in run.plan.read_text()
    kinds = [e["event"] for e in read_events(run.events_path)]
    assert kinds[0] == "started"
    assert kinds.count("epoch") == 2
    assert kinds[-1] == "froze"
    assert (run.path / "preflight.html").stat().st_size > 10_000
    card = json.loads((run.model / "model.json").read_text())
    assert card["state"] == "frozen"
    tuning = {c.case_id for c in trained.cohort().of("tuning")}
    assert {p.name.removesuffix(".nii.gz") for p in (run.predictions / "tuning").glob("*.nii.gz")} == tuning
    assert not list(run.path.glob("**/*.pkl"))


def test_answers_lie_on_the_grid_of_their_source(trained):
    cohort = trained.cohort()
    for case in cohort.of("tuning"):
        source = nibabel.load(cohort.images_folder / case.images[0].files[0])
        answer = nibabel.load(trained.run("first").predictions / "tuning" / f"{case.case_id}.nii.gz")
        assert answer.shape == source.shape
        np.testing.assert_allclose(answer.affine, source.affine, atol=1e-5)


def test_evaluation_report_and_seal(trained, tmp_path):
    result = evaluate(trained, "first", on="tuning")
    assert 0 <= result["dice"][trained.question.classes[0]].estimate <= 1
    with pytest.raises(OverreadError, match="hypothesis"):
        evaluate(trained, "first", on="internal")
    assert [e["entry"] for e in trained.ledger.entries()] == ["sealed"]
    evaluate(trained, "first", on="internal", declare=endpoint(trained))
    openings = [e for e in trained.ledger.entries() if e["entry"] == ENTRY]
    assert len(openings) == 1
    assert openings[0]["model"] == json.loads((trained.run("first").model / "model.json").read_text())["sha256"]
    page = report(trained, "first").read_text()
    assert "pat0" not in page
    assert str(trained.images_folder) not in page


def test_nothing_that_names_a_patient_leaves_the_private_folder(trained):
    """File names carry the patients' names here; no event, model, plan or prediction may repeat them."""
    kept = [
        p
        for p in trained.run("first").path.rglob("*")
        if p.is_file() and p.suffix in (".json", ".jsonl", ".toml", ".html", ".csv")
    ]
    assert kept
    for path in kept:
        text = path.read_text(errors="replace")
        assert "pat0" not in text, path.name
        assert str(trained.path) not in text, path.name
    with zipfile.ZipFile(next(trained.run("first").path.glob("*.overread"))) as archive:
        assert b"pat0" not in archive.read("model.json")


def test_the_model_reads_a_new_file_as_it_read_in_training(trained, tmp_path):
    model = next(trained.run("first").path.glob("*.overread"))
    cohort = trained.cohort()
    case = cohort.of("tuning")[0]
    source = cohort.images_folder / case.images[0].files[0]
    readings = read(model, [source], tmp_path / "answers", probabilities=True)
    assert readings[0].refusal == ""
    name = source.name.removesuffix(".nii.gz")
    there = nibabel.load(tmp_path / "answers" / f"{name}.nii.gz")
    before = nibabel.load(trained.run("first").predictions / "tuning" / f"{case.case_id}.nii.gz")
    np.testing.assert_array_equal(np.asarray(there.dataobj), np.asarray(before.dataobj))
    assert list((tmp_path / "answers").glob("*_probability.nii.gz"))
    assert "(ml)" in (tmp_path / "answers" / "answers.csv").read_text()
    assert load(model).read(source).answer is not None


def test_a_file_that_cannot_be_read_is_no_negative_answer(trained, tmp_path):
    model = next(trained.run("first").path.glob("*.overread"))
    shutil.copytree(trained.images_folder, tmp_path / "new")
    some = sorted((tmp_path / "new").iterdir())
    for path in some[2:]:
        path.unlink()
    broken = nibabel.Nifti1Image(np.full((8, 8, 8), np.nan, np.float32), np.eye(4))
    nibabel.save(broken, tmp_path / "new" / "broken.nii.gz")
    readings = read(model, [tmp_path / "new"], tmp_path / "answers")
    refused = {r.case_id: r.refusal for r in readings if r.refusal}
    assert set(refused) == {"broken"}
    assert "finite" in refused["broken"]
    listed = json.loads((tmp_path / "answers" / "answers.json").read_text())["readings"]
    assert any(row["refusal"] for row in listed)


@pytest.mark.parametrize(("label", "options"), [("ball", {"positive": "large"}), ("radius", {"task": "regression"})])
def test_films_with_a_sheet(tmp_path, label, options):
    project = film_project(tmp_path, label, **options)
    train(project, epochs=2, overrides={"training.batch": "8", "training.architecture": "resnet10"})
    result = evaluate(project, "first", on="tuning")
    metric = "auc" if label == "ball" else "mae"
    assert result[metric]
    model = next(project.run("first").path.glob("*.overread"))
    film = sorted(project.images_folder.glob("*.png"))[0]
    reading = load(model).read(film)
    assert reading.answer is not None
    page = report(project, "first").read_text()
    assert "film0" not in page


def test_a_project_of_folds_seals_the_fold_held_out(tmp_path):
    project = volume_project(tmp_path, folds=3)
    with pytest.raises(OverreadError, match="has 3 folds"):
        train(project, epochs=1)
    train(project, epochs=1, fold="all", overrides=SMALL)
    for fold in range(3):
        run = project.run("first", fold)
        held = {c.case_id for c in project.cohort(fold).of("internal")}
        assert {p.name.removesuffix(".nii.gz") for p in (run.predictions / "internal").glob("*.nii.gz")} == held
    result = evaluate(project, "first", on="internal", declare=endpoint(project))
    assert result["dice"][project.question.classes[0]].n_cases == 14
    assert report(project, "first").exists()


# ---------------------------------------------------------------- stopping and going on


def command(project: Path, *extra: str) -> list[str]:
    sets = [f"--set={k}={v}" for k, v in SMALL.items()]
    return [sys.executable, "-m", "overread.cli.main", "train", str(project), *sets, *extra]


def wait_for(path: Path, word: str, process: subprocess.Popen, seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if path.exists() and word in path.read_text():
            return
        assert process.poll() is None, "the training ended before it was to be stopped"
        time.sleep(0.1)
    pytest.fail(f"{path.name} never said {word!r}")


def epochs_of(run) -> dict[int, float]:
    return {e["epoch"]: e["loss"] for e in read_events(run.events_path) if e["event"] == "epoch"}


def test_ctrl_c_leaves_a_valid_model_and_a_run_that_goes_on_to_the_same_curve(tmp_path):
    project = volume_project(tmp_path)
    train(project, epochs=4, name="through", overrides=SMALL)
    run = project.run("stopped")
    process = subprocess.Popen(command(project.path, "--epochs", "4", "--name", "stopped"), stderr=subprocess.PIPE, text=True)
    wait_for(run.events_path, '"epoch": 1', process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    if process.returncode == 0:
        pytest.skip("by chance: this machine finished before the signal came")
    assert process.returncode == 130, said
    assert "--resume" in said
    assert load_model(next(run.path.glob("*.overread"))).card.state == "frozen"
    train(project, name="stopped", resume=True)  # epochs and settings are remembered
    assert epochs_of(run) == pytest.approx(epochs_of(project.run("through")), rel=1e-4)


def test_kill_9_leaves_a_run_that_goes_on(tmp_path, monkeypatch):
    project = volume_project(tmp_path)
    run = project.run("killed")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    hurry = "import overread.training.loop as l; l.CHECKPOINT_SECONDS = 0.0; from overread.cli.main import main; main()"
    arguments = [sys.executable, "-c", hurry, *command(project.path, "--epochs", "30", "--name", "killed")[3:]]
    process = subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(run.events_path, '"event": "checkpoint"', process)
    process.kill()
    process.wait()
    snapshot = load_model(run.model)
    assert snapshot.card.state == "in training"
    train(project, epochs=2, name="killed", resume=True, overrides=SMALL)
    assert load_model(next(run.path.glob("*.overread"))).card.state == "frozen"


def test_resuming_with_another_plan_says_what_changed(trained, tmp_path):
    with pytest.raises(OverreadError, match=r"another plan; what changed: .*loss"):
        train(trained, epochs=2, name="first", resume=True, overrides={**SMALL, "training.loss": "dice"})


def test_a_second_process_cannot_train_into_the_same_run(trained):
    run = trained.run("first")
    with open(run.path / ".lock", "a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(OverreadError, match="being trained by another process"):
            train(trained, epochs=1, name="first", resume=True, overrides=SMALL)


def test_a_trained_run_is_not_trained_over(trained):
    with pytest.raises(OverreadError, match=r"trained already(?s:.*)--name"):
        train(trained, epochs=1, name="first", overrides=SMALL)


def test_the_plan_of_a_trained_run_is_a_record(trained):
    before = trained.run("first").plan.read_bytes()
    with pytest.raises(OverreadError, match=r"'first' has been trained by the plan it holds(?s:.*)--name"):
        plan(trained, "first", overrides={"training.loss": "dice"})
    assert trained.run("first").plan.read_bytes() == before


def test_nobody_plans_a_run_that_another_process_holds(trained):
    run = trained.run("held")
    run.path.mkdir(parents=True)
    with open(run.path / ".lock", "a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(OverreadError, match="being trained by another process"):
            plan(trained, "held")
    shutil.rmtree(run.path)


def test_a_structure_that_no_training_mask_shows_stops_the_plan(trained):
    facts = fingerprint(trained.cohort())
    name = trained.question.classes[0]
    refuse_unseen(trained.question, facts)
    with pytest.raises(OverreadError, match=f"No training mask shows '{name}'"):
        refuse_unseen(trained.question, replace(facts, class_counts={**facts.class_counts, name: 0}))


def test_a_full_disk_is_named_and_the_earlier_checkpoint_stays(trained, monkeypatch, tmp_path):
    run = trained.run("first")
    before = run.checkpoint.read_bytes()

    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "_sync", full)
    with pytest.raises(OverreadError, match="disk is full"):
        train(trained, epochs=3, name="first", resume=True, overrides=SMALL)
    assert run.checkpoint.read_bytes() == before
    assert not list(run.path.rglob(".writing-*"))


# ---------------------------------------------------------------- what does not fit


def test_a_damaged_model_and_one_from_the_future_are_named(trained, tmp_path):
    model = next(trained.run("first").path.glob("*.overread"))
    cut = tmp_path / "cut.overread"
    cut.write_bytes(model.read_bytes()[:-2000])
    with pytest.raises(OverreadError, match=r"cut.overread is damaged"):
        load_model(cut)
    folder = tmp_path / "folder"
    shutil.copytree(trained.run("first").model, folder)
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-5] ^= 255
    (folder / "model.safetensors").write_bytes(bytes(weights))
    with pytest.raises(OverreadError, match="weights do not match their digest"):
        load_model(folder)
    card = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**card, "format": 99}))
    with pytest.raises(OverreadError, match="newer version of Overread"):
        load_model(folder)
    with pytest.raises(OverreadError, match="no model at"):
        load_model(tmp_path / "nothing.overread")


def test_an_image_of_another_kind_is_refused_by_the_model(trained, tmp_path):
    model = next(trained.run("first").path.glob("*.overread"))
    colour = nibabel.Nifti1Image(np.zeros((16, 16, 16, 3), np.float32), np.eye(4))
    nibabel.save(colour, tmp_path / "three.nii.gz")
    with pytest.raises(OverreadError, match="No study could be read"):
        read(model, [tmp_path / "three.nii.gz"], tmp_path / "answers")


def test_a_network_that_does_not_fit_is_refused_before_training(trained):
    with pytest.raises(OverreadError, match="resnet18 does not answer segmentation"):
        train(trained, epochs=1, name="wrong", overrides={**SMALL, "training.architecture": "resnet18"})
    with pytest.raises(OverreadError, match=r"unett(?s:.*)unet"):
        train(trained, epochs=1, name="wrong", overrides={**SMALL, "training.architecture": "unett"})


def test_mirroring_a_question_with_sides_is_refused(trained):
    overrides = {**SMALL, "training.augmentation.mirror": '["x"]', "question.sided": "true"}
    settings = with_overrides(trained.settings, overrides)
    assert settings.question.sided
    project = Project(trained.path, settings=settings)
    with pytest.raises(OverreadError, match="the question has sides"):
        plan(project, "sided")


def test_a_wrong_override_names_the_nearest_setting(trained):
    with pytest.raises(OverreadError, match=r"training.lossx: no such setting; did you mean loss"):
        with_overrides(trained.settings, {"training.lossx": "dice"})


def test_changed_data_stop_the_training(tmp_path):
    project = volume_project(tmp_path)
    first = sorted(project.images_folder.glob("*.nii.gz"))[0]
    image = nibabel.load(first)
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj) + 1, image.affine), first)
    with pytest.raises(OverreadError, match=r"changed(?s:.*)overread update"):
        train(project, epochs=1, overrides=SMALL)
