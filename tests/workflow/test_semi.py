"""Images without a truth beside labelled ones: taught, resumed to the same end, refused where nothing is named."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from overread.cohort.subdivision import Subdivision, write_subdivision
from overread.core.errors import OverreadError, Stopped
from overread.evaluation.learning.against import ONE_TRAINING
from overread.record.events import read_events
from overread.workflow.init import init
from overread.workflow.labelling import simulation as labelling
from overread.workflow.learning_curve import PART_OF, learning_curve
from overread.workflow.project import Project
from overread.workflow.train import train
from overread.workflow.unlabelled.consistency import TOLD_IN_PARTS
from workflow.balls import films

TINY = {"training.batch": "4", "training.architecture": "resnet10", "training.precision": "float32", "reading.refusal": "off"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Path]:
    """A project of 36 patients and a folder of further films."""
    folder = tmp_path_factory.mktemp("semi")
    made = films(folder / "cohort", count=72, edge=24)
    given = {"sheet": made / "sheet.csv", "group_by": "patient", "label": ["ball"], "positive": "large"}
    project = init(folder / "project", made / "images", **given, tuning=0.25, internal=0.25)
    return project, films(folder / "more", count=10, edge=28) / "images"


def told(project: Project, more: Path, way: str) -> dict[str, str]:
    return {**TINY, "training.semi": way, "training.unlabelled": str(more)}


@pytest.mark.parametrize("way", ["mean_teacher", "pseudo_labels"])
def test_a_term_of_the_loss_comes_from_further_images(world, way):
    project, more = world
    run = train(project, epochs=2, name=way, overrides=told(project, more, way))
    events = list(read_events(run.events_path))
    assert next(e for e in events if e["event"] == "unlabelled")["images"] == 10
    last = [e for e in events if e["event"] == "epoch"][-1]
    assert set(last["losses"]) == {"cross_entropy", way}
    assert str(more) not in run.events_path.read_text()


def test_a_stopped_training_goes_on_to_the_same_end(world):
    project, more = world
    overrides = told(project, more, "mean_teacher")
    whole = train(project, epochs=3, name="whole", overrides=overrides)
    seen = []

    def stop_after_two(event):
        seen.append(event["event"])
        if seen.count("epoch") == 2 and event["event"] == "epoch":
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Stopped):
        train(project, epochs=3, name="halves", overrides=overrides, hear=stop_after_two)
    halves = train(project, epochs=3, name="halves", overrides=overrides, resume=True)
    weights = [load_file(run.model / "model.safetensors") for run in (whole, halves)]
    for name, tensor in weights[0].items():  # which memory layout is faster is measured, and the last digits hang on it
        torch.testing.assert_close(tensor, weights[1][name], rtol=1e-3, atol=1e-5)


def test_other_images_are_another_training(world, tmp_path):
    project, more = world
    overrides = told(project, more, "mean_teacher")

    def stop(event):
        if event["event"] == "epoch":
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Stopped):
        train(project, epochs=3, name="others", overrides=overrides, hear=stop)
    other = films(tmp_path / "other", count=6, edge=30) / "images"
    with pytest.raises(OverreadError, match="begun with another plan"):
        train(project, epochs=3, name="others", overrides=told(project, other, "mean_teacher"), resume=True)


def test_a_learning_curve_takes_the_rest_of_the_training_images(world):
    project, _ = world
    overrides = {**TINY, "training.semi": "mean_teacher", "training.unlabelled": "rest"}
    with pytest.raises(OverreadError, match="told the truth of every training case"):
        train(project, epochs=1, name="all", overrides=overrides)
    beside = {"training.semi": "mean_teacher", "training.unlabelled": "rest"}
    found = learning_curve(project, (0.5,), epochs=1, repeats=1, name="half", overrides=TINY, against=beside)["against"]
    counts = [
        next(e for e in read_events(project.run(f"half/{share}-1-against").events_path) if e["event"] == "unlabelled")["images"]
        for share in (50, 100)
    ]
    assert counts[0] > 0
    assert counts[1] == 0, "the last part is told every truth"
    assert [gain["reason"] == ONE_TRAINING for gain in found["gains"]] == [False, True]
    assert "both ways are one and the same training" in found["words"]


@pytest.mark.parametrize("part_of", ["a search", "a selection", "an ablation", *TOLD_IN_PARTS])
def test_a_part_that_is_told_every_truth_is_refused_but_for_the_last_of_a_curve(world, part_of):
    project, _ = world
    name = part_of.replace(" ", "-")
    sides = [frozenset(case.case_id for case in project.cohort().of(side)) for side in ("training", "tuning")]
    write_subdivision(project.run(name).subdivision, Subdivision(*sides, part_of))
    overrides = {**TINY, "training.semi": "mean_teacher", "training.unlabelled": "rest"}
    if part_of in TOLD_IN_PARTS:
        assert train(project, epochs=1, name=name, overrides=overrides).model.exists()
        return
    with pytest.raises(OverreadError, match=f"a training of {part_of} is told the truth of every training case"):
        train(project, epochs=1, name=name, overrides=overrides)
    assert not project.run(name).checkpoint.exists()


def test_the_series_that_tell_truths_in_parts_are_called_as_they_call_themselves():
    assert TOLD_IN_PARTS == (PART_OF, labelling.PART_OF)


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"training.semi": "mean_teacher"}, "none are named"),
        ({"training.unlabelled": "somewhere"}, "does not say how to learn from them"),
        ({"training.semi": "mean_teacher", "training.unlabelled": "nowhere"}, "There is nothing at"),
    ],
)
def test_half_of_what_is_needed_is_refused(world, values, what):
    with pytest.raises(OverreadError, match=what):
        train(world[0], epochs=1, name="never", overrides={**TINY, **values})
