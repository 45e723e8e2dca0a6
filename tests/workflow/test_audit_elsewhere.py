"""`overread audit` of a project with an external cohort: shared patients and images are told, no name leaves the machine."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from cohort.folders import write_sheet
from overread.cli.main import main
from overread.cohort.index import read_splits
from overread.workflow.audits.leaks import leaks_found, shared_with
from overread.workflow.audits.subject import of_project
from overread.workflow.external import external
from overread.workflow.init import init
from overread.workflow.project import Project

HEADER = ("file", "patient", "label")


def taken_in(folder: Path) -> Project:
    """Twelve patients at home; elsewhere six others, one at-home patient under another spelling, and one film mirrored."""
    home, away = folder / "home", folder / "away"
    for k in range(18):
        write_smooth((home if k < 12 else away) / f"film{k:02d}.png", k)
    write_sheet(folder / "home.csv", HEADER, [(f"film{k:02d}.png", f"Jansen-{k:03d}", "ab"[k % 2]) for k in range(12)])
    project = init(
        folder / "project", home, sheet=folder / "home.csv", label=("label",), positive="b", group_by="patient", internal=0.25
    )
    learned = next(c for c, p in read_splits(project.path)["partition"].items() if p == "training")
    original = of_project(project).names[learned]
    Image.open(home / original).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(away / "mirror.png")
    rows = [(f"film{k:02d}.png", "jansen 3" if k == 12 else f"Q{k}", "ab"[k % 2]) for k in range(12, 18)]
    write_sheet(folder / "away.csv", HEADER, [*rows, ("mirror.png", "Q99", "a")])
    external(project, "north", away, sheet=folder / "away.csv", leak_override="both count from 1")
    return project


def write_smooth(path: Path, seed: int) -> None:
    path.parent.mkdir(exist_ok=True)
    values = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(64, 64)), 3)
    Image.fromarray(np.uint8(255 * (values - values.min()) / np.ptp(values))).save(path)


def test_what_the_project_shares_with_an_external_cohort(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = taken_in(tmp_path)
    assert main(["audit", str(project.path), "--out", str(tmp_path / "look")]) == 3
    said = capsys.readouterr().out
    assert "external:north mirror.png" in said, "the terminal names the film"
    record = json.loads((tmp_path / "look" / "audit.json").read_text())
    told = {c["key"]: c for c in record["concerns"]}
    near = told["nearly-identical-image-in-external-cohort"]
    assert near["severity"] == "fault"
    assert near["evidence"]["changes"] == {"mirrored left to right": 1}
    patient = told["patient-in-external-cohort"]
    assert patient["severity"] == "warning", "accepted with a reason when the cohort was taken in"
    assert patient["evidence"]["cases_there"] == 1
    assert record["counts"]["external:north"] == "7"
    page = re.sub(r"data:image/png;base64,[^\"]*", "", (tmp_path / "look" / "audit.html").read_text())
    for text in (page, json.dumps(record)):
        assert not re.search(r"jansen|mirror[.]png|film\d\d|Q99", text, re.IGNORECASE)
    assert "external:north/C-" in page
    assert "Pictures show what is burned into the films" in page
    assert json.loads((project.path / "audit" / "audit.json").read_text()) == record, "training looks there"
    assert leaks_found(project) == [], "the external test is spoiled, training is not"
    assert shared_with(project, "external:north") == [near["statement"]]
    assert shared_with(project, "external:south") == []


def test_a_project_without_external_cohorts_has_none(tmp_path: Path) -> None:
    for k in range(12):
        write_smooth(tmp_path / "home" / f"film{k:02d}.png", k)
    write_sheet(tmp_path / "home.csv", HEADER, [(f"film{k:02d}.png", f"P{k}", "ab"[k % 2]) for k in range(12)])
    project = init(tmp_path / "project", tmp_path / "home", sheet=tmp_path / "home.csv", label=("label",), positive="b")
    assert of_project(project).elsewhere == ()
