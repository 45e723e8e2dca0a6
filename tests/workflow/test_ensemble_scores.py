"""Members beside their ensemble: their own scores on the tuning cases, and what it adds, paired."""

from __future__ import annotations

from typing import Any

import pytest

from overread.cli.main import main
from overread.core.errors import OverreadError
from overread.record.files import read_json
from overread.workflow.compare import compare
from overread.workflow.ensembles.beside import refuse_over_folds_scores
from overread.workflow.project import Project
from workflow.balls import film_project
from workflow.untrained import untrained


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = film_project(tmp_path_factory.mktemp("members"), "ball", positive="large")
    for seed, name in enumerate("ab"):
        untrained(made, name, seed=seed, architecture="resnet10", **{"network.width": "4"})
    return made


def test_members_stand_beside_their_ensemble(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ensemble", str(project.path), "--runs", "a,b", "--weights", "3,1", "--score"]) == 0
    told = capsys.readouterr().out
    record: dict[str, Any] = read_json(project.run("ensemble").path / "ensemble.json")
    assert [member["share"] for member in record["members"]] == [0.75, 0.25]
    beside = record["beside"]
    assert [row["run"] for row in beside["members"]] == ["a", "b"]
    assert f"ensemble {beside['ensemble']:.3f}" in told
    for row in beside["members"]:
        assert row["gain"]["estimate"] == pytest.approx(beside["ensemble"] - row["value"])
        assert f"ensemble less {row['run']}" in told
    (same,) = compare([project.path], runs=["a", "ensemble"])["comparisons"]
    assert same["difference"]["estimate"] == pytest.approx(beside["members"][0]["gain"]["estimate"])
    assert [e["entry"] for e in project.ledger.entries()] == ["sealed"]


def test_one_model_over_folds_has_no_cases_to_score() -> None:
    with pytest.raises(OverreadError, match="needs tuning cases that no member learned from"):
        refuse_over_folds_scores("folds")
