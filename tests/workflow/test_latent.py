"""The codes of an autoencoder's cases: from a folder of films to codes, ways between them, neighbours and a page."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest
import torch

import overread
from overread.cli.main import main
from overread.core.case import Case
from overread.core.errors import OverreadError
from overread.evaluation.rules import Rules
from overread.imaging.raster import read_raster_header
from overread.reading.codes import Coder
from overread.reading.model import load_model
from overread.workflow.generation.code_columns import numeric_columns, with_columns
from overread.workflow.latent import latent
from overread.workflow.project import Project

SMALL = {"training.precision": "float32", "training.network.features": "[8,16]", "training.network.latent": "8"}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-four films of a disc on a ramp, two of each patient, with an age that goes with the disc's size."""
    folder, random = tmp_path_factory.mktemp("films"), np.random.default_rng(0)
    rows, columns = np.mgrid[:16, :16]
    with open(folder / "patients.csv", "w", encoding="utf-8") as sheet:
        sheet.write("file,mrn,age\n")
        for k in range(24):
            radius = 2 + 0.2 * k
            pixels = 40 + 4 * columns + 90 * ((rows - 8) ** 2 + (columns - 8) ** 2 < radius**2) + random.normal(0, 2, (16, 16))
            PIL.Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"film{k:02d}.png")
            sheet.write(f"film{k:02d}.png,M{k // 2},{40 + k}\n")
    return folder


@pytest.fixture(scope="module")
def projects(films: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Project]:
    made = {}
    own = {"training.architecture": "latent_diffusion", "training.network.autoencoder_features": "[8]"}
    for task in ("autoencode", "vae", "synthesize"):
        place, sheet = tmp_path_factory.mktemp(task) / task, films / "patients.csv"
        project = overread.init(place, images=films, sheet=sheet, task=task, group_by="mrn", covariates=["age"])
        smaller = {name: value for name, value in SMALL.items() if task != "synthesize" or not name.endswith("latent")}
        project.train(epochs=3, name="first", overrides=smaller | (own if task == "synthesize" else {}))
        made[task] = project
    return made


LENGTHS = {"autoencode": 8, "vae": 8, "synthesize": 4 * 8 * 8}  # of latent diffusion: a small image of four channels


@pytest.mark.parametrize("task", LENGTHS)
def test_codes_ways_and_neighbours_are_written(projects: dict[str, Project], task: str) -> None:
    project = projects[task]
    record = latent(project)
    run = project.run("first")
    cohort = project.cohort()
    with open(run.path / "latent" / "codes.csv", encoding="utf-8") as file:
        codes = {row["case_id"]: row for row in csv.DictReader(file)}
    assert set(codes) == {case.case_id for case in (*cohort.of("training"), *cohort.of("tuning"))}  # the internal test is sealed
    assert len(next(iter(codes.values()))) == 2 + LENGTHS[task] * (2 if task == "vae" else 1)
    assert (run.path / "latent" / "codes.csv").stat().st_mode & 0o077 == 0
    patient = {case.case_id: case.patient_id for case in cohort.cases}
    one, other = record["way"]["cases"]
    assert patient[one] != patient[other]
    assert record["way"]["kind"] == ("arc" if task == "vae" else "straight line")
    assert {row["case_id"] for row in record["near"]["rows"]} == {case.case_id for case in cohort.of("tuning")}
    assert [row["column"] for row in record["columns"]] == ["age"] * 6
    assert json.loads((run.path / "latent.json").read_text())["model"] == record["model"]
    page = (run.path / "latent.html").read_text(encoding="utf-8")
    assert "not what causes a disease" in page
    assert "No case is shown on this page" not in page
    marks = {"way.png": "synthetic", "walk.png": "synthetic", "near.png": ""}  # neighbours are images as they were acquired
    assert {name: read_raster_header(run.path / "latent" / name).made for name in marks} == marks


def test_the_record_agrees_with_the_task_and_the_written_codes(projects: dict[str, Project]) -> None:
    """Nats of all numbers together are the task's own divergence, and the variances are those of the written codes."""
    from overread.cohort.load import load_image
    from overread.tasks.losses.latent import kl_to_normal

    project = projects["vae"]
    record = latent(project, encode=True)
    coder = Coder.of(load_model(project.run("first").model).predictor)
    cohort = project.cohort()
    windows = torch.from_numpy(np.stack([coder.window(load_image(cohort, case))[0] for case in cohort.of("tuning")]))[:, :, 0]
    with torch.inference_mode():
        expected = kl_to_normal(*coder.predictor.network.encode(windows)).mean()  # type: ignore[operator]
    assert record["nats"]["tuning"] == pytest.approx(float(expected), rel=1e-4)
    with open(record["codes"], encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["partition"] == "training"]
    written = np.array([[float(row[f"code_{k + 1}"]) for k in range(8)] for row in rows])
    assert [row["variance"] for row in record["dimensions"]] == pytest.approx(list(written.var(0, ddof=1)), rel=1e-3)
    assert record["active"]["training"] == sum(row["is_active"] for row in record["dimensions"])


def test_decoding_the_code_of_an_image_is_what_the_network_answers(projects: dict[str, Project]) -> None:
    from overread.cohort.load import load_image

    project = projects["vae"]
    coder = Coder.of(load_model(project.run("first").model).predictor)
    cohort = project.cohort()
    window, is_whole = coder.window(load_image(cohort, cohort.of("tuning")[0]))
    assert is_whole
    answered = coder.predictor.raw(window)
    assert np.allclose(coder.decode(coder.encode([window]).mean)[0], answered, atol=1e-4)


def test_two_cases_are_named(projects: dict[str, Project], capsys: pytest.CaptureFixture[str]) -> None:
    project = projects["autoencode"]
    cohort = project.cohort()
    one, other = cohort.of("training")[0].case_id, cohort.of("tuning")[0].case_id
    assert main(["latent", str(project.path), "--between", f"{one},{other}", "--walk", "2", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["way"]["cases"], record["way"]["is_by_rule"]) == ([one, other], False)
    assert record["way"]["to_training"][0] == pytest.approx(0, abs=1e-3)  # the way begins at a training case
    assert len(record["walk"]["rows"]) == 2
    assert main(["latent", str(project.path), "--encode", "--limit", "3"]) == 0
    assert "Encoded were 6 of" in capsys.readouterr().out


def test_what_cannot_be_done_is_refused(projects: dict[str, Project], films: Path, tmp_path: Path) -> None:
    project = projects["vae"]
    sealed = project.cohort().of("internal")[0].case_id
    known = project.cohort().of("tuning")[0].case_id
    for words, message in (
        ({"between": (known,)}, "--between names 1 cases(?s:.*)name two different ones"),
        ({"between": (known, known)}, "name two different ones"),
        ({"between": (known, sealed)}, "is not among the .* cases with a code(?s:.*)internal test stay sealed"),
        ({"walk": 0}, "--walk 0 leaves nothing"),
        ({"limit": 1}, "partition has 1(?s:.*)give a larger --limit"),
    ):
        with pytest.raises(OverreadError, match=message):
            latent(project, **words)
    with pytest.raises(OverreadError, match=r"makes no code of an image(?s:.*)--task autoencode, --task vae or"):
        Coder.of(SimpleNamespace())
    assert main(["latent", str(project.path), "--encode", "--between", f"{known},{known}"]) == 2


def test_columns_that_hold_numbers_are_correlated_with_the_code() -> None:
    random = np.random.default_rng(3)
    codes = random.normal(size=(60, 3))
    cells = [{"age": f"{50 + 10 * row[0]:.1f}", "sex": "FM"[k % 2], "crp": "" if k % 2 else k} for k, row in enumerate(codes)]
    cases = [Case(f"C-{k}", f"P-{k // 2}", "", (), covariates=each) for k, each in enumerate(cells)]
    assert numeric_columns(cases) == ["age", "crp"]
    rows = with_columns(cases, codes, (0, 1), ("age", "crp"), Rules(resamples=500))
    assert [(row["column"], row["dimension"]) for row in rows] == [("age", 1), ("age", 2), ("crp", 1), ("crp", 2)]
    assert rows[0]["interval"]["estimate"] == pytest.approx(1, abs=1e-3)
    expected = np.corrcoef(codes[::2, 1], np.arange(0, 60, 2))[0, 1]
    assert rows[3]["interval"]["estimate"] == pytest.approx(expected)
    assert rows[1]["interval"]["low"] < 0 < rows[1]["interval"]["high"]
    assert rows[3]["interval"]["n_cases"] == 30
