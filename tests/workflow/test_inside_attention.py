"""Learned weights of channels and places by `overread inside`: record, page, picture, chart, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from overread.cli.main import main
from overread.core.errors import OverreadError
from overread.reporting.charts.attention import channel_chart
from overread.reporting.pictures.inside.attention import scale_of
from overread.workflow.inside import inside_model, inside_project
from overread.workflow.project import Project
from workflow.balls import film_project
from workflow.untrained import untrained


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = film_project(tmp_path_factory.mktemp("films"), "ball", positive="large")
    blocks = "{blocks=['conv 8', 'squeeze_excitation', 'spatial_attention kernel=3', 'max_pool 4', 'conv 8', 'global_average']}"
    untrained(project, "weighs", architecture="composed", network=blocks)
    untrained(project, "plain", architecture="composed", network="{blocks=['conv 4', 'max_pool 4', 'global_average']}")
    return project


def test_the_page_shows_weights_of_channels_and_places(films: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inside", str(films.path), "--run", "weighs", "--part", "attention"]) == 0
    assert "blocks with learned attention: 1 weigh channels, 1 weigh places" in capsys.readouterr().out
    run = films.run("weighs")
    folder = run.path / "explanation" / "inside"
    found = json.loads((folder / "record.json").read_text())["parts"]["attention"]
    channels, places = found["blocks"]
    assert (channels["channels"], len(channels["bars"]), places["grid"]) == (8, 8, [1, 32, 32])
    assert channels["bars"] == sorted(channels["bars"], reverse=True)
    assert channels["highest"] == pytest.approx(channels["bars"][0], abs=1e-4)
    assert channels["between_cases"] < channels["between_channels"]
    assert (folder / found["file"]).read_bytes().startswith(b"\x89PNG")
    page = (run.path / "explanation.html").read_text()
    for words in ("How much each channel counts", "every block that weighs places", "squeeze and excitation", "SD of cases"):
        assert words in page


def test_a_network_without_such_blocks_says_so(films: Project) -> None:
    with pytest.raises(OverreadError, match="no block of Overread's own that weighs channels or places"):
        inside_project(films, "plain", parts=["attention"])


def test_weights_are_of_a_study(films: Project, tmp_path: Path) -> None:
    file = next(films.run("weighs").path.glob("*.overread"))
    with pytest.raises(OverreadError, match="are of a study, and none was given"):
        inside_model(file, None, tmp_path / "out", parts=["attention"])


def test_places_that_hardly_differ_are_drawn_alike() -> None:
    assert scale_of([np.array([0.0, 0.64]), np.array([0.5, 1.0])]) == (0.0, 1.0)
    assert scale_of([np.array([0.31, 0.58])]) == pytest.approx((0.3, 0.6))
    assert scale_of([np.array([0.49, 0.51])]) == pytest.approx((0.4, 0.6))
    assert scale_of([np.array([0.99, 1.0])]) == pytest.approx((0.8, 1.0))
    assert scale_of([np.array([0.0, 0.001])]) == pytest.approx((0.0, 0.2))


def test_a_chart_has_a_bar_per_channel_and_says_the_range() -> None:
    row = {"name": "gate.squeeze", "bars": [0.9, 0.5, 0.1], "channels": 3, "highest": 0.9, "lowest": 0.1}
    drawn = channel_chart([row, {**row, "name": "another"}])
    assert drawn.count('class="bar"') == 6
    assert "3 channels, 0.90 to 0.10" in drawn
