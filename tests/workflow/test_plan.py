"""Before training: the name of the next run, and an aim that the tuning patients cannot show."""

from pathlib import Path

import pytest

from overread.core.case import Case, TruthReference
from overread.core.question import Question
from overread.record.files import write_text
from overread.workflow.cohorts.aim import aim_note
from overread.workflow.learning.plan_file import read_plan
from overread.workflow.plan import next_name, plan
from overread.workflow.project import Project
from workflow.balls import film_project

TWO = Question("classification", ("normal", "disease"), positive="disease")
FINDINGS = Question("classification", ("effusion", "nodule"), exclusive=False)


def holding(project: Project, run: str, file: str) -> None:
    write_text(project.path / "runs" / run / file, "")


def test_the_next_run_is_never_a_baseline(tmp_path: Path) -> None:
    project = film_project(tmp_path, "ball", positive="large")
    assert next_name(project) == "first"
    holding(project, "baseline", "baseline.json")
    assert next_name(project) == "first"
    holding(project, "first", "plan.toml")
    assert next_name(project) == "first"
    holding(project, "first", "checkpoint.safetensors")
    assert next_name(project) == "run-2"
    holding(project, "run-2", "fold-0/baseline.json")
    assert next_name(project) == "run-3"


def tuning(question: Question, *held: tuple[float | None, ...]) -> list[Case]:
    """Two cases of each patient."""
    return [
        Case(f"c{k}-{e}", f"p{k}", f"e{k}-{e}", (), TruthReference(dict(zip(question.classes, values, strict=True))))
        for k, values in enumerate(held)
        for e in range(2)
    ]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("youden", ""),
        ("0.4", ""),
        ("sensitivity >= 0.5", ""),  # takes 5
        ("sensitivity >= 0.6", "'sensitivity >= 0.6' takes 6 positive tuning patients to be shown, disease has 5"),
        ("specificity >= 0.9", "takes 29 negative tuning patients to be shown, disease has 20"),
        ("sensitivity >= 1", "no number of positive patients can show 'sensitivity >= 1'"),
    ],
)
def test_an_aim_that_tuning_patients_cannot_show_is_said(rule: str, said: str) -> None:
    note = aim_note(TWO, tuning(TWO, *[(0.0, 1.0)] * 5, *[(1.0, 0.0)] * 20), rule)
    assert note.startswith(said) or said in note
    assert bool(note) == bool(said)


def test_the_finding_with_the_fewest_patients_is_named() -> None:
    cases = tuning(FINDINGS, *[(1.0, None)] * 10, *[(0.0, 1.0)] * 4)
    assert "nodule has 4" in aim_note(FINDINGS, cases, "sensitivity >= 0.5")
    grades = Question("classification", ("a", "b", "c"))
    assert aim_note(grades, tuning(grades, (1.0, 0.0, 0.0)), "sensitivity >= 0.9") == ""


def test_the_plan_says_so_before_hours_are_spent(tmp_path: Path) -> None:
    project = film_project(tmp_path, "ball", positive="large")
    overrides = {"evaluation.threshold_rule": "'sensitivity >= 0.99'", "training.precision": "float32"}
    made = plan(project, overrides=overrides, preflight=False)
    assert "takes 299 positive tuning patients" in made.plan.reasons["threshold_rule"]
    assert read_plan(made.run.plan).reasons["threshold_rule"] == made.plan.reasons["threshold_rule"]
