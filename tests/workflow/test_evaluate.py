"""`evaluate` on tiny projects: tuning cases by default, the internal test only through the seal, folds pooled."""

import importlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from overread.cli.scores import describe
from overread.cohort.check import record_files, write_files
from overread.cohort.identity import write_key
from overread.cohort.index import Indexed, versions_path, write_index, write_splits
from overread.cohort.load import load_truth
from overread.cohort.seal import seal
from overread.core.case import Case, ImageReference, TruthReference
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.question import Decisions, OperatingPoint
from overread.imaging.nifti import write_nifti
from overread.record.files import write_json, write_text
from overread.record.ledger import Ledger
from overread.workflow.evaluate import evaluate
from overread.workflow.learning import panels
from overread.workflow.project import Project

workflow = importlib.import_module("overread.workflow.evaluate")  # the module, whose name the function bears too

GRID = Grid.from_spacing((4, 12, 12), (3.0, 1.0, 1.0))
CASES = 24
DECLARED = {"hypothesis": "It is better than chance.", "primary_endpoint": "auc", "margin": 0.5}
TOML = """
[project]
name = "tiny"
[images]
folder = "../images"
[truth]
path = "../masks"
[question]
{question}
[split]
scheme = "{scheme}"
[evaluation]
resamples = 100
{evaluation}
"""
QUESTIONS = {
    "classification": 'task = "classification"\nclasses = ["normal", "disease"]\npositive = "disease"',
    "segmentation": 'task = "segmentation"\nclasses = ["liver"]\nvalues = [1]',
}


def is_ill(k: int) -> bool:
    return k % 3 == 0


def mask(k: int) -> np.ndarray:
    array = np.zeros(GRID.shape, np.uint8)
    array[1:3, 2 : 6 + k % 4, 3:8] = 1
    return array


def make_project(
    folder: Path, task: str, *, scheme: str = "partitions", evaluation: str = "", origin: str = "acquired", question: str = ""
) -> Project:
    """A project of two cases per patient: 8 training, 8 tuning, 8 internal, or three folds of 8."""
    rows, truths, place = [], {}, {}
    for k in range(CASES):
        name = f"case-{k:03d}"
        write_nifti(folder / "images" / f"{k}.nii.gz", np.random.default_rng(k).normal(size=GRID.shape).astype(np.float32), GRID)
        write_nifti(folder / "masks" / f"{k}.nii.gz", mask(k), GRID)
        image = ImageReference("image", "nifti", (f"{k}.nii.gz",))
        rows.append(Indexed(Case(name, f"patient-{k // 2:03d}", f"exam-{k:03d}", (image,), origin=origin), f"sha256:{k}", GRID))
        values = {"normal": float(not is_ill(k)), "disease": float(is_ill(k))}
        files = (f"{k}.nii.gz",) if task == "segmentation" else ()
        truths[name] = TruthReference(values, files, "nifti" if files else "value")
        place[name] = ("training", "tuning", "internal")[k // 8] if scheme == "partitions" else f"fold-{k // 8}"
    project = folder / "project"
    write_index(project, rows)
    write_key(project, b"a key of this test")
    seal(project, truths, place, {"parts": {}})
    if scheme == "partitions":
        write_splits(project, {"format": 1, "scheme": scheme, "partition": place})
    else:
        folds = {name: int(p[-1]) for name, p in place.items()}
        tuning = {str(f): [n for n, g in folds.items() if g == (f + 1) % 3] for f in range(3)}
        write_splits(project, {"format": 1, "scheme": scheme, "fold": folds, "tuning": tuning})
    files = [("images", f"{k}.nii.gz") for k in range(CASES)] + [("truth", f"{k}.nii.gz") for k in range(CASES)]
    write_files(project, record_files(files, {"images": folder / "images", "truth": folder / "masks"}))
    write_text(versions_path(project), json.dumps({"digest": "sha256:cohort"}) + "\n")
    text = TOML.format(question=question or QUESTIONS[task], scheme=scheme, evaluation=evaluation)
    write_text(project / "project.toml", text)
    Ledger(project / "cohort" / "ledger.jsonl").append("sealed", cohort="sha256:cohort")
    opened = Project.open(project)
    opened.ledger.append("sealed", cohort="sha256:cohort", scheme=scheme, cases=CASES)
    return opened


def write_answers(project: Project, partition: str, *, fold: int | None = None, model: str | None = "sha256:model") -> Path:
    """Answers that are right but for a few, without looking at any truth file."""
    run = project.run("first", fold)
    folder = run.predictions / partition
    cases = project.cohort(fold).of(partition)
    if project.question.task == "segmentation":
        for case in cases:
            write_nifti(folder / f"{case.case_id}.nii.gz", np.roll(mask(int(case.case_id[-3:])), 1, 1), GRID)
    else:
        random = np.random.default_rng(len(cases) + (fold or 0))
        lines = ["case_id,normal,disease"]
        for case in cases:
            p = float(np.clip(0.3 + 0.3 * is_ill(int(case.case_id[-3:])) + random.normal(0, 0.2), 0.01, 0.99))
            lines.append(f"{case.case_id},{1 - p!r},{p!r}")
        write_text(folder / "answers.csv", "\n".join(lines) + "\n")
    if model is not None:
        decisions = Decisions((OperatingPoint("disease", 0.5, "youden"),), 1.2) if project.question.positive else Decisions()
        card = {"format": 1, "state": "frozen", "sha256": model, "decisions": decisions.as_dict()}
        write_json(run.model / "model.json", card)
        write_json(folder / "answers.json", {"format": 1, "model": model, "partition": partition})
    return folder


def openings(project: Project) -> list[dict]:
    return [e for e in project.ledger.entries() if e["entry"] == "opening"]


@pytest.fixture
def classes(tmp_path):
    project = make_project(tmp_path, "classification")
    for partition in ("tuning", "internal"):
        write_answers(project, partition)
    return project


@pytest.fixture
def masks(tmp_path):
    project = make_project(tmp_path, "segmentation")
    for partition in ("tuning", "internal"):
        write_answers(project, partition)
    return project


def test_tuning_is_the_default_and_opens_nothing(classes) -> None:
    (classes.path / "cohort" / "sealed" / "internal.parquet").unlink()
    result = evaluate(classes, "first")
    run = classes.run("first")
    assert json.loads(run.evaluation("tuning").read_text())["partition"] == "tuning"
    assert (result["n_cases"], result["n_patients"], result["model"]) == (8, 4, "sha256:model")
    assert result["opening"] is None
    assert openings(classes) == []
    assert not run.evaluation("internal").exists()
    drawn = json.loads((run.path / "panels-tuning" / "panels.json").read_text())["panels"]
    assert [p["why"] for p in drawn] == ["worst"] * 3 + ["median"] * 3 + ["random"] * 2
    assert all((run.path / "panels-tuning" / p["file"]).read_bytes().startswith(b"\x89PNG") for p in drawn)
    assert len({p["case_id"] for p in drawn}) == 8


def test_the_internal_test_goes_through_the_ledger(classes) -> None:
    said = []
    result = evaluate(classes, "first", "internal", declare=DECLARED, tell=said.append, panels=False)
    (entry,) = openings(classes)
    assert (entry["model"], entry["run"], entry["margin"]) == ("sha256:model", "first", 0.5)
    assert result["opening"]["hash"] == entry["hash"]
    assert result["opening"]["number"] == 1
    assert result["opening"]["endpoint_met"] in (True, False)
    assert "opened once" in said[0]
    again = evaluate(classes, "first", "internal", declare=DECLARED, panels=False)
    assert again["opening"]["number"] == 2
    assert any("opened 2 times" in note for note in again["notes"])


def test_what_is_missing_is_asked_for_before_the_seal_is_touched(classes) -> None:
    with pytest.raises(OverreadError, match="stays sealed: hypothesis and primary endpoint not declared"):
        evaluate(classes, "first", "internal")
    with pytest.raises(OverreadError, match=r"frozen by the rule 'youden'; declared is 'sensitivity >= 0.9'"):
        evaluate(classes, "first", "internal", declare={**DECLARED, "threshold_rule": "sensitivity >= 0.9"})
    with pytest.raises(OverreadError, match=r"frozen by the rule 'youden'; declared is '0.9'"):
        evaluate(classes, "first", "internal", declare={**DECLARED, "threshold_rule": "0.9"})
    with pytest.raises(OverreadError, match="names no metric"):
        evaluate(classes, "first", "internal", declare={**DECLARED, "primary_endpoint": "dice"})
    (classes.run("first").predictions / "internal" / "answers.csv").write_text("case_id,normal,disease\n")
    with pytest.raises(OverreadError, match="8 of 8 internal cases have no answer"):
        evaluate(classes, "first", "internal", declare=DECLARED)
    assert openings(classes) == []


def test_a_failure_after_the_opening_leaves_the_line_in_the_ledger(classes, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(workflow, "put_together", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        evaluate(classes, "first", "internal", declare=DECLARED)
    assert len(openings(classes)) == 1
    assert not classes.run("first").evaluation("internal").exists()


def test_no_test_truth_is_readable_before(classes) -> None:
    cohort = classes.cohort()
    assert all(case.truth is None for case in cohort.of("internal"))
    with pytest.raises(OverreadError, match="under the seal"):
        load_truth(cohort, cohort.of("internal")[0])


def test_a_phantom_may_open_its_seal_and_says_so(tmp_path) -> None:
    project = make_project(tmp_path, "classification", origin="simulated")
    write_answers(project, "internal")
    said = []
    threshold = {"auc_any_metastasis": 0.71, "below_hu": 88, "exams": 24}
    write_json(project.images_folder / "phantom.json", {"plain_threshold": {"metastasis": threshold}})
    result = evaluate(project, on="internal", tell=said.append, panels=False)
    assert result["is_phantom"]
    assert "AUC of any metastasis 0.710: volume below 88 HU" in describe(result), "what needs no network stands beside"
    assert any("a phantom's own" in line for line in said)
    assert openings(project)[0]["by_default"] is True
    assert describe(result).splitlines()[1].startswith("PHANTOM")


def test_masks_with_panels(masks, monkeypatch) -> None:
    monkeypatch.setattr(panels, "EACH", 1)
    result = evaluate(masks, "first")
    assert 0.5 < result["dice"]["liver"].estimate < 1
    assert result["hd95"]["liver"].estimate == pytest.approx(1.0)
    row = result["cases"][0]
    assert row["truth"]["liver"] == pytest.approx(row["answer"]["liver"]) == mask(8).sum() * 0.003
    assert (masks.run("first").path / "panels-tuning" / "worst-1.png").exists()


def test_a_mask_on_another_grid_is_refused(masks) -> None:
    folder = masks.run("first").predictions / "tuning"
    other = Grid.from_spacing((4, 12, 12), (3.0, 1.0, 1.5))
    write_nifti(folder / "case-008.nii.gz", mask(8), other)
    with pytest.raises(OverreadError, match="the answer to case-008"):
        evaluate(masks, "first")


def test_answers_of_another_program_get_an_operating_point_from_tuning_cases(tmp_path) -> None:
    project = make_project(tmp_path, "classification", evaluation='threshold_rule = "sensitivity >= 0.3"')
    for partition in ("tuning", "internal"):
        write_answers(project, partition, model=None)
    declare = {**DECLARED, "threshold_rule": "sensitivity >= 0.3"}
    result = evaluate(project, "first", "internal", declare=declare, panels=False)
    assert result["operating_points"][0]["rule"] == "sensitivity >= 0.3"
    with pytest.raises(OverreadError, match=r"declared is '0.3'"):  # a part of the rule's text is not the rule
        evaluate(project, "first", "internal", declare={**declare, "threshold_rule": "0.3"}, panels=False)
    assert result["model"].startswith("sha256:")
    assert any("another program" in note for note in result["notes"])


def test_a_rule_that_the_tuning_cases_cannot_support_is_named(tmp_path) -> None:
    project = make_project(tmp_path, "classification", evaluation='threshold_rule = "sensitivity >= 0.6"')
    for partition in ("tuning", "internal"):
        write_answers(project, partition, model=None)
    declare = {**DECLARED, "threshold_rule": "sensitivity >= 0.6"}
    result = evaluate(project, "first", "internal", declare=declare, panels=False)
    point = result["operating_points"][0]
    assert "'sensitivity >= 0.6' is not supported by" in point["rule"]
    assert (point["is_supported"], point["needed"]) == (False, 6)


def test_a_label_error_is_assumed_and_its_table_kept(classes) -> None:
    result = evaluate(classes, "first", panels=False)
    assert next((row["missed"], row["false"]) for row in result["label_error"]) == (0.0, 0.0)
    stored = json.loads(classes.run("first").evaluation("tuning").read_text())
    assert stored["label_error"] == result["label_error"]


def test_answers_of_another_model_or_an_unfinished_one_are_refused(classes) -> None:
    run = classes.run("first")
    card = json.loads((run.model / "model.json").read_text())
    write_json(run.model / "model.json", {**card, "sha256": "sha256:other"})
    with pytest.raises(OverreadError, match="come from the model sha256:model"):
        evaluate(classes, "first")
    write_json(run.model / "model.json", {**card, "state": "in training"})
    with pytest.raises(OverreadError, match="snapshot of unfinished training"):
        evaluate(classes, "first")
    with pytest.raises(OverreadError, match="no partition 'validation'"):
        evaluate(classes, "first", "validation")


def test_cases_are_put_together_by_patient_where_that_is_the_unit(tmp_path) -> None:
    question = QUESTIONS["classification"] + '\nunit = "patient"\naggregation = "any"'
    project = make_project(tmp_path, "classification", question=question)
    write_answers(project, "tuning")
    result = evaluate(project, "first", panels=False)
    assert (result["n_cases"], result["n_patients"]) == (4, 4)


def test_folds_are_pooled_each_with_its_own_seal(tmp_path) -> None:
    project = make_project(tmp_path, "classification", scheme="folds")
    for fold in range(3):
        write_answers(project, "internal", fold=fold, model=f"sha256:model{fold}")
        write_answers(project, "tuning", fold=fold, model=f"sha256:model{fold}")
    result = evaluate(project, "first", "internal", declare=DECLARED, panels=False)
    assert (result["n_cases"], result["n_patients"]) == (CASES, CASES // 2)
    assert [e["partition"] for e in openings(project)] == ["fold-0", "fold-1", "fold-2"]
    assert [row["model"] for row in result["folds"]] == ["sha256:model0", "sha256:model1", "sha256:model2"]
    areas = [next(s for s in f["scores"] if s["metric"] == "auc")["interval"]["estimate"] for f in result["folds"]]
    assert result["auc"]["disease"].estimate == pytest.approx(np.mean(areas))
    assert (project.path / "runs" / "first" / "evaluation-internal.json").exists()
    one = evaluate(project, "first", "internal", fold=1, declare=DECLARED, panels=False)
    assert (one["n_cases"], one["opening"]["number"]) == (8, 2)
    assert (project.path / "runs" / "first" / "fold-1" / "evaluation-internal.json").exists()
    assert "folds" not in one
    tuning = evaluate(project, "first", panels=False)
    assert any("tuning case of several folds" in note for note in tuning["notes"])


def test_folds_of_masks(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(panels, "EACH", 1)
    project = make_project(tmp_path, "segmentation", scheme="folds")
    for fold in range(3):
        write_answers(project, "internal", fold=fold)
    declare = {**DECLARED, "primary_endpoint": "dice/liver"}
    result = evaluate(project, "first", "internal", declare=declare)
    assert result["dice"]["liver"].n_cases == CASES
    assert len(result["folds"]) == 3
    assert (project.path / "runs" / "first" / "panels-internal" / "worst-1.png").exists()


def test_nothing_of_the_originals_reaches_the_evaluation(classes, monkeypatch) -> None:
    monkeypatch.setattr(panels, "EACH", 1)
    evaluate(classes, "first")
    run = classes.run("first")
    text = run.evaluation("tuning").read_text() + (run.path / "panels-tuning" / "panels.json").read_text()
    assert str(classes.path.parent) not in text
    assert ".nii" not in text


def test_two_evaluations_of_the_same_answers_are_the_same(classes) -> None:
    first, second = (dict(evaluate(classes, "first", panels=False), created="") for _ in range(2))
    assert first == second


def test_many_processes_give_what_one_gives(masks, in_processes) -> None:
    with in_processes() as asked:
        several = evaluate(masks, "first", panels=False)
    assert "scoring masks" in asked
    assert replace(several["dice"]["liver"]) == evaluate(masks, "first", panels=False)["dice"]["liver"]
    assert several["cases"] == evaluate(masks, "first", panels=False)["cases"]
