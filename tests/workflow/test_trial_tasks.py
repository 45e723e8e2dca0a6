"""`overread trial` on trained projects: values with a training on shuffled truths, and outlines, which bring their own truth."""

from __future__ import annotations

from pathlib import Path

import pytest

from overread.core.errors import OverreadError
from overread.record.files import read_json
from overread.workflow.explanations.trial import shuffled
from overread.workflow.train import train
from overread.workflow.trial import trial
from workflow.balls import film_project, volume_project


def test_a_training_on_shuffled_truths_is_made_once_and_is_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = film_project(tmp_path, "ball", positive="large")
    train(project, epochs=1, name="first")
    found = trial(project, methods=["saliency"], limit=8, labels=True)
    (of_labels,) = [c for c in found["methods"][0]["criteria"] if c["criterion"] == "label_randomisation"]
    assert of_labels["verdict"] in ("passed", "failed")
    assert project.runs() == ("first",)
    (other,) = (project.path / "runs" / "first" / "explanation" / "shuffled-labels").iterdir()
    card = read_json(other / "model" / "model.json")
    assert card["sha256"] != found["model"]
    assert not (other / "predictions" / "internal").exists()
    (beside,) = (project.path / "runs" / "first").glob("*.trial.json")
    assert read_json(beside)["model"] == found["model"]

    def never(*_: object, **__: object) -> None:
        raise AssertionError("was trained before")

    monkeypatch.setattr(shuffled, "train", never)
    again = trial(project, methods=["saliency"], limit=8, labels=True)
    assert again["methods"][0]["criteria"] == found["methods"][0]["criteria"]


def test_outlines_are_the_truth_of_their_own_trial(tmp_path: Path) -> None:
    project = volume_project(tmp_path)
    train(project, epochs=3, name="first")
    with pytest.raises(OverreadError, match="outlines of one patient do not lie on the image of another"):
        trial(project, methods=["saliency"], labels=True)
    found = trial(project, methods=["saliency"], limit=4)
    assert found["n_cases"] >= 1
    assert any("lies around that place" in note for note in found["notes"])
    assert found["n_drawn"] >= 1
    told = {c["criterion"]: c["why"] for c in found["methods"][0]["criteria"]}
    assert "too few to resample" in told["localisation"]
    assert found["methods"][0]["verdict"] == "incomplete"
