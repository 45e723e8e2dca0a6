"""`overread flip` on tiny projects: pictures and sizes on the page, sealed cases untouched, refusals in words."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image as Picture

from overread.cli.main import main
from overread.core.errors import OverreadError
from overread.workflow.flip import flip
from overread.workflow.project import Project
from workflow.balls import film_project, volume_project
from workflow.test_robustness import Area, Brightness, Threshold, plant


@pytest.fixture
def films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Films whose ball is large or small, and a model that goes by their mean brightness alone."""
    project = film_project(tmp_path, "ball", positive="large")
    plant(project, monkeypatch, Brightness(), 118, (1, 32, 32))
    return identified(project)


def identified(project: Project) -> Project:
    (project.path / "runs" / "first" / "model" / "model.json").write_text(json.dumps({"sha256": "sha256:planted"}))
    return project


def test_the_journey_through_the_program(films: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project, run = films, films.run("first")
    (project.path / "cohort" / "sealed" / "internal.parquet").rename(project.path / "hidden")  # nothing here may need it
    assert main(["flip", str(project.path), "--limit", "2"]) == 0
    said = capsys.readouterr().out
    assert "noise of that size turns it in" in said
    assert "the internal test stays sealed" in said
    assert f"Next: overread robustness {project.path} --run first" in said
    record = json.loads((run.path / "explanation" / "flips" / "record.json").read_text())
    assert len(record["cases"]) == 2
    tuning = {case.case_id for case in project.cohort().of("tuning")}
    for row in record["cases"]:
        assert row["case_id"] in tuning
        assert row["rule"].startswith("turned: large is called from a probability of")
        largest, mean = row["changes"]
        assert largest["size_sd"] is not None
        assert mean["size_sd"] <= largest["size_sd"]
        assert largest["size"] == pytest.approx(largest["size_sd"] * row["units"]["per_sd"])
        assert largest["after"].split(" (")[0] != row["before"].split(" (")[0]
        assert "grey levels" in largest["words"]
        assert {one["degradation"] for one in row["worsened"]} >= {"noise", "blur", "contrast", "jpeg"}
        assert f"{row['case_id']}-voxels.png" in record["pictures"]
    for name in record["pictures"]:
        is_marked = "DERIVED BY A NETWORK" in Picture.open(run.path / "explanation" / "flips" / name).info.get("Description", "")
        assert is_marked == name.endswith("-voxels.png"), "a degraded image was changed, and not by a network"
    png = (run.path / "explanation" / "flips" / record["pictures"][0]).read_bytes()
    assert Picture.open(io.BytesIO(png)).size[0] == 1100
    page = (run.path / "explanation.html").read_text()
    assert "this is no estimate of a clinical risk" in page
    assert "film0" not in page
    assert str(project.path) not in page


def test_a_case_is_named_and_one_of_another_partition_refused(films: Project) -> None:
    project, cohort = films, films.cohort()
    wanted = cohort.of("tuning")[1].case_id
    result = flip(project, cases=[wanted])
    assert [row["case_id"] for row in result["cases"]] == [wanted]
    again = flip(project, cases=[wanted])
    assert again["cases"] == result["cases"]
    several = [case.case_id for case in cohort.of("tuning")[:2]]
    assert main(["flip", str(project.path), "--case", ", ".join(several), "--limit", "1"]) == 0
    record = json.loads((project.run("first").path / "explanation" / "flips" / "record.json").read_text())
    assert [row["case_id"] for row in record["cases"]] == several[:1]
    with pytest.raises(OverreadError, match="belongs to the internal test, which is sealed"):
        flip(project, cases=[cohort.of("internal")[0].case_id])
    with pytest.raises(OverreadError, match="--limit 0 leaves no case"):
        flip(project, limit=0)


def test_a_number_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = film_project(tmp_path, "radius", task="regression")
    plant(project, monkeypatch, Area(), 175, (1, 32, 32))
    with pytest.raises(OverreadError, match="A measured number has no other side that it could be turned to") as refusal:
        flip(identified(project))
    assert "overread robustness" in refusal.value.next


def test_an_outline_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = volume_project(tmp_path, tuning=0.5, internal=0.2)
    plant(project, monkeypatch, Threshold(), 175, (16, 16, 16), spacing=(2.0, 1.0, 1.0))
    result = flip(identified(project), limit=1)
    (row,) = result["cases"]
    assert "with its own former outline below 0.5" in row["rule"]
    largest, _ = row["changes"]
    assert float(largest["after"].split("Dice ")[1].split()[0]) <= 0.5
    assert 2 < largest["size_sd"] < 6  # the ball is 150 brighter than its surroundings, 75 above the limit, and 1 is 20
    assert "rotation" not in {one["degradation"] for one in row["worsened"]}
