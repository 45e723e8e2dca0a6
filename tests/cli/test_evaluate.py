"""overread evaluate: what is asked before the seal is opened, and how scores are told."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from overread.cli import evaluate as verb
from overread.cli.main import main
from overread.cli.scores import describe
from overread.evaluation.result import Result
from overread.workflow.settings import EvaluationSection


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def score(name: str, role: str, **interval: Any) -> dict[str, Any]:
    values = {"estimate": 0.9, "low": 0.8, "high": 0.95, "method": "bootstrap", "n_cases": 9, "n_patients": 6, **interval}
    return {"metric": name, "name": name, "subject": "liver", "unit": "", "role": role, "interval": values}


def result(**changes: Any) -> Result:
    values = {
        "task": "segmentation",
        "partition": "tuning",
        "n_cases": 9,
        "n_patients": 6,
        "is_phantom": False,
        "opening": None,
        "scores": [score("Dice", "tuning")],
        "operating_points": [],
        "notes": [],
    }
    return Result({**values, **changes})


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch):
    """A project without declared endpoints; gives the list of calls to the scoring function."""
    calls: list[tuple[Any, ...]] = []

    def score_run(*words: Any, **named: Any) -> Result:
        calls.append(words[1:])
        return result()

    project = SimpleNamespace(
        settings=SimpleNamespace(evaluation=EvaluationSection()), ledger=SimpleNamespace(entries=lambda: [])
    )
    monkeypatch.setattr(verb, "score_run", score_run)
    monkeypatch.setattr(verb, "Project", SimpleNamespace(open=lambda path: project))
    return calls


def test_tuning_is_the_default_and_nothing_is_asked(scored: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "liver"]) == 0
    assert scored == [(None, "tuning", None, None)]
    assert capsys.readouterr().out.endswith("Next: overread report liver\n")


def test_the_terminal_is_asked_for_what_is_not_declared(
    scored: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("The liver is found.\ndice/liver\n0.9\ny\n"))
    assert main(["evaluate", "liver", "--on", "internal", "--declare", "hd95/liver"]) == 0
    declared = scored[0][3]
    assert declared == {
        "hypothesis": "The liver is found.",
        "primary_endpoint": "dice/liver",
        "margin": 0.9,
        "threshold_rule": "youden",
        "declared": ("hd95/liver",),
    }
    assert "Openings so far: 0. Each one is written into the ledger" in capsys.readouterr().err


def test_saying_no_opens_nothing(scored: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    words = ["--hypothesis", "h", "--primary-endpoint", "dice/liver", "--margin", "0.9"]
    assert main(["evaluate", "liver", "--on", "internal", *words]) == 130
    assert scored == []


def test_a_margin_that_is_no_number_is_refused(
    scored: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("much\n"))
    assert main(["evaluate", "liver", "--on", "internal", "--hypothesis", "h", "--primary-endpoint", "dice/liver"]) == 2
    assert "The margin 'much' is not a number." in capsys.readouterr().err
    assert scored == []


def test_a_pipe_cannot_open_the_seal_without_yes(
    scored: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert main(["evaluate", "my liver", "--on", "internal"]) == 2
    told = capsys.readouterr().err
    assert "The internal test stays sealed: nobody is at the terminal to be asked." in told
    assert "overread evaluate 'my liver' --on internal --yes" in told
    assert scored == []


def test_the_command_it_gives_opens_the_same_test_for_the_same_run(
    scored: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    declared = ["--hypothesis", "it is good", "--margin", "0.8", "--declare", "auc", "--declare", "f1"]
    assert main(["evaluate", "liver", "--on", "internal", "--run", "first", "--fold", "2", *declared]) == 2
    told = capsys.readouterr().err
    given = "--hypothesis 'it is good' --margin 0.8 --declare auc --declare f1"
    assert f"overread evaluate liver --on internal --run first --fold 2 {given} --yes" in told


def test_yes_passes_what_was_said_and_asks_nothing(scored: list[Any]) -> None:
    assert main(["evaluate", "liver", "--on", "internal", "--yes", "--margin", "0.8"]) == 0
    assert scored[0][3]["margin"] == 0.8


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Give the project's folder DIR, or --truth with --answers and --task."),
        (["liver", "--truth", "."], "Give DIR, or --truth with --answers and --task, not both."),
        (["--truth", ".", "--answers", ".", "--task", "segmentation", "--class", "liver=one"], "expected NAME=VALUE"),
        (["liver", "--sampling", "enriched"], "--sampling means nothing to a run of a project"),
        (
            ["--truth", ".", "--answers", ".", "--task", "segmentation", "--threshold", "0.4"],
            "--threshold means nothing to a se",
        ),
        (["--truth", ".", "--answers", ".", "--task", "survival", "--class", "a"], "--class means nothing to survival"),
        (["--truth", ".", "--answers", ".", "--task", "classification", "--edge", "2"], "--edge means nothing to a class"),
        (["--truth", ".", "--answers", ".", "--task", "classification", "--prevalence", "few"], "a share is no number"),
    ],
)
def test_words_that_do_not_fit(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", *words]) == 2
    assert message in capsys.readouterr().err


def test_classes_are_columns_or_structures_with_values() -> None:
    assert verb._classes(()) is None
    assert verb._classes(("malignant",)) == ("malignant",)
    assert verb._classes(("liver=1", "a=b=2")) == {"liver": 1, "a=b": 2}


def test_anybodys_answers_from_two_sheets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(f"c{k}", "malignant" if k % 2 else "benign", (k * 7 % 10) / 10) for k in range(20)]
    (tmp_path / "truth.csv").write_text("case_id,label\n" + "".join(f"{i},{label}\n" for i, label, _ in rows))
    (tmp_path / "answers.csv").write_text("case_id,malignant\n" + "".join(f"{i},{p}\n" for i, _, p in rows))
    words = ["--truth", str(tmp_path / "truth.csv"), "--answers", str(tmp_path / "answers.csv"), "--positive", "malignant"]
    assert main(["evaluate", "--task", "classification", *words]) == 0
    told = capsys.readouterr().out
    assert told.startswith("Classification on the given answers: 20 cases of 20 patients.")
    assert "Area under the ROC curve" in told


def test_the_sampling_and_the_prevalence_of_anybodys_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(f"c{k}", "malignant" if k % 3 else "benign", (k * 7 % 10) / 10) for k in range(40)]
    (tmp_path / "truth.csv").write_text("case_id,label\n" + "".join(f"{i},{label}\n" for i, label, _ in rows))
    (tmp_path / "answers.csv").write_text("case_id,malignant\n" + "".join(f"{i},{p}\n" for i, _, p in rows))
    words = ["--truth", str(tmp_path / "truth.csv"), "--answers", str(tmp_path / "answers.csv"), "--positive", "malignant"]
    assert main(["evaluate", "--task", "classification", *words, "--sampling", "enriched", "--prevalence", "0.02"]) == 0
    told = capsys.readouterr().out
    assert "the sample is enriched" in told
    assert "2 %" in told or "0.02" in told
    assert verb._prevalence(("a=0.1", "b=0.2")) == {"a": 0.1, "b": 0.2}
    assert verb._prevalence(()) is None


def test_survival_from_two_sheets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(f"c{k}", 100 - k, k % 4 > 0, k + (k % 5)) for k in range(30)]
    (tmp_path / "truth.csv").write_text("id,time,event\n" + "".join(f"{i},{t},{int(e)}\n" for i, t, e, _ in rows))
    (tmp_path / "answers.csv").write_text("id,risk\n" + "".join(f"{i},{r}\n" for i, _, _, r in rows))
    words = ["--truth", str(tmp_path / "truth.csv"), "--answers", str(tmp_path / "answers.csv"), "--task", "survival"]
    assert main(["evaluate", *words, "--edge", "15"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("30 patients, of whom 22 had the event.\nConcordance index: ")
    assert "risk above 15" in told


def test_scores_are_told_by_role_with_their_methods_in_a_legend() -> None:
    scores = [
        score("HD95", "exploratory", estimate=None, low=None, high=None, reason="no lesion"),
        score("ASSD", "exploratory", estimate=None, low=None, high=None, reason="no lesion"),
        score("Surface Dice", "exploratory", low=None, high=None, reason="too few patients"),
        score("Dice", "primary"),
    ]
    opening = {
        "number": 2,
        "hash": "sha256:" + "a" * 64,
        "hypothesis": "h",
        "primary_endpoint": "dice/liver",
        "endpoint_met": False,
    }
    point = {
        "class_name": "x",
        "threshold": 0.4,
        "rule": "youden",
        "fitted_on": "tuning",
        "sensitivity": 0.9,
        "specificity": None,
    }
    told = describe(result(scores=scores, opening=opening, operating_points=[point], is_phantom=True, notes=["Mind."]))
    assert told.splitlines()[:5] == [
        "Segmentation on tuning cases: 9 cases of 6 patients.",
        "PHANTOM: these numbers are about software, not about patients.",
        "Opening number 2 of this test; in the ledger as sha256:aaaaaaaaaaaa...",
        "Hypothesis: h",
        "Primary endpoint: dice/liver, not met.",
    ]
    assert told.index("Primary endpoint:\n") < told.index("Exploratory")
    assert "  Dice  liver  0.900 (95% 0.800 to 0.950), 9 / 6 (a)" in told
    assert "0.900 (no interval: too few patients), 9 / 6" in told
    assert "not defined (liver, no lesion): HD95, ASSD" in told
    assert "(a) bootstrap" in told
    assert "Operating point for x: 0.400, by the rule youden, fitted on tuning (sensitivity 0.900 there)" in told
    assert told.endswith("Note: Mind.")


def test_a_legend_of_many_methods_goes_on_with_two_letters() -> None:
    told = describe(result(scores=[score(f"Score {k}", "primary", method=f"method {k}") for k in range(54)]))
    assert "(z) method 25\n(aa) method 26\n" in told
    assert "(bb) method 53" in told


def test_of_the_scores_of_voxels_the_terminal_shows_three_and_what_was_declared() -> None:
    names = ["voxel_ece", "voxel_slope", "voxel_brier", "voxel_ece_whole"]
    told = describe(result(scores=[score(name, "tuning") for name in names]))
    assert "voxel_slope" in told
    assert "voxel_brier" not in told
    assert "voxel_ece_whole" not in told
    assert "voxel_brier" in describe(result(scores=[score("voxel_brier", "declared")]))
