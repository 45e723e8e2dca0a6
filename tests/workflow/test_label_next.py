"""`overread label-next`: proposals that name no one in the log, twins and known images left out, and labelling in rounds."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from overread.cli.main import main
from overread.core.errors import OverreadError, Stopped
from overread.record.events import read_events
from overread.record.files import read_json
from overread.workflow import train as training
from overread.workflow.init import init
from overread.workflow.label_next import label_next
from overread.workflow.labelling import simulation as labelling
from overread.workflow.labelling.pool import Pool
from overread.workflow.labelling.simulation import FILE, is_shown, labels_saved, simulate
from overread.workflow.project import Project
from workflow.balls import films

TINY = {"training.batch": "4", "training.architecture": "resnet10", "training.precision": "float32"}


def project_of(folder: Path) -> tuple[Project, Path]:
    made = films(folder / "cohort", count=72, edge=24)
    given = {"sheet": made / "sheet.csv", "group_by": "patient", "label": ["ball"], "positive": "large"}
    return init(folder / "project", made / "images", **given, tuning=0.25, internal=0.25), made


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Path, Path]:
    """A trained project, its films, and a folder of new ones, with a twin and a film of the project among them."""
    folder = tmp_path_factory.mktemp("labels")
    project, made = project_of(folder)
    training.train(project, epochs=1, overrides={**TINY, "reading.refusal": "off"})
    new = films(folder / "new", count=12, edge=28) / "images"
    first = sorted(new.iterdir())[0]
    shutil.copy(first, new / f"twin{first.suffix}")
    old = sorted((made / "images").iterdir())[0]
    shutil.copy(old, new / f"known{old.suffix}")
    return project, new, made


def test_proposals_are_ranked_and_what_is_known_is_left_out(trained):
    project, new, _ = trained
    found = label_next(project, [new], count=5)
    assert [row["study"] for row in found["proposals"]] == list(dict.fromkeys(row["study"] for row in found["proposals"]))
    assert len(found["proposals"]) == 5
    assert found["pool"] == 12
    assert set(found["reasons"].values()) == {
        "it is a case of this project already",
        "another study of the pool has the same pixels",
    }
    place = Path(found["list"])
    assert place.parent.name == "private"
    assert place.stat().st_mode & 0o077 == 0
    rows = list(csv.DictReader(place.open()))
    assert [row["study"] for row in rows] == [row["study"] for row in found["proposals"]]


def test_the_log_counts_and_names_nobody(trained):
    project, new, _ = trained
    label_next(project, [new], count=3, by="uncertainty")
    log = project.path / "cohort" / "label-next.jsonl"
    last = list(read_events(log))[-1]
    assert (last["pool"], last["left_out"], len(last["proposed"])) == (12, 2, 3)
    assert "film" not in log.read_text().lower().replace("uncertainty", "")
    again = label_next(project, [new], count=1)
    assert again["proposed_before"] >= 3
    assert again["labelled_since"] == 0


def test_uncertainty_alone_is_in_order(trained):
    project, new, _ = trained
    values = [row["uncertainty"] for row in label_next(project, [new], count=12, by="uncertainty")["proposals"]]
    assert values == sorted(values, reverse=True)


def test_a_folder_of_known_images_has_nothing_to_propose(trained):
    project, _, made = trained
    with pytest.raises(OverreadError, match="None of 72 studies can be proposed"):
        label_next(project, [made / "images"])


def test_labelling_in_rounds_goes_on_where_it_was_stopped(tmp_path, monkeypatch, capsys):
    project, _ = project_of(tmp_path)
    asked = ["label-next", str(project.path), "--simulate", "--count", "4", "--rounds", "1", "--repeats", "1", "--epochs", "1"]
    asked += [word for key, value in TINY.items() for word in ("--set", f"{key}={value}")]
    done, one = [], training._train_one

    def only_two(*words):
        if len(done) == 2:
            raise Stopped("Stopped.", "go on")
        done.append(words)
        return one(*words)

    monkeypatch.setattr(training, "_train_one", only_two)
    assert main(asked) != 0
    assert "--simulate" in capsys.readouterr().err
    monkeypatch.setattr(training, "_train_one", one)
    assert main(asked) == 0
    said = capsys.readouterr().out
    found = read_json(project.path / FILE)
    assert [point["cases"]["chance"] for point in found["points"]] == [
        found["points"][0]["cases"]["chance"] + 4 * k for k in (0, 1)
    ]
    assert found["points"][0]["gain"] is None
    assert found["points"][1]["gain"]["n_patients"] == 9
    assert "by chance" in said
    assert project.runs() == (), "its trainings are parts, no runs"
    chosen = [read_json(project.run(f"labelling/1-{way}-1").subdivision)["training"] for way in ("proposed", "chance")]
    start = set(read_json(project.run("labelling/1-start").subdivision)["training"])
    assert all(start < set(cases) and len(cases) == len(start) + 4 for cases in chosen)


def test_rounds_that_would_label_everything_are_refused(tmp_path):
    project, _ = project_of(tmp_path)
    with pytest.raises(OverreadError, match="both ways would have labelled the same"):
        simulate(project, 40, "both", epochs=1, overrides=TINY)


def points(chance, proposed, cases=(10, 20, 30)):
    return [
        {"cases": {"chance": n, "proposed": n}, "scores": {"chance": [c], "proposed": [p]}}
        for n, c, p in zip(cases, chance, proposed, strict=True)
    ]


@pytest.mark.parametrize(
    ("chance", "proposed", "better", "saved"),
    [
        ([0.5, 0.6, 0.7], [0.5, 0.7, 0.8], "higher", 10.0),
        ([0.5, 0.6, 0.7], [0.5, 0.6, 0.8], "higher", 5.0),
        ([0.5, 0.7, 0.8], [0.5, 0.6, 0.7], "higher", -10.0),
        ([0.8, 0.8, 0.8], [0.8, 0.8, 0.8], "higher", 0.0),
        ([4.0, 3.0, 2.0], [4.0, 2.0, 1.0], "lower", 10.0),
        ([0.5, 0.6, None], [0.5, 0.6, 0.7], "higher", None),
    ],
)
def test_labels_saved_are_read_off_both_curves_at_one_score(chance, proposed, better, saved):
    assert labels_saved(points(chance, proposed), better) == (None if saved is None else pytest.approx(saved))


def test_where_both_ways_are_alike_labels_are_lost_as_often_as_saved():
    random = np.random.default_rng(2)
    found = [
        labels_saved(points(*(np.cumsum([0.6, 0.05, 0.02]) + 0.02 * random.normal(size=(2, 3)))), "higher") for _ in range(400)
    ]
    assert abs(np.mean([value > 0 for value in found]) - np.mean([value < 0 for value in found])) < 0.12
    assert abs(np.mean(found)) < 1.5


@pytest.mark.parametrize(("low", "high", "better", "shown"), [(0.01, 0.1, "higher", True), (-0.01, 0.1, "higher", False)])
def test_a_saving_is_shown_where_the_interval_lies_beyond_nothing(low, high, better, shown):
    assert is_shown([{"gain": None}, {"gain": {"low": low, "high": high}}], better) == shown
    assert is_shown([{"gain": {"low": -high, "high": -low}}], "lower") == shown


def test_the_pool_does_not_know_the_labels(tmp_path, monkeypatch):
    """Both ways see the same cases, chosen without their truths."""
    project, _ = project_of(tmp_path)
    seen = []
    monkeypatch.setattr(labelling, "MOST_LOOKED_AT", 8)
    monkeypatch.setattr(labelling, "model_of", lambda *_: SimpleNamespace(predictor=None))
    monkeypatch.setattr(labelling, "run_of", lambda *_: None)
    monkeypatch.setattr(labelling, "features_of_cases", lambda *_: np.zeros((0, 1)))

    def look(predictor, cohort, cases, matching, progress):
        seen.append([case.case_id for case in cases])
        return Pool(tuple(seen[-1]), np.zeros(len(cases)), np.zeros((len(cases), 1)))

    monkeypatch.setattr(labelling, "look_at_cases", look)
    cohort = project.cohort()
    bare = replace(cohort, cases=tuple(replace(case, truth=None) for case in cohort.cases))
    for one in (cohort, bare):
        simulation = labelling.Simulation(project, one, "labelling", None, None, {"count": 3}, None, print)
        simulation.chosen("1-start", frozenset(), "both", 1)
        by_chance = simulation.chosen("1-start", frozenset(), "chance", 1)
        assert by_chance <= set(seen[-1])
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ([], "Name the studies"),
        (["new", "--rounds", "3"], "belongs to --simulate"),
        (["new", "--simulate"], "takes training cases"),
    ],
)
def test_words_that_do_not_go_together(trained, capsys, words, what):
    assert main(["label-next", str(trained[0].path), *words]) != 0
    assert what in capsys.readouterr().err
