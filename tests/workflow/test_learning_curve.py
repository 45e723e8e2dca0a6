"""`overread learning-curve` from trainings to words: kept when stopped, nothing under seal, no part mistaken for a run."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from overread.cli.main import main
from overread.cohort.subdivision import read_subdivision
from overread.core.errors import OverreadError, Stopped
from overread.record.events import read_events
from overread.record.files import read_json
from overread.workflow.compare import compare
from overread.workflow.evaluate import evaluate
from overread.workflow.init import init
from overread.workflow.learning import series
from overread.workflow.learning_curve import FILE, learning_curve
from overread.workflow.plan import next_name
from overread.workflow.project import Project
from overread.workflow.report import report
from overread.workflow.train import train
from workflow.balls import film_project, films

TINY = {"training.batch": "4", "training.architecture": "resnet10", "training.precision": "float32"}


def project_of(folder: Path, **options: object) -> Project:
    """Films of 36 patients: 18 train, 9 tune, 9 are under seal."""
    made = films(folder / "cohort", count=72, edge=24)
    given = {"sheet": made / "sheet.csv", "group_by": "patient", "label": ["ball"], "positive": "large"}
    return init(folder / "project", made / "images", **{**given, "tuning": 0.25, "internal": 0.25, **options})


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, dict, list[str]]:
    """A curve of three shares, one training each, and what was said."""
    project = project_of(tmp_path_factory.mktemp("curve"))
    said: list[str] = []
    found = learning_curve(project, (0.25, 0.5), epochs=1, repeats=1, overrides=TINY, tell=said.append)
    return project, found, said


def test_every_share_is_trained_on_its_patients_and_tuned_on_the_same_cases(drawn: tuple[Project, dict, list[str]]) -> None:
    project, found, said = drawn
    cohort = project.cohort()
    everybody = {c.case_id for c in cohort.of("training")}
    tuning = {c.case_id for c in cohort.of("tuning")}
    parts = [read_subdivision(project.run(f"curve/{share}-1").subdivision) for share in (25, 50, 100)]
    for small, large in pairwise(parts):
        assert small.training < large.training
    assert parts[-1].training == everybody
    assert all(part.tuning == tuning for part in parts)
    for share, part in zip((25, 50, 100), parts, strict=True):
        run = project.run(f"curve/{share}-1")
        card = read_json(run.model / "model.json")["training"]
        assert card["cases"] == {"training": len(part.training), "tuning": len(tuning)}
        assert sorted(p.name for p in run.predictions.iterdir()) == ["tuning"], "the internal test's images are not read"
    assert said[0] == "3 trainings of 1 epoch each: 1 for each of 3 shares."
    assert [p["patients"] for p in found["points"]] == sorted(p["patients"] for p in found["points"])


def test_the_record_says_what_was_done(drawn: tuple[Project, dict, list[str]]) -> None:
    project, found, _ = drawn
    assert read_json(project.path / FILE) == json.loads(json.dumps(found))
    assert found["endpoint"]["metric"] == "auc"
    assert (found["n_cases"], found["n_patients"]) == (18, 9)
    for point in found["points"]:
        assert point["interval"]["n_patients"] == 9
        assert "by patient" in point["interval"]["method"]
    assert found["verdict"]["words"]
    assert "each share was trained once" in found["verdict"]["words"]
    assert any("(--repeats 2)" in note for note in found["notes"])
    text = (project.path / FILE).read_text()
    assert str(project.path) not in text
    assert "film0" not in text


def test_the_ledger_knows_nothing_of_it(drawn: tuple[Project, dict, list[str]]) -> None:
    assert [e["entry"] for e in drawn[0].ledger.entries()] == ["sealed"]


def test_the_runs_of_a_curve_are_not_taken_for_runs(drawn: tuple[Project, dict, list[str]]) -> None:
    project, _, _ = drawn
    assert project.runs() == ()
    assert next_name(project) == "first"
    assert project.run().name == "first"
    with pytest.raises(OverreadError, match="'curve' is a learning curve, not a run"):
        train(project, epochs=1, name="curve")
    with pytest.raises(OverreadError, match="There is no run 'curve'"):
        report(project, "curve")


def test_a_part_is_evaluated_on_tuning_cases_alone_and_says_what_it_is(drawn: tuple[Project, dict, list[str]]) -> None:
    project, _, _ = drawn
    note = read_json(project.run("curve/25-1").evaluation("tuning"))["notes"]
    assert any(n.startswith("This run is one training of a learning curve (percent of the training patients 25") for n in note)
    for on in ("internal", "external:elsewhere"):
        with pytest.raises(OverreadError, match=r"one training of a learning curve; it has not read(?s:.*)overread train"):
            evaluate(project, "curve/25-1", on)
    assert [e["entry"] for e in project.ledger.entries()] == ["sealed"]
    page = report(project, "curve/25-1").read_text()
    assert "This run is one training of a learning curve" in page
    notes = compare([project.path], runs=["curve/25-1", "curve/100-1"])["notes"]
    assert any("one training of a learning curve" in n for n in notes)


def test_asked_again_nothing_is_trained_again(drawn: tuple[Project, dict, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    project, before, _ = drawn

    def never(*given: object) -> None:
        raise AssertionError("everything is trained already")

    monkeypatch.setattr(series, "train", never)
    again = learning_curve(project)
    assert again["points"] == before["points"]
    with pytest.raises(OverreadError, match=r"was begun otherwise; what changed: budget(?s:.*)--name"):
        learning_curve(project, epochs=2)
    with pytest.raises(OverreadError, match="what changed: overrides"):
        learning_curve(project, overrides={**TINY, "training.batch": "8"})
    faster = project.settings.training.model_copy(update={"learning_rate": 0.5})
    changed = Project(project.path, settings=project.settings.model_copy(update={"training": faster}))
    with pytest.raises(OverreadError, match=r"what changed: \[training\], \[region\] or \[evaluation\] in project\.toml"):
        learning_curve(changed)


def test_a_stopped_curve_goes_on_with_the_same_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = project_of(tmp_path)
    real, trained = series.train, []

    def stops(project: Project, *given: object) -> object:
        if len(trained) == 1:
            raise Stopped("Stopped after 3 steps.", "overread train --resume")
        trained.append(given[4])
        return real(project, *given)

    monkeypatch.setattr(series, "train", stops)
    with pytest.raises(Stopped, match=r"Stopped after 3 steps(?s:.*)overread learning-curve .*project --name curve"):
        learning_curve(project, (0.5,), epochs=1, repeats=1, overrides=TINY)
    assert not (project.path / FILE).exists()
    monkeypatch.setattr(series, "train", lambda project, *given: trained.append(given[4]) or real(project, *given))
    found = learning_curve(project)
    assert trained == ["curve/50-1", "curve/100-1"]
    assert found["verdict"]["code"] == "none"
    assert "there are 2 shares" in found["verdict"]["words"]
    events = [e["event"] for e in read_events(project.run("curve/50-1").events_path)]
    assert events.count("started") == 1


def test_a_report_of_the_project_shows_the_curve(drawn: tuple[Project, dict, list[str]]) -> None:
    project, found, _ = drawn
    path = report(project, "curve/100-1")
    page = path.read_text()
    assert "Would more patients help?" in page
    rows = (path.parent / "figures" / "learning-curve.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * len(found["points"]) + (5 if found["verdict"]["forecast"] else 0)
    assert (path.parent / "figures" / "learning-curve.svg").exists()


# ---------------------------------------------------------------- what cannot be, before anything is trained


@pytest.fixture
def untrained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(series, "train", lambda *given: pytest.fail("nothing may be trained"))
    return film_project(tmp_path, "ball", positive="large")


def test_a_share_of_too_few_patients_is_refused_first(untrained: Project) -> None:
    with pytest.raises(OverreadError, match=r"cannot begin at 10 %(?s:.*)the smallest share that works(?s:.*)--shares \d+"):
        learning_curve(untrained, epochs=1)
    assert not (untrained.path / "runs").exists()


def test_shares_that_are_none_are_refused(untrained: Project) -> None:
    with pytest.raises(OverreadError, match="150 % is no share of the training patients"):
        learning_curve(untrained, (0.5, 1.5), epochs=1)
    assert main(["learning-curve", str(untrained.path), "--shares", "ten"]) == 2


def test_a_name_that_is_a_run_is_refused(untrained: Project) -> None:
    untrained.run("first").path.mkdir(parents=True)
    (untrained.run("first").path / "plan.toml").touch()
    with pytest.raises(OverreadError, match="'first' is a run already, and no learning curve"):
        learning_curve(untrained, epochs=1, name="first")


def test_an_endpoint_without_better_and_worse_is_refused(untrained: Project) -> None:
    settings = untrained.settings
    asked = settings.evaluation.model_copy(update={"primary_endpoint": "ece"})
    project = Project(untrained.path, settings=settings.model_copy(update={"evaluation": asked}))
    with pytest.raises(OverreadError, match=r"'ece' cannot be drawn as a learning curve(?s:.*)set evaluation.primary_endpoint"):
        learning_curve(project, epochs=1)


def test_folds_need_one_fold(tmp_path: Path) -> None:
    project = project_of(tmp_path, folds=3)
    with pytest.raises(OverreadError, match=r"has 3 folds(?s:.*)--fold K"):
        learning_curve(project, epochs=1)
    with pytest.raises(OverreadError, match="no fold 7"):
        learning_curve(project, epochs=1, fold=7)


def test_the_verb_on_the_command_line(drawn: tuple[Project, dict, list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    project, _, _ = drawn
    assert main(["learning-curve", str(project.path)]) == 0
    told = capsys.readouterr()
    assert "100 %, 18 patients: " in told.out
    assert "Area under the ROC curve" in told.out
    assert "Next: overread train" in told.out
    assert "3 trainings of 1 epoch each" in told.err
    assert main(["learning-curve", str(project.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["repeats"] == 1
    assert main(["learning-curve", str(project.path), "--minutes", "1", "--epochs", "1"]) == 2
