"""`overread ensemble` on tiny projects: a run like any other, folds, one model over folds, a gate, and what is refused."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from overread.cli.main import main
from overread.cohort.identity import read_links
from overread.cohort.load import load_image
from overread.core.errors import OverreadError, Refused
from overread.core.kinds import Boxes, Instances
from overread.core.question import Question
from overread.metrics.calibration import calibrated
from overread.reading.ensemble import Ensemble
from overread.reading.model import load_model
from overread.record.files import read_json, write_json
from overread.workflow import ensemble as joining
from overread.workflow.ensemble import ensemble
from overread.workflow.ensembles import gate as gating
from overread.workflow.ensembles import over_folds
from overread.workflow.ensembles.members import choose
from overread.workflow.evaluate import evaluate
from overread.workflow.external import external
from overread.workflow.init import init
from overread.workflow.learning import freeze
from overread.workflow.plan import next_name, plan, with_overrides
from overread.workflow.project import Project
from overread.workflow.readings.external import read_external
from overread.workflow.report import report
from overread.workflow.robustness import robustness
from overread.workflow.train import train
from workflow import balls, lesions
from workflow.untrained import untrained

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
SMALL = {"architecture": "resnet10"}
WINDOW = {"patch": "16,16,16"}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Classified films with runs a, b and c."""
    project = balls.film_project(tmp_path_factory.mktemp("films"), "ball", positive="large")
    for seed, name in enumerate("abc"):
        untrained(project, name, seed=seed, **SMALL)
    return project


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Outlined balls in three folds, with runs a and b of all of them."""
    project = balls.volume_project(tmp_path_factory.mktemp("scans"), folds=3, tuning=0.34)
    for seed, name in enumerate("ab"):
        for fold in project.folds:
            untrained(project, name, fold, seed=10 * seed + fold, **WINDOW)
    return project


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Detected dots and bars, with run a."""
    project = lesions.film_project(tmp_path_factory.mktemp("drawn"), "detection")
    untrained(project, "a")
    return project


@pytest.fixture
def own(films: Project, tmp_path: Path) -> Project:
    """A copy of the films, to be spoilt."""
    shutil.copytree(films.path.parent, tmp_path / "all")
    return Project.open(tmp_path / "all" / "project")


def rows(path: Path) -> dict[str, dict[str, str]]:
    with open(path, encoding="utf-8") as file:
        return {row["case_id"]: row for row in csv.DictReader(file)}


def said(refused: pytest.ExceptionInfo[OverreadError]) -> str:
    return f"{refused.value.what} {refused.value.next}"


# ---------------------------------------------------------------- a run like any other


def test_an_ensemble_through_the_program(own: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = (own.path / "cohort" / "ledger.jsonl").read_bytes()
    assert main(["ensemble", str(own.path), "--runs", "a,b,c", "--weights", "1,1,2"]) == 0
    told = capsys.readouterr().out
    assert "Run 'ensemble' is an ensemble of 3 models." in told
    assert f"Next: overread evaluate {own.path} --run ensemble" in told
    assert (own.path / "cohort" / "ledger.jsonl").read_bytes() == ledger
    run = own.run("ensemble")
    for partition in ("tuning", "internal"):
        answers = {name: rows(own.run(name).predictions / partition / "answers.csv") for name in (*"abc", "ensemble")}
        assert set(answers["ensemble"]) == {case.case_id for case in own.cohort().of(partition)}
        for case_id, row in answers["ensemble"].items():
            wanted = np.average([float(answers[n][case_id]["large"]) for n in "abc"], weights=[1, 1, 2])
            assert float(row["large"]) == pytest.approx(wanted, abs=1e-6)
    record = read_json(run.path / "ensemble.json")
    assert [(m["run"], m["share"]) for m in record["members"]] == [("a", 0.25), ("b", 0.25), ("c", 0.5)]
    assert [m["model"] for m in record["members"]] == [read_json(own.run(n).model / "model.json")["sha256"] for n in "abc"]

    opened = ["--on", "internal", "--yes", "--hypothesis", "it works", "--primary-endpoint", "auc", "--margin", "0.4"]
    for words in (["evaluate"], ["evaluate", "--run", "ensemble", *opened], ["evaluate", "--run", "a"]):
        assert main([words[0], str(own.path), *words[1:]]) == 0
    assert read_json(run.evaluation("internal"))["model"] == record["model"]
    assert len([e for e in own.ledger.entries() if e["entry"] == "opening"]) == 1
    assert main(["compare", str(own.path), "--runs", "a,ensemble", "--on", "tuning"]) == 0
    report(own, "ensemble")
    assert "an ensemble of 3 networks (resnet10)" in (run.path / "methods.txt").read_text()
    page = run.report.read_text()
    assert "overread ensemble project --runs a,b,c --name ensemble --weights 1,1,2" in page
    assert "resnet10, 0 steps in 0 minutes, seed 2, share 0.5" in page

    file = run.path / "project-ensemble.overread"
    case = own.cohort().of("tuning")[0]
    names = {link.case_id: link.original_name for link in read_links(own.path)}
    assert main(["read", str(file), str(own.images_folder / names[case.case_id]), "--out", str(tmp_path / "out")]) == 0
    with open(tmp_path / "out" / "answers.csv", encoding="utf-8") as table:
        (read,) = csv.DictReader(table)
    image = load_image(own.cohort(), case)
    readers = [load_model(own.run(name).model).predictor for name in "abc"]
    mean = np.average([reader.raw_of(reader.prepare(image)) for reader in readers], axis=0, weights=[1, 1, 2])
    card = load_model(file).card
    shown = calibrated(mean[None], card.question, card.decisions)[0]
    assert float(read["probability of large"]) == pytest.approx(shown[card.question.classes.index("large")], abs=1e-5)
    assert robustness(own, "ensemble", only=["noise"])["model"] == record["model"]


def test_no_training_goes_into_an_ensemble(own: Project) -> None:
    ensemble(own, ["a", "b"], "both")
    assert next_name(own) != "both"
    with pytest.raises(OverreadError, match="'both' is an ensemble, no training"):
        train(own, name="both", epochs=1)
    with pytest.raises(OverreadError, match="'both' is an ensemble, no training"):
        plan(own, "both")
    with pytest.raises(OverreadError, match="Run 'both' is an ensemble itself") as refused:
        ensemble(own, ["both", "c"])
    assert "name its members in its place" in said(refused)


def test_numbers_are_averaged(tmp_path: Path) -> None:
    project = balls.film_project(tmp_path, "radius", task="regression")
    for seed, name in enumerate("ab"):
        untrained(project, name, seed=seed, **SMALL)
    ensemble(project, ["a", "b"])
    answers = {name: rows(project.run(name).predictions / "internal" / "answers.csv") for name in ("a", "b", "ensemble")}
    for case_id, row in answers["ensemble"].items():
        wanted = np.mean([float(answers[name][case_id]["radius"]) for name in "ab"])
        assert float(row["radius"]) == pytest.approx(wanted, abs=1e-4)
    assert evaluate(project, panels=False)["n_cases"] == len(project.cohort().of("tuning"))


def test_instances_of_two_networks_are_fused(tmp_path: Path) -> None:
    """Members of two routes: one says the way to centres, one segments first."""
    project = lesions.volume_project(tmp_path, "instances")
    untrained(project, "a", patch="16,24,24")
    untrained(project, "b", seed=1, patch="16,24,24", architecture="unet")
    (made,) = ensemble(project, ["a", "b"])
    assert load_model(made.file).card.network["name"] == "an ensemble of 2 networks (centre_offset_unet, unet)"
    image = load_image(project.cohort(), project.cohort().of("tuning")[0])
    reader = load_model(made.file).predictor
    found = reader.candidates(reader.prepare(image))
    assert isinstance(found, Instances)
    assert all(piece.voxels > 0 for piece in found.pieces)
    assert found.grid.shape == image.grid.shape
    evaluate(project, panels=False)


def test_another_process_may_be_quicker(own: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = joining.freeze_model

    def slow(*given: Any) -> Any:
        done = kept(*given)
        (own.path / "runs" / "both" / "model").mkdir(parents=True)
        return done

    monkeypatch.setattr(joining, "freeze_model", slow)
    with pytest.raises(OverreadError, match="There is a run 'both' already"):
        ensemble(own, ["a", "b"], "both")
    assert not list((own.path / "runs").glob(".both*"))


def test_names_are_numbered_where_none_is_given(own: Project) -> None:
    names = [ensemble(own, ["a", "b"])[0].name for _ in range(2)]
    assert names == ["ensemble", "ensemble-2"]


# ---------------------------------------------------------------- what is refused


def refused_with(project: Project, **options: Any) -> str:
    before = sorted(p.name for p in (project.path / "runs").iterdir())
    with pytest.raises(OverreadError) as refused:
        ensemble(project, **options)
    assert sorted(p.name for p in (project.path / "runs").iterdir()) == before
    return said(refused)


def test_what_does_not_go_together_is_refused_by_name(own: Project) -> None:
    assert "at least two runs; 1 is named" in refused_with(own, runs=["a"])
    assert "at least two runs; none are named" in refused_with(own, runs=[])
    assert "Run 'a' is named twice" in refused_with(own, runs=["a", "b", "a"])
    assert "There is no run 'nobody' in this project (runs: " in refused_with(own, runs=["a", "nobody"])
    assert "There is a run 'c' already" in refused_with(own, runs=["a", "b"], name="c")
    assert "'../c' cannot be the name of a run" in refused_with(own, runs=["a", "b"], name="../c")
    assert "2 weights for 3 runs" in refused_with(own, runs=["a", "b", "c"], weights=[1, 2])
    assert "A weight of 0: weights are numbers above 0" in refused_with(own, runs=["a", "b"], weights=[1, 0])
    assert "has partitions, no folds" in refused_with(own, runs=["a", "b"], fold=0)
    assert "has partitions, no folds" in refused_with(own, runs=["a"], over="folds")
    assert "A gate stands before detection and instances" in refused_with(own, runs=["a", "b"], gate=str(own.path))
    shutil.copytree(own.run("a").path, own.path / "runs" / "twin")
    assert "Runs 'a' and 'twin' hold the same model" in refused_with(own, runs=["a", "twin"])
    (own.path / "runs" / "hand").mkdir()
    (own.path / "runs" / "hand" / "baseline.json").write_text("{}")
    assert "Run 'hand' is a baseline of hand-made features" in refused_with(own, runs=["a", "hand"])
    (own.path / "runs" / "bare").mkdir()
    assert "Run 'bare' has no model" in refused_with(own, runs=["a", "bare"])


def test_weights_that_are_no_numbers_are_refused(films: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ensemble", str(films.path), "--runs", "a,b", "--weights", "1,x"]) == 2
    assert "--weights '1,x': expected numbers with commas between" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"state": "in training"}, "The model of run 'b' is a snapshot of unfinished training"),
        ({"training": {"cohort": "sha256:0"}}, "Run 'b' learned from another version of the cohort"),
        ({"question": {"classes": ["large", "tiny"]}}, "Run 'b' answers another question than the project asks now"),
        ({"preparation": {"channels": ["T1"]}}, "Runs 'a' and 'b' read images of different kinds"),
    ],
)
def test_a_model_of_another_kind_is_refused(own: Project, change: dict[str, Any], message: str) -> None:
    path = own.run("b").model / "model.json"
    card = read_json(path)
    for key, value in change.items():
        card[key] = {**card[key], **value} if isinstance(value, dict) else value
    write_json(path, card)
    assert message in refused_with(own, runs=["a", "b"])


def test_one_training_of_a_selection_is_refused(own: Project) -> None:
    (own.run("b").subdivision).write_text("{}")
    assert "Run 'b' is one training of a learning curve or a selection" in refused_with(own, runs=["a", "b"])


def test_ctrl_c_leaves_nothing(own: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*given: object, **options: object) -> None:
        raise KeyboardInterrupt

    before = sorted(p.name for p in (own.path / "runs").iterdir())
    monkeypatch.setattr(freeze, "write_answers", stop)  # the model is written by then
    with pytest.raises(KeyboardInterrupt):
        ensemble(own, ["a", "b"])
    assert sorted(p.name for p in (own.path / "runs").iterdir()) == before


# ---------------------------------------------------------------- folds


def test_each_fold_has_its_ensemble_and_all_are_pooled(scans: Project) -> None:
    made = ensemble(scans, ["a", "b"], "pooled", fold="all")
    assert [one.fold for one in made] == list(scans.folds)
    for one in made:
        assert one.members == (f"a, fold {one.fold}", f"b, fold {one.fold}")
        assert one.file.exists()
        tested = {path.name.partition(".")[0] for path in (one.run.predictions / "internal").glob("*.nii.gz")}
        assert tested == {case.case_id for case in scans.cohort(one.fold).of("internal")}
    result = evaluate(scans, "pooled", "tuning", panels=False)
    assert len(result["folds"]) == 3
    opened = evaluate(scans, "pooled", "internal", declare={"hypothesis": "h", "primary_endpoint": "dice", "margin": 0.1})
    assert opened["n_cases"] == 14
    assert "There is a run 'pooled' already" in refused_with(scans, runs=["a", "b"], name="pooled", fold=0)


def test_folds_may_be_added_one_by_one(scans: Project) -> None:
    for fold in (0, 2):
        ensemble(scans, ["a", "b"], "some", fold=fold)
    assert sorted(p.name for p in (scans.path / "runs" / "some").iterdir()) == ["fold-0", "fold-2"]
    assert "There is a run 'some' already" in refused_with(scans, runs=["a", "b"], name="some", fold=2)
    assert "There is a run 'a' already" in refused_with(scans, runs=["a", "b"], name="a", fold=2)


def test_which_fold_has_to_be_said(scans: Project) -> None:
    asked = refused_with(scans, runs=["a", "b"])
    assert "This project has 3 folds" in asked
    assert "--over folds for one model of the folds of one run" in asked
    assert "There is no fold 7" in refused_with(scans, runs=["a", "b"], fold=7)
    assert "--over folds takes the models of one run; 2 are named" in refused_with(scans, runs=["a", "b"], over="folds")
    assert "leave --fold and --weights out" in refused_with(scans, runs=["a"], over="folds", fold=1)
    assert "cannot be made over 'seeds'" in refused_with(scans, runs=["a"], over="seeds")


def test_one_model_over_all_folds_reads_new_patients_only(scans: Project, tmp_path: Path) -> None:
    (made,) = ensemble(scans, ["a"], "final", over="folds")
    assert made.members == ("a, fold 0", "a, fold 1", "a, fold 2")
    assert any("it has no internal test of its own" in note for note in made.notes)
    assert not made.run.predictions.exists()
    assert not list(made.run.path.glob(".prob*"))
    model = load_model(made.file)
    assert len(model.card.members) == 3
    assert model.card.training["cases"]["training"] == 14
    for on in ("tuning", "internal"):
        with pytest.raises(OverreadError, match=r"Run 'final' is one model over all folds(?s:.*)evaluate the folds"):
            evaluate(scans, "final", on)
    with pytest.raises(OverreadError, match="Run 'final' is one model over all folds"):
        robustness(scans, "final")
    there = balls.volumes(tmp_path / "there", count=6)
    external(scans, "there", there / "images", there / "masks", leak_override="toys are all alike")
    done = read_external(scans, "there", "final")
    assert done.read == 6
    declared = {"hypothesis": "h", "primary_endpoint": "dice", "margin": 0.1}
    result = evaluate(scans, "final", "external:there", declare=declared, panels=False)
    assert result["n_cases"] == 6
    assert "external" not in result
    assert any("it has no internal test of its own" in note for note in result["notes"])
    report(scans, "final")
    assert "--runs a --name final --over folds" in made.run.report.read_text()


def test_decisions_over_folds_rest_on_members_that_had_not_learned_from_the_case(
    scans: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, set[str]] = {}
    kept = over_folds.read_cases

    def watched(reader: Any, cohort: Any, cases: Any, progress: Any, text: str, **options: Any) -> Any:
        asked[text.rpartition(" ")[2]] = {case.case_id for case in cases}
        return kept(reader, cohort, cases, progress, text, **options)

    monkeypatch.setattr(over_folds, "read_cases", watched)
    ensemble(scans, ["b"], "once", over="folds")
    tuning = {str(fold): {case.case_id for case in scans.cohort(fold).of("tuning")} for fold in scans.folds}
    assert all(asked[fold] <= tuning[fold] for fold in asked)
    assert set().union(*asked.values()) == set().union(*tuning.values())
    assert sum(len(cases) for cases in asked.values()) == len(set().union(*tuning.values()))


# ---------------------------------------------------------------- a gate


def classified(folder: Path, images: Path, *, splits: Path | None = None, patients: str = "P", **changes: Any) -> Project:
    """A project that asks of these films whether there is anything: every fourth is clean."""
    names = sorted(path.stem for path in images.iterdir())
    rows = [
        {"film": n, "patient": f"{patients}{int(n[4:]):03d}", "seen": "no" if k % 4 == 0 else "yes"} for k, n in enumerate(names)
    ]
    balls.write_sheet(folder / "seen.csv", rows)
    options: dict[str, Any] = {"label": ["seen"], "positive": "yes", "group_by": "patient", "tuning": 0.25, "internal": 0.25}
    options |= {"splits": splits} if splits is not None else {}
    project = init(folder / "gate", images, sheet=folder / "seen.csv", **(options | changes))
    untrained(project, "sees", **SMALL)
    return project


def other_films(folder: Path) -> Path:
    """Films of other people, other pixels."""
    made = lesions.films(folder / "others", count=20)
    for k, path in enumerate(sorted((made / "images").iterdir())):
        pixels = np.asarray(Image.open(path)).astype(int)
        Image.fromarray(np.clip(pixels + 5 + k % 3, 0, 255).astype(np.uint8)).save(path)
    return made / "images"


def test_a_gate_silences_cases_and_travels_in_the_file(drawn: Project, tmp_path: Path) -> None:
    gate = classified(tmp_path, other_films(tmp_path), patients="Q")
    (made,) = ensemble(drawn, ["a"], "gated", gate=f"{gate.path}:sees")
    record = read_json(made.run.path / "ensemble.json")["gate"]
    assert (record["project"], record["run"], record["finding"]) == ("gate", "sees", "yes")
    assert record["learned_from_tuning"] == 0
    classifier = load_model(gate.run("sees").model)
    threshold = classifier.card.decisions.threshold("yes")
    assert record["threshold"] == threshold
    model = load_model(made.file)
    assert model.card.network["name"] == "centre_detector behind a gate"
    reader, cohort = model.predictor, drawn.cohort()
    alone = load_model(drawn.run("a").model).predictor
    assert isinstance(reader, Ensemble)
    assert reader.gate is not None
    called = []
    for case in cohort.of("tuning"):
        image = load_image(cohort, case)
        raw = classifier.predictor.raw_of(classifier.predictor.prepare(image))
        called.append(bool(calibrated(raw[None], classifier.card.question, classifier.card.decisions)[0, 1] >= threshold))
        answer, before = reader.candidates(reader.prepare(image)), alone.candidates(alone.prepare(image))
        assert isinstance(answer, Boxes)
        assert isinstance(before, Boxes)
        np.testing.assert_array_equal(answer.scores, before.scores if called[-1] else [])
    written = json.loads((made.run.predictions / "tuning" / "objects.json").read_text())["cases"]
    assert [bool(written[case.case_id]) for case in cohort.of("tuning")] == called
    evaluate(drawn, "gated", panels=False)


def test_a_gate_that_learned_from_test_cases_is_refused(drawn: Project, tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    shutil.copytree(drawn.images_folder, copies)
    gate = classified(tmp_path, copies, patients="Q", internal=0.1, tuning=0.3)  # other names, the same pixels
    with pytest.raises(Refused, match=r"cases of the internal test, C-\d+ for example, are in the gate's project 'gate' too"):
        ensemble(drawn, ["a"], "leaky", gate=f"{gate.path}:sees")
    assert not (drawn.path / "runs" / "leaky").exists()


def test_patients_of_the_test_are_known_to_the_gate_by_name(drawn: Project, tmp_path: Path) -> None:
    gate = classified(tmp_path, other_films(tmp_path), patients="p-")  # p-001 is P001
    with pytest.raises(Refused, match="as the same images or patients, and the gate learned from them"):
        ensemble(drawn, ["a"], "leaky", gate=str(gate.path))


def test_a_gate_with_the_same_test_is_taken_and_what_it_learned_from_is_said(drawn: Project, tmp_path: Path) -> None:
    partition = drawn.cohort().partition
    named = {link.original_name: partition[link.case_id] for link in read_links(drawn.path)}
    rows = [
        {"film": name, "split": {"training": "train", "tuning": "tuning", "internal": "test"}[p]} for name, p in named.items()
    ]
    balls.write_sheet(tmp_path / "splits.csv", rows)
    gate = classified(tmp_path, drawn.images_folder, splits=tmp_path / "splits.csv")
    (made,) = ensemble(drawn, ["a"], "shared", gate=str(gate.path))
    tuned = len(drawn.cohort().of("tuning"))
    assert any(f"The gate learned from {tuned} of the tuning cases" in note for note in made.notes)
    result = evaluate(drawn, "shared", panels=False)
    assert any("The gate learned from" in note for note in result["notes"])


def test_a_gate_of_another_kind_is_refused(drawn: Project, films: Project, scans: Project, tmp_path: Path) -> None:
    gate = classified(tmp_path, other_films(tmp_path), patients="Q")
    assert "has no model in run 'nobody' (runs: sees)" in refused_with(drawn, runs=["a"], gate=f"{gate.path}:nobody")
    assert "answers detection of dot, bar" in refused_with(drawn, runs=["a"], gate=f"{drawn.path}:a")
    assert "made by `overread ensemble PROJECT --over folds`" in refused_with(drawn, runs=["a"], gate=f"{scans.path}:a")
    path = gate.run("sees").model / "model.json"
    settings = with_overrides(gate.settings, {"question.aggregation": "max"})
    untrained(Project(gate.path, settings=settings), "together", **SMALL)
    together = refused_with(drawn, runs=["a"], gate=f"{gate.path}:together")
    assert "holds for all images of one exam together, and a gate sees one image" in together
    card = load_model(gate.run("sees").model).card
    (member,) = choose(drawn, ["a"], None, [1.0])
    for change, message in (
        ({"state": "in training"}, "The gate, run 'sees', is a snapshot of unfinished training"),
        (
            {"preparation": replace(card.preparation, is_planar=False, units="HU")},
            "The gate reads volumes in HU with the channels",
        ),
        ({"question": replace(card.question, exclusive=False)}, "answers classification of no, yes"),
    ):
        with pytest.raises(OverreadError, match=message):
            gating._check(replace(card, **change), gate.run("sees"), member)
    gating._check(replace(card, question=Question("classification", ("nodule",), exclusive=False)), gate.run("sees"), member)
    write_json(path, read_json(path) | {"state": "in training"})
    assert "model.json does not match its digest" in refused_with(drawn, runs=["a"], gate=f"{gate.path}:sees")
