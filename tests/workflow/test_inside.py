"""`overread inside` on tiny projects: parts, page, errors; the weights of a real training are made again exactly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image as Picture

from overread.cli.main import main
from overread.core.errors import OverreadError
from overread.networks.weights import weights_digest
from overread.reading.model import build_network, load_network
from overread.record.events import read_events
from overread.workflow.inside import chosen_parts, inside_model, inside_project
from overread.workflow.project import Project
from overread.workflow.train import train
from workflow.balls import film_project, volume_project

SMALL = {"training.architecture": "resnet10", "training.precision": "float32"}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = film_project(tmp_path_factory.mktemp("films"), "ball", positive="large")
    train(project, epochs=1, overrides=SMALL)
    return project


def test_all_parts_of_a_classifier_are_made_and_shown(films: Project) -> None:
    result = inside_project(films)
    assert list(result["parts"]) == ["layers", "kernels", "maps", "field", "excite", "weights"]
    assert [one["part"] for one in result["refused"]] == ["attention"]  # this network weighs neither channels nor places
    run = films.run("first")
    folder = run.path / "explanation" / "inside"
    record = json.loads((folder / "record.json").read_text())
    assert record["model"] == load_network(run.model)[0].sha256
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in record["pictures"])
    made = [name for name in record["pictures"] if "SYNTHETIC" in Picture.open(folder / name).info.get("Description", "")]
    assert made == [name for name in record["pictures"] if name.startswith("excited")]
    assert made
    page = Path(result["page"]).read_text()
    for words in ("Inside the network", "optimised pictures, no patients", "internal test stays sealed", "Receptive fields"):
        assert words in page
    assert "P001" not in page
    assert str(films.path) not in page


def test_the_first_weights_of_a_training_are_those_that_it_recorded(films: Project) -> None:
    """The training's own record against a network made by hand from the plan's seed."""
    run = films.run("first")
    started = next(event for event in read_events(run.events_path) if event["event"] == "started")
    card, trained = load_network(run.model)
    torch.manual_seed(card.training["seed"])
    assert weights_digest(build_network(card.network)) == started["initial"]
    assert weights_digest(trained) != started["initial"]
    rows = inside_project(films, parts=["weights"])["parts"]["weights"]["rows"]
    assert all(row["change"] > 0 for row in rows)


def test_weights_of_a_training_that_recorded_none_are_refused(films: Project) -> None:
    run = films.run("first")
    lines = run.events_path.read_text()
    try:
        without = [{k: v for k, v in json.loads(line).items() if k != "initial"} for line in lines.splitlines()]
        run.events_path.write_text("\n".join(json.dumps(line) for line in without) + "\n")
        with pytest.raises(OverreadError, match="were not recorded by this training"):
            inside_project(films, parts=["weights"])
        run.events_path.write_text(lines.replace('"initial": "sha256:', '"initial": "sha256:0'))
        with pytest.raises(OverreadError, match="cannot be made again exactly"):
            inside_project(films, parts=["weights"])
    finally:
        run.events_path.write_text(lines)


def test_a_model_file_alone_is_looked_into(films: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = next(films.run("first").path.glob("*.overread"))
    assert main(["inside", str(file), "--out", str(tmp_path / "out"), "--part", "layers,kernels,field"]) == 0
    said = capsys.readouterr().out
    assert "parameters" in said
    assert (tmp_path / "out" / "inside.html").exists()
    film = next((films.path.parent / "cohort" / "images").glob("*.png"))
    result = inside_model(file, film, tmp_path / "two", parts=["maps"], layer="stages.1")
    assert result["layers"] == ["stages.1"]
    assert "Studies are named as their files are" in Path(result["page"]).read_text()
    several = inside_model(file, film.parent, tmp_path / "more", parts=["maps"], layer="stages.1")
    assert any("studies here; shown is the first" in note for note in several["notes"])
    with pytest.raises(OverreadError, match="Maps are of a study, and none was given"):
        inside_model(file, None, tmp_path / "three", parts=["maps"])
    with pytest.raises(OverreadError, match="does not hold what its training began with"):
        inside_model(file, None, tmp_path / "four", parts=["weights"])


def test_a_volume_and_its_planes(tmp_path: Path) -> None:
    project = volume_project(tmp_path)
    small = {"training.precision": "float32", "training.patch": "[16, 16, 16]"}
    train(project, epochs=1, overrides=small)
    result = inside_project(project, parts=["layers", "kernels", "maps", "field"])
    fields = result["parts"]["field"]["layers"]
    assert all(one["is_mm"] for one in fields)
    assert all(one["radius"] > 0 for one in fields)
    assert fields[-1]["theoretical"]["size"][0] is not None


def test_bad_input_is_refused_in_words(films: Project, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OverreadError, match="There is no part 'kernel'") as refusal:
        chosen_parts(["kernel"])
    assert "kernels" in refusal.value.next
    with pytest.raises(OverreadError, match=r"no layer 'stages\.9'") as refusal:
        inside_project(films, layer="stages.9")
    assert "stages.1" in refusal.value.next
    with pytest.raises(OverreadError, match="C-9999"):
        inside_project(films, case="C-9999", parts=["layers"])
    file = next(films.run("first").path.glob("*.overread"))
    assert main(["inside", str(file)]) == 2
    assert "Where shall the page go?" in capsys.readouterr().err
    assert main(["inside", str(films.path), "x.png"]) == 2
    assert "is a project" in capsys.readouterr().err
    assert main(["inside", str(films.path) + "x"]) == 2
    assert "There is no project and no model at" in capsys.readouterr().err
    assert main(["inside", str(file), "--case", "C-0001", "--out", "x"]) == 2
    assert "--case goes with a project" in capsys.readouterr().err
