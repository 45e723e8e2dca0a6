"""`overread trial` on films with a planted marker: what learned the marker shows it, and what never looks at a network fails."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from torch import nn

from asked_toys import WAYS, asked_of, question_of
from overread.cli.main import main
from overread.core.errors import OverreadError, Stopped
from overread.explanation.trial.posed import Posed
from overread.explanation.trial.repeat import Shifts
from overread.explanation.trial.weights import WeightRandomisation
from overread.reading.model import Model
from overread.record.files import read_json
from overread.tasks import make
from overread.workflow.audit import audit
from overread.workflow.explanations.trial.notes import notes_of
from overread.workflow.explanations.trial.shuffled import shuffled
from overread.workflow.project import Project
from overread.workflow.trial import trial
from workflow.marked_films import marked_project, model_of_network, small_network

METHODS = ("saliency", "integrated_gradients")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return marked_project(tmp_path_factory.mktemp("marked"))


@pytest.fixture(scope="module")
def models(project: Project) -> dict[str, Model]:
    """Two networks that learned from these films, with different seeds."""
    names = ("first", "second")
    return {name: model_of_network(project, small_network(project, seed), name) for seed, name in enumerate(names)}


@pytest.fixture
def planted(project: Project, models: dict[str, Model], monkeypatch: pytest.MonkeyPatch) -> Project:
    """The project with these models in its runs."""
    monkeypatch.setattr("overread.workflow.frozen.load_model", lambda path: models[path.parent.name])
    return project


def row(rows: list[dict[str, Any]], method: str, criterion: str) -> dict[str, Any]:
    of_method = next(each for each in rows if each["method"] == method)
    return next(each for each in of_method["criteria"] if each["criterion"] == criterion)


def test_maps_light_a_planted_marker_the_audit_agrees_and_the_controls_fail(
    planted: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = planted.path / "runs" / "first"
    (folder / "marked-first.overread").write_bytes(b"")
    markers = planted.path.parent / "markers"
    asked = ["trial", str(planted.path), "--run", "first", "--method", ",".join(METHODS), "--seeds", "second"]
    assert main([*asked, "--limit", "100", "--drawn", str(markers)]) == 0
    told = capsys.readouterr().out
    assert "The edge detector, the constant and the random map failed what they must fail." in told
    found = read_json(folder / "explanation" / "trial" / "record.json")
    _the_marker_is_lit(found)
    _the_controls_fail(found)
    assert read_json(folder / "marked-first.trial.json") == found
    page = (folder / "explanation.html").read_text()
    assert "A pass is no proof" in page
    assert "the edge detector by weight randomisation" in page

    concerns = {concern.key: concern for concern in audit(planted.path).concerns}
    assert concerns["shortcut-edges"].severity in ("fault", "warning")  # the same is told from corners alone, before any training

    def never(*_: Any) -> None:
        raise AssertionError("was measured before")

    for criterion in (WeightRandomisation, Shifts):
        monkeypatch.setattr(criterion, "measure", never)
    again = trial(planted, "first", methods=METHODS, limit=100, drawn=[markers], seeds=["second"])
    assert json.loads(json.dumps(again["methods"])) == found["methods"]


def _the_marker_is_lit(found: dict[str, Any]) -> None:
    """A fiftieth of the area holds several times its share of the map, and what it shows matters to the network."""
    for method in METHODS:
        of_map = row(found["methods"], method, "localisation")
        assert of_map["verdict"] == "passed"
        inside = {name: of_map["beside"][name]["estimate"] for name in ("energy", "energy_even", "energy_middle")}
        assert inside["energy"] > 3 * inside["energy_even"] > 0
        for criterion in ("weight_randomisation", "deletion", "insertion"):
            assert row(found["methods"], method, criterion)["verdict"] == "passed", (method, criterion)
    assert row(found["methods"], "saliency", "label_randomisation")["verdict"] == "not tried"
    assert row(found["methods"], "saliency", "completeness")["why"] == "the method does not promise it"
    assert row(found["methods"], "saliency", "repeatability_seeds")["facts"]["trainings"] == 2


def _the_controls_fail(found: dict[str, Any]) -> None:
    controls = found["controls"]
    assert found["escaped"] == []
    assert row(controls, "edges", "weight_randomisation")["verdict"] == "failed"
    assert row(controls, "edges", "weight_randomisation")["interval"]["estimate"] == pytest.approx(1)
    assert row(controls, "constant", "localisation")["verdict"] == "failed"
    assert row(controls, "constant", "deletion")["verdict"] == "failed"
    assert row(controls, "noise", "repeatability_shift")["verdict"] == "failed"
    assert all(control["verdict"] == "failed" for control in controls)


def test_what_was_measured_before_a_stop_is_kept(planted: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Shifts, "measure", stop)
        with pytest.raises(Stopped, match="1 measurements are kept") as stopped:
            trial(planted, "second", methods=["saliency"], limit=6)
    assert "overread trial" in stopped.value.next
    kept = planted.path / "runs" / "second" / "explanation" / "trial-measured.json"
    assert len(read_json(kept)["measured"]) == 1
    assert not (kept.parent / "trial").exists()
    with monkeypatch.context() as patch:
        patch.setattr(WeightRandomisation, "measure", stop)
        with pytest.raises(Stopped, match="measurements are kept"):  # the first is not measured again, that of a control is
            trial(planted, "second", methods=["saliency"], limit=6)
    assert len(read_json(kept)["measured"]) > 1


def test_what_cannot_be_asked_is_refused_with_the_next_step(planted: Project, tmp_path: Path) -> None:
    with pytest.raises(OverreadError, match="No attribution method is called 'salency'") as unknown:
        trial(planted, "first", methods=["salency"])
    assert "saliency" in unknown.value.next
    with pytest.raises(OverreadError, match="--minutes is for the training on shuffled truths") as budget:
        trial(planted, "first", minutes=3)
    assert budget.value.next == "add --labels"
    with pytest.raises(OverreadError, match="no run 'third'") as run:
        trial(planted, "first", seeds=["third"], limit=4)
    assert "training.seed=1" in run.value.next
    with pytest.raises(OverreadError, match="is the one on trial"):
        trial(planted, "first", seeds=["first"], limit=4)
    with pytest.raises(OverreadError, match="There is nothing at"):
        trial(planted, "first", drawn=[tmp_path / "nowhere"], limit=4)
    (tmp_path / "other.png").write_bytes((planted.path.parent / "markers").iterdir().__next__().read_bytes())
    with pytest.raises(OverreadError, match="is called like one of the 4 cases") as drawn:
        trial(planted, "first", drawn=[tmp_path], limit=4)
    assert "call each mask like its image" in drawn.value.next


def test_trainings_that_differ_by_more_than_chance_are_not_compared(
    planted: Project, models: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(4, 2))  # the same kind of module
    other = model_of_network(planted, wide.eval(), "wide")
    monkeypatch.setitem(models, "wide", other)
    with pytest.raises(OverreadError, match="In run 'wide' the network is another one") as refusal:
        trial(planted, "first", methods=["saliency"], seeds=["wide"], limit=4)
    assert refusal.value.next == "compare trainings of the same architecture"
    turned = replace(planted.question, classes=planted.question.classes[::-1])
    other.predictor.task = make(turned)  # type: ignore[union-attr]
    with pytest.raises(OverreadError, match="Run 'wide' answers another question"):
        trial(planted, "first", methods=["saliency"], seeds=["wide"], limit=4)


def test_nothing_is_trained_where_no_method_can_be_asked(planted: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("the training takes long")

    monkeypatch.setattr("overread.workflow.trial.on_shuffled_truths", never)
    with pytest.raises(OverreadError, match="None of these methods can be asked") as refusal:
        trial(planted, "first", methods=["attention_rollout"], limit=4, labels=True)
    assert refusal.value.next == "name others with --method"


@pytest.mark.parametrize(("task", "is_said"), [("regression", True), ("classification", False)])
def test_of_a_number_it_is_said_what_deletion_cannot_judge(task: str, is_said: bool) -> None:
    way = next(way for way in WAYS if way.task == task)
    subject = SimpleNamespace(
        project=SimpleNamespace(question=question_of(task)), cohort=SimpleNamespace(of=lambda _side: [None]), cases=[None]
    )
    notes = notes_of(subject, [Posed("C-1", "P-1", ((asked_of(way), 1.0),))], 0)  # type: ignore[arg-type]
    assert any("rise as well as fall" in note for note in notes) == is_said
    assert "tuning cases only" in notes[0]


def test_truths_are_dealt_anew_by_patient_and_none_is_lost(project: Project) -> None:
    before = project.cohort()
    after = shuffled(before)
    assert after.digest != before.digest
    for side in ("training", "tuning"):
        of = [sorted(c.truth.values["yes"] for c in cohort.of(side)) for cohort in (before, after)]  # type: ignore[union-attr]
        assert of[0] == of[1]
        changed = [a.truth != b.truth for a, b in zip(before.of(side), after.of(side), strict=True)]
        assert sum(changed) > len(changed) / 5
    assert [c.case_id for c in after.cases] == [c.case_id for c in before.cases]
    assert all(case.truth is None for case in after.of("internal"))
    assert shuffled(before) == after
