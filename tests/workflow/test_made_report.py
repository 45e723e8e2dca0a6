"""The report of a run that makes images: no scores on cases, but what fidelity says, grids, terms of the loss and alarms."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from overread.cli.main import main
from overread.core.score import Interval
from overread.record.events import EventLog
from overread.record.files import write_bytes, write_json
from overread.reporting.charts.terms import term_charts
from overread.workflow.generation.made_record import made_of
from overread.workflow.init import init
from overread.workflow.project import Project
from overread.workflow.report import report

SHA = "sha256:" + "ab" * 32
COLLAPSE = "step 30: the images that are made are nearly alike (collapse)"
SENTENCE = "No sign that training images are repeated: 0 of 24 made images are copies."


def interval(value: float) -> dict[str, Any]:
    return Interval(value, value - 0.1, value + 0.1, "jackknife by patient", 24, 12).as_dict()


def fidelity(model: str = SHA) -> dict[str, Any]:
    """What `overread fidelity` leaves, as far as it is shown."""
    kid = {"metric": "kid", "name": "Kernel distance of features", "better": "lower", "interval": interval(0.417)}
    near = {"metric": "nearest", "name": "Distance to the nearest training image", "interval": interval(8.0)}
    return {
        "format": 1,
        "run": "first",
        "model": model,
        "made_by": "wasserstein_gan",
        "is_phantom": False,
        "seed": 0,
        "fidelity": {"network": "an encoder", "n_made": 24, "n_real": 18, "n_real_patients": 9, "scores": [kid]}
        | {"floor": {"kid": -0.002}, "notes": ["Features come from an encoder."]},
        "memory": {"sentence": SENTENCE, "fires": False, "rule": "How copies are found.", "scores": [near]},
    }


def png(grey: int) -> bytes:
    text = io.BytesIO()
    PIL.Image.new("L", (8, 8), grey).save(text, "PNG")
    return text.getvalue()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project that makes films, with a run of two rivals that learned and collapsed."""
    random = np.random.default_rng(0)
    for k in range(18):
        (tmp_path / "films").mkdir(exist_ok=True)
        pixels = random.integers(0, 255, (16, 16), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(tmp_path / "films" / f"film{k}.png")
    made = init(tmp_path / "p", tmp_path / "films", task="synthesize")
    run = made.run("first")
    log = EventLog(run.events_path)
    log.write("started", run="first", seed=0, terms={"critic real": 1.0, "critic made": 1.0, "generator": 0.5})
    for epoch in range(1, 11):
        terms = {"critic real": -0.1 * epoch, "critic made": 0.1, "generator": 1 / epoch}
        log.write("epoch", epoch=epoch, loss=1 / epoch, tuning_loss=1.0, losses=terms, signs={"diversity": 0.04}, minutes=0.1)
    log.write("warning", what=COLLAPSE, about="learning")
    log.write("warning", what="step 3: the step was skipped")
    write_json(run.model / "model.json", {"sha256": SHA})
    text = io.BytesIO()
    np.savez_compressed(text, made=random.normal(size=(3, 1, 1, 8, 8)).astype(np.float16))
    write_bytes(run.path / "made" / "look-0001.npz", text.getvalue())
    return made


def test_fidelity_copies_and_grids_stand_in_the_report(project: Project) -> None:
    run = project.run("first")
    write_json(run.path / "fidelity.json", fidelity())
    for grey, name in enumerate(("made.png", "nearest.png", "looks.png")):
        write_bytes(run.path / "fidelity" / name, png(grey))
    page = report(project, "first").read_text(encoding="utf-8")
    assert '<h2 id="made">Made images</h2>' in page
    assert "0.417 (0.317 to 0.517)" in page
    assert "Synthesis of images" in page
    assert "A made image shows nobody, so it has no truth" in page
    assert "How the reference standard came about" not in page
    assert page.count(SENTENCE) == 2  # at the head of the page, and beside the pairs
    assert page.count("data:image/png") == 3
    assert "answers no case" in page
    assert "Not evaluated yet" not in page


def test_terms_are_drawn_one_by_one_and_alarms_stand_out(project: Project) -> None:
    page = report(project, "first").read_text(encoding="utf-8")
    diversity = "Distance between two made images, over that between two real ones,"
    for name in ("Critic real (weight 1)", "Critic made (weight 1)", "Generator (weight 0.5)", diversity):
        assert f"<figcaption>{name} by epoch.</figcaption>" in page
    alarms, rest = page.split("Alarms while learning")[1].split("Warnings:")
    assert COLLAPSE[1:] in alarms
    assert "the step was skipped" in rest
    assert "not how good the images are" in page  # no word of overfitting: the two losses are rivals
    assert "Overfitting" not in page.split('id="glossary"')[0]


def test_without_fidelity_what_was_made_while_learning_is_shown(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    run = project.run("first")
    assert main(["report", str(project.path), "--run", "first"]) == 0
    assert "Next: overread fidelity" in capsys.readouterr().out
    page = run.report.read_text(encoding="utf-8")
    assert "How near these images are to real ones was not measured" in page
    assert page.count("data:image/png") == 1
    assert "not compared with real ones yet" in page


def test_a_record_of_another_training_is_left_out(project: Project) -> None:
    run = project.run("first")
    write_json(run.path / "fidelity.json", fidelity("sha256:" + "cd" * 32))
    part = made_of(run, is_phantom=False)
    assert part is not None
    assert (dict(part.record), list(part.pictures)) == ({}, ["looks.png"])
    (run.path / "made" / "look-0001.npz").unlink()
    assert made_of(run, is_phantom=False) is None


def test_one_term_alone_is_the_loss_and_is_not_drawn_again() -> None:
    epochs: list[dict[str, Any]] = [{"event": "epoch", "epoch": k, "losses": {"l1": 1 / k}} for k in (1, 2, 3)]
    assert term_charts(epochs) == []
    several = [{**epoch, "losses": {**epoch["losses"], "kl": -0.5}} for epoch in epochs]
    (first, drawn), (second, _) = term_charts(several)
    assert (first, second) == ("l1", "kl")
    assert "3 epochs, from 1 to 0.3333" in drawn
    assert len(term_charts(several[:1])) == 2
