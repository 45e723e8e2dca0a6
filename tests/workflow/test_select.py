"""`overread select`: the better candidate wins, ties go to the first, the test has no part in it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from overread.cli.main import main
from overread.cohort.subdivision import read_subdivision
from overread.core.errors import OverreadError
from overread.evaluation.learning.selection import choice_in_words, choose
from overread.metrics.table import METRICS
from overread.record.events import read_events
from overread.record.files import read_json
from overread.workflow.evaluate import evaluate
from overread.workflow.learning import selection, series
from overread.workflow.learning.candidates import candidates_of, split_values
from overread.workflow.plan import next_name
from overread.workflow.project import Project
from overread.workflow.report import report
from overread.workflow.select import select
from workflow.balls import volume_project

SMALL = {"training.patch": "16,16,16", "training.batch": "2", "training.precision": "float32"}
RATES = ["training.learning_rate=0,auto"]  # one that learns nothing, listed first


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, dict, list[str]]:
    project = volume_project(tmp_path_factory.mktemp("select"))
    said: list[str] = []
    (found,) = select(project, RATES, 2, epochs=3, overrides=SMALL, tell=said.append)
    return project, found, said


def test_the_candidate_that_learns_is_chosen(chosen: tuple[Project, dict, list[str]]) -> None:
    project, found, said = chosen
    nothing, something = found["candidates"]
    assert something["is_chosen"]
    assert not nothing["is_tied"]
    assert something["interval"]["estimate"] > nothing["interval"]["estimate"]
    assert found["n_trainings"] == 4
    assert "by patient" in something["interval"]["method"]
    assert something["interval"]["n_cases"] == found["n_cases"]
    assert said[0] == "5 trainings of 3 epochs each: 2 candidates on 2 inner parts, and the winner."
    assert found["words"] in said
    assert read_json(project.run("selected").path / "selection.json") == json.loads(json.dumps(found))


def test_inner_parts_are_of_open_cases_and_share_no_patient(chosen: tuple[Project, dict, list[str]]) -> None:
    project, found, _ = chosen
    cohort = project.cohort()
    open_cases = {c.case_id for part in ("training", "tuning") for c in cohort.of(part)}
    patient = {c.case_id: c.patient_id for c in cohort.cases}
    parts = [read_subdivision(project.run(f"selected/try-1-{k}").subdivision) for k in (1, 2)]
    for part in parts:
        assert part.training | part.tuning == open_cases
        assert not {patient[c] for c in part.training} & {patient[c] for c in part.tuning}
    assert parts[0].tuning == parts[1].training
    assert found["n_cases"] == len(open_cases)
    assert not (project.run("selected/try-1-1").predictions / "internal").exists()


def test_the_winner_is_trained_as_train_does_and_can_open_the_seal(chosen: tuple[Project, dict, list[str]]) -> None:
    project, _, _ = chosen
    run = project.run("selected")
    started = next(e for e in read_events(run.events_path) if e["event"] == "started")
    assert started["overrides"] == {**SMALL, "training.learning_rate": "auto"}
    assert sorted(p.name for p in run.predictions.iterdir()) == ["internal", "tuning"]
    assert not run.subdivision.exists()
    assert project.runs() == ("selected",)
    assert next_name(project) != "selected"
    assert [e["entry"] for e in project.ledger.entries()] == ["sealed"]
    with pytest.raises(OverreadError, match="one training of a selection"):
        evaluate(project, "selected/try-2-1", "internal")
    evaluate(project, "selected", panels=False)
    page = report(project, "selected").read_text()
    assert "2 candidates were compared by Dice" in page
    assert "its truths stayed under seal and its images were not read" in page


def test_asked_again_nothing_is_trained_again(
    chosen: tuple[Project, dict, list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project, found, _ = chosen
    for room in (series, selection):
        monkeypatch.setattr(room, "train", lambda *given: pytest.fail("everything is trained already"))
    assert select(project)[0]["candidates"] == found["candidates"]
    with pytest.raises(OverreadError, match="what changed: candidates"):
        select(project, ["training.loss=dice,dice_ce"])
    surer = project.settings.evaluation.model_copy(update={"surface_tolerance_mm": 5.0})
    changed = Project(project.path, settings=project.settings.model_copy(update={"evaluation": surer}))
    with pytest.raises(OverreadError, match=r"what changed: \[training\], \[region\] or \[evaluation\] in project\.toml"):
        select(changed)
    assert main(["select", str(project.path)]) == 0
    told = capsys.readouterr().out
    assert " *2  training.learning_rate = auto: " in told
    assert "Next: overread evaluate" in told
    assert "--run selected" in told


# ---------------------------------------------------------------- the choice


def test_the_best_mean_wins_where_it_is_clear() -> None:
    found = choose(np.array([[0.5, 0.6, 0.55], [0.8, 0.9, 0.84]]), "higher")
    assert (found.chosen, found.best, found.tied) == (1, 1, (1,))
    assert choose(np.array([[5.0, 6.0], [2.0, 3.0]]), "lower").chosen == 1
    assert choose(np.array([[-0.1, 0.1], [0.5, 0.6]]), "zero").chosen == 0


def test_within_the_spread_the_first_listed_wins_and_that_is_said() -> None:
    scores = np.array([[0.80, 0.86, 0.82], [0.84, 0.83, 0.84], [0.50, 0.52, 0.51]])
    found = choose(scores, "higher")
    assert (found.chosen, found.best, found.tied) == (0, 1, (0, 1))
    table = [
        {"number": k + 1, "settings": {"training.loss": f"l{k}"}, "scores": list(row), "interval": {"estimate": row.mean()}}
        for k, row in enumerate(scores)
    ]
    words = choice_in_words(METRICS["auc"], table, found)
    assert words.startswith("Of 3 candidates number 1 was chosen (training.loss = l0)")
    assert "Candidates 1, 2 are tied: they fall short of the best, number 2 with 0.837" in words
    assert words.endswith("Of these the first listed was taken.")


def test_equals_are_a_tie() -> None:
    assert choose(np.array([[0.8, 0.8], [0.8, 0.8]]), "higher").tied == (0, 1)


def test_a_candidate_without_a_score_is_never_taken() -> None:
    scores = np.array([[np.nan, 0.99], [0.6, 0.7]])
    assert choose(scores, "higher").chosen == 1
    assert choose(np.full((2, 2), np.nan), "higher") is None


# ---------------------------------------------------------------- candidates


def test_candidates_are_all_combinations_in_the_order_named(chosen: tuple[Project, dict, list[str]]) -> None:
    made = candidates_of(chosen[0], ["training.loss=dice,dice_ce", "training.patch=[16,16,16],[8,8,8]"], {})
    assert [tuple(m.values()) for m in made] == [
        ("dice", "[16,16,16]"),
        ("dice", "[8,8,8]"),
        ("dice_ce", "[16,16,16]"),
        ("dice_ce", "[8,8,8]"),
    ]
    assert split_values('["z","y"],[]') == ['["z","y"]', "[]"]


@pytest.mark.parametrize(
    ("tries", "words"),
    [
        (["training.loss"], "expected KEY=VALUE,VALUE"),
        (["training.loss=dice,"], "expected KEY=VALUE,VALUE"),
        (["training.loss=dice"], "There is nothing to choose from"),
        ([], "There is nothing to choose from"),
        (["evaluation.threshold_rule=youden,0.5"], "only ways to train are compared"),
        (["training.seed=1,2"], "a seed is luck"),
        (["training.early_stopping=0,5"], "stops by the very part that is held out"),
        (["training.loss=dice,dice"], "with a value twice"),
        (["training.batch=2,3", "training.batch=4,5"], "named twice"),
        (["training.lossx=a,b"], "did you mean loss"),
    ],
)
def test_what_is_no_choice_is_refused(chosen: tuple[Project, dict, list[str]], tries: list[str], words: str) -> None:
    with pytest.raises(OverreadError, match=words):
        candidates_of(chosen[0], tries, {})


def test_folds_are_selected_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = volume_project(tmp_path, folds=2)
    with pytest.raises(OverreadError, match="has 2 folds"):
        select(project, RATES, 2, epochs=1, overrides=SMALL)
    seen: list[tuple[object, object]] = []
    monkeypatch.setattr(selection.Selection, "done", lambda self, parts: seen.append((self.fold, len(parts[1]))) or {})
    select(project, RATES, 2, "all", epochs=1, overrides=SMALL)
    held = {fold: len(project.cohort(fold).of("internal")) for fold in (0, 1)}
    assert seen == [(fold, 14 - held[fold]) for fold in (0, 1)]
