"""`overread chart`: every evaluated run with its score and its cost, and nothing opened."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from overread.cli.main import main
from overread.core.errors import OverreadError
from overread.networks.count import count_parameters
from overread.reading.model import load_network
from overread.workflow import chart as charting
from overread.workflow.baseline import baseline
from overread.workflow.chart import chart, front
from overread.workflow.ensemble import ensemble
from overread.workflow.evaluate import evaluate
from overread.workflow.networks import show_trained
from overread.workflow.project import Project
from workflow.marked_films import marked_project
from workflow.untrained import untrained

RUNS = {"slim": "2", "wide": "4"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two networks that learned nothing, both together, and a baseline, all scored on tuning cases."""
    made = marked_project(tmp_path_factory.mktemp("chart"), patients=20)
    for name, width in RUNS.items():
        untrained(made, name, architecture="resnet10", patch="1,32,32", **{"network.width": width})
    ensemble(made, list(RUNS), "both")
    baseline(made)
    for name in (*RUNS, "both", "baseline"):
        evaluate(made, name, panels=False)
    return made


def test_every_run_has_its_score_and_its_cost(project: Project) -> None:
    ledger = project.ledger.entries()
    result = chart(project, repeats=2)
    rows = {row["run"]: row for row in result["runs"]}
    assert set(rows) == {"slim", "wide", "both", "baseline"}
    for name in ("slim", "wide", "both"):
        score = json.loads(project.run(name).evaluation("tuning").read_text())["scores"]
        auc = next(s for s in score if f"{s['metric']}/{s['subject']}" == result["endpoint"])
        assert rows[name]["estimate"] == auc["interval"]["estimate"]
        assert rows[name]["seconds"] > 0
    for name in RUNS:
        assert rows[name]["parameters"] == count_parameters(load_network(project.run(name).model)[1])
        assert rows[name]["macs"] == show_trained(project.path, name)["macs"]
    assert rows["both"]["kind"] == "ensemble"
    assert rows["both"]["parameters"] == rows["slim"]["parameters"] + rows["wide"]["parameters"]
    assert rows["both"]["macs"] == rows["slim"]["macs"] + rows["wide"]["macs"]
    assert (rows["baseline"]["kind"], rows["baseline"]["seconds"]) == ("baseline", None)
    assert project.ledger.entries() == ledger
    assert json.loads((project.path / "chart.json").read_text())["runs"] == json.loads(json.dumps(result["runs"]))
    page = (project.path / "chart.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 3
    assert "PHANTOM" in page
    assert "overread compare" in page


def test_an_interrupted_chart_leaves_what_was_there(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    chart(project, repeats=1)
    before = {name: (project.path / name).read_bytes() for name in ("chart.json", "chart.html")}

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(charting, "cost_of", stop)
    with pytest.raises(KeyboardInterrupt):
        chart(project, repeats=1)
    assert {name: (project.path / name).read_bytes() for name in before} == before


def test_what_was_never_opened_is_not_opened_for_a_chart(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    entries = project.ledger.entries()
    assert main(["chart", str(project.path), "--on", "internal"]) == 2
    assert "No run of this project was evaluated on internal" in capsys.readouterr().err
    assert project.ledger.entries() == entries
    with pytest.raises(OverreadError, match="one reading or more"):
        chart(project, repeats=0)


def test_the_words_on_the_terminal(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chart", str(project.path), "--repeats", "1"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("PHANTOM")
    assert "ensemble of 2: resnet10" in told
    assert "Intervals that overlap do not show" in told
    assert "Next: overread compare" in told


def test_a_trained_network_is_shown_as_it_is(project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = show_trained(project.path, "both")
    assert shown["trained"]["members"] == 2
    assert shown["input"] == [1, 32, 32]
    out = tmp_path / "slim.html"
    assert main(["networks", "show", str(project.run("slim").model), "--out", str(out)]) == 0
    assert "slim" in out.read_text(encoding="utf-8")
    assert main(["networks", "show", str(project.path), "--size", "32,32"]) == 2
    assert "its image and its options are settled" in capsys.readouterr().err


def test_the_front_holds_what_no_other_beats() -> None:
    rows = [
        {"run": "good", "estimate": 0.9, "seconds": 2.0}, {"run": "cheap", "estimate": 0.8, "seconds": 1.0},
        {"run": "worse", "estimate": 0.8, "seconds": 1.5}, {"run": "twin", "estimate": 0.9, "seconds": 2.0},
        {"run": "free", "estimate": 0.7, "seconds": None}, {"run": "unknown", "estimate": None, "seconds": 0.1},
    ]  # fmt: skip
    assert front(rows, "seconds", "higher") == ["good", "cheap", "twin"]
    assert front(rows, "seconds", "lower") == ["cheap"]
