"""`overread baseline`: hand-made features on the identical split, scored like any other run, blind to what is sealed."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from overread.cli.main import main
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.question import Question
from overread.workflow.baseline import baseline
from overread.workflow.baselines.models import SUREST, Candidate, answer, candidates, loss
from overread.workflow.evaluate import evaluate
from overread.workflow.init import init
from overread.workflow.project import Project

workflow = importlib.import_module("overread.workflow.baseline")  # the module, whose name the function bears too
QUICK = {
    "classification": (Candidate("logistic regression", "penalty", 100), Candidate("random forest", "fewest cases in a leaf", 1)),
    "regression": (Candidate("ridge regression", "penalty", 100),),
}
DECLARED = {"hypothesis": "Hand-made features are better than chance.", "primary_endpoint": "auc", "margin": 0.5}


@pytest.fixture(autouse=True)
def few_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two small models instead of seven, a tenth of the trees: the journey is the same."""
    monkeypatch.setattr(workflow, "candidates", lambda task: QUICK[task])
    monkeypatch.setattr("overread.workflow.baselines.models.TREES", 30)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A phantom of small chest films, drawn and taken in through the program."""
    folder = tmp_path_factory.mktemp("chest")
    phantom, project = folder / "films", folder / "project"
    words = ["--kind", "chest", "--format", "png", "--patients", "20", "--size", "64", "--fault", "marker"]
    assert main(["phantom", str(phantom), *words]) == 0
    given = ["--images", str(phantom / "images"), "--sheet", str(phantom / "labels.csv"), "--group-by", "patient_id"]
    assert main(["init", str(project), *given, "--label", "pneumonia", "--positive", "yes"]) == 0
    return project


def test_the_journey_through_the_program(films: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["baseline", str(films)]) == 0
    said = capsys.readouterr().out
    assert "hand-made features" in said
    assert f"Next: overread evaluate {films} --run baseline" in said
    project = Project.open(films)
    run = project.run("baseline")
    about = json.loads((run.path / "baseline.json").read_text())
    assert about["model"].startswith("sha256:")
    assert {row["model"] for row in about["tried"]} == {"logistic regression", "random forest"}
    for partition in ("tuning", "internal"):
        answers = pd.read_csv(run.predictions / partition / "answers.csv")
        assert list(answers.columns) == ["case_id", *project.question.classes]
        assert set(answers.case_id) == {c.case_id for c in project.cohort().of(partition)}
        assert np.allclose(answers[list(project.question.classes)].sum(axis=1), 1)
        told = json.loads((run.predictions / partition / "answers.json").read_text())
        assert (told["model"], told["partition"], told["origin"]) == (about["model"], partition, "simulated")

    assert main(["evaluate", str(films), "--run", "baseline"]) == 0
    tuning = json.loads(run.evaluation("tuning").read_text())
    assert tuning["model"] == about["model"]
    assert any("hand-made baseline" in n and "chosen on its answers to the tuning cases" in n for n in tuning["notes"])
    assert main(["evaluate", str(films), "--run", "baseline", "--on", "internal", "--yes"]) == 0
    internal = json.loads(run.evaluation("internal").read_text())
    assert internal["opening"]["number"] == 1
    assert {score["metric"] for score in internal["scores"]} >= {"auc", "sensitivity", "specificity"}

    assert main(["baseline", str(films)]) == 2
    assert "Run 'baseline' has answers already." in capsys.readouterr().err


# ---------------------------------------------------------------- tiny projects


def make(folder: Path, task: str = "classification", **options) -> Project:
    """Forty films of twenty patients; a bright patch means disease, and its brightness is the number."""
    from overread.imaging.nifti import write_nifti

    random = np.random.default_rng(0)
    rows = ["name,patient,label,size"]
    for k in range(40):
        ill = (k // 2) % 2
        array = random.normal(100, 10, (4, 24, 24)).astype(np.float32)
        array[1:3, 6:14, 6:14] += 60 * ill + 3 * (k % 5)
        write_nifti(folder / "images" / f"c{k:02d}.nii.gz", array, Grid.from_spacing(array.shape, (3.0, 1.0, 1.0)))
        rows.append(f"c{k:02d},p{k // 2:02d},{'ill' if ill else 'well'},{10 * ill + k % 5}.5")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    label = {"classification": "label", "regression": "size"}[task]
    words = {"positive": "ill"} if task == "classification" else {}
    return init(
        folder / "project", folder / "images", sheet=folder / "labels.csv", group_by="patient", label=(label,), task=task,
        **words, **options,
    )  # fmt: skip


@pytest.fixture
def tiny(tmp_path: Path) -> Project:
    return make(tmp_path)


def answers_of(project: Project, name: str, partition: str, fold: int | None = None) -> str:
    return (project.run(name, fold).predictions / partition / "answers.csv").read_text()


def test_it_finds_an_easy_disease_and_says_who_it_is(tiny: Project) -> None:
    (fitted,) = baseline(tiny)
    result = evaluate(tiny, "baseline", "internal", declare=DECLARED, panels=False)
    (score,) = [s for s in result["scores"] if s["metric"] == "auc"]
    assert score["interval"]["estimate"] > 0.9
    assert result["model"] == fitted.model
    assert fitted.cases["training"] == len(tiny.cohort().of("training"))


def test_sealed_truths_are_not_needed_not_opened_and_change_nothing(tiny: Project) -> None:
    baseline(tiny, "before")
    sealed = tiny.path / "cohort" / "sealed" / "internal.parquet"
    table = pd.read_parquet(sealed)
    table["values"] = table["values"].iloc[::-1].to_numpy()  # every sealed truth is another one now
    table.to_parquet(sealed, index=False)
    baseline(tiny, "turned")
    sealed.unlink()
    baseline(tiny, "without")
    assert tiny.ledger.entries() == [] or all(entry["entry"] != "opening" for entry in tiny.ledger.entries())
    for name in ("turned", "without"):
        for partition in ("tuning", "internal"):
            assert answers_of(tiny, name, partition) == answers_of(tiny, "before", partition)


def test_truths_of_the_training_alone_are_learned_and_of_tuning_chosen_by(tiny: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []

    def watch(cohort, case):
        looked.append(cohort.partition[case.case_id])
        return real(cohort, case)

    real = workflow.load_truth
    monkeypatch.setattr(workflow, "load_truth", watch)
    learned = []

    def watched(candidate, question, table, truth, asked, seed):
        learned.append((len(table), len(truth)))
        return answer(candidate, question, table, truth, asked, seed)

    monkeypatch.setattr(workflow, "answer", watched)
    baseline(tiny)
    assert set(looked) == {"training", "tuning"}
    assert set(learned) == {(looked.count("training"), looked.count("training"))}


def test_regression_has_a_baseline_too(tmp_path: Path) -> None:
    project = make(tmp_path, "regression")
    baseline(project)
    result = evaluate(project, "baseline", panels=False)
    (score,) = [s for s in result["scores"] if s["metric"] == "mae"]
    assert score["interval"]["estimate"] < 4
    assert "conformal_coverage" in {s["metric"] for s in result["scores"]}
    assert any("Intervals around its numbers were fitted" in note for note in result["notes"])


def test_folds_are_each_held_out(tmp_path: Path) -> None:
    project = make(tmp_path, folds=3)
    with pytest.raises(OverreadError, match="This project has 3 folds"):
        baseline(project)
    with pytest.raises(OverreadError, match="There is no fold 7"):
        baseline(project, fold=7)
    fitted = baseline(project, fold="all")
    assert [one.fold for one in fitted] == [0, 1, 2]
    assert len({one.model for one in fitted}) == 3
    result = evaluate(project, "baseline", "internal", declare=DECLARED, panels=False)
    assert result["n_cases"] == 40
    (one,) = baseline(project, "single", fold=1)
    assert answers_of(project, "single", "internal", 1) == answers_of(project, "baseline", "internal", 1)
    assert one.model == fitted[1].model


def test_what_it_cannot_do_is_said(tiny: Project, tmp_path: Path) -> None:
    with pytest.raises(OverreadError, match="no folds"):
        baseline(tiny, fold=1)
    settings = tiny.settings
    asked = settings.question.model_copy(update={"task": "segmentation", "classes": ("liver",), "values": (1,), "positive": None})
    outlines = Project(tiny.path, settings=settings.model_copy(update={"question": asked}))
    with pytest.raises(OverreadError, match="one answer per case; this project asks for outlines") as refusal:
        baseline(outlines)
    assert "network" in refusal.value.next


def test_a_case_that_does_not_open_stops_it(tiny: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(openers, progress, refused):
        refused["case"] = "The file is cut short."
        return {}

    monkeypatch.setattr(workflow, "features_of", refuse)
    with pytest.raises(OverreadError, match=r"1 images cannot be opened, case for example: The file is cut short"):
        baseline(tiny)


# ---------------------------------------------------------------- the small models


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_every_candidate_learns_a_simple_rule(task: str) -> None:
    random = np.random.default_rng(0)
    table = random.normal(size=(120, 6))
    table[::7, 1] = np.nan
    target = (table[:, 0] > 0).astype(float)
    truth = np.stack([1 - target, target], 1) if task == "classification" else table[:, :1] * 10
    classes = ("well", "ill") if task == "classification" else ("size",)
    question = Question(task, classes, positive="ill" if task == "classification" else None)
    for candidate in candidates(task):
        (answered,) = answer(candidate, question, table[:80], truth[:80], [table[80:]], 0)
        assert answered.shape == (40, len(classes))
        assert loss(question, truth[80:], answered) < (0.4 if task == "classification" else 0.8), candidate
        assert np.corrcoef(answered[:, -1], truth[80:, -1])[0, 1] > 0.6, candidate
        if task == "classification":
            assert np.allclose(answered.sum(axis=1), 1)
            assert answered.min() >= 1 - SUREST - 1e-3


def test_findings_with_unknown_truths_and_a_class_alone_are_answered() -> None:
    question = Question("classification", ("a", "b"), exclusive=False)
    random = np.random.default_rng(0)
    table = random.normal(size=(40, 3))
    truth = np.stack([(table[:, 0] > 0).astype(float), np.ones(40)], 1)
    truth[::3, 0] = np.nan
    (answered,) = answer(QUICK["classification"][0], question, table, truth, [table], 0)
    assert answered[:, 1].min() > 0.99
    assert np.corrcoef(answered[:, 0], table[:, 0])[0, 1] > 0.7
    assert np.isfinite(loss(question, truth, answered))


def test_no_torch_is_loaded() -> None:
    code = "import sys, overread.workflow.baseline, overread.cli.baseline; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_one_that_was_interrupted_passes_for_no_other_program_and_can_be_made_again(
    films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project.open(films)

    def interrupted(*given: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(workflow, "_write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            baseline(project, "stopped")
    run = project.run("stopped")
    assert (run.path / "baseline.json").exists(), "it says what it is before there is an answer"
    assert not run.predictions.exists()
    assert baseline(project, "stopped")[0].run.path == run.path
