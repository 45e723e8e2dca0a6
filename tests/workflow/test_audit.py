"""`overread audit` from end to end: a bad split, a project whose test truths it must not need, training after it."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from overread.cli.main import main
from overread.core.errors import Refused
from overread.workflow.audits.leaks import ENTRY, refuse_leaks_found
from overread.workflow.init import init
from overread.workflow.phantom import phantom
from overread.workflow.project import Project


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty films of thirty patients or so, drawn once."""
    folder = tmp_path_factory.mktemp("films") / "phantom"
    phantom(folder, kind="chest", format="png", patients=30, size=64, seed=3)
    return folder


def rows_of(films: Path) -> list[dict[str, str]]:
    return read_rows(films / "labels.csv")


def read_rows(sheet: Path) -> list[dict[str, str]]:
    with open(sheet, newline="") as file:
        return list(csv.DictReader(file))


def with_split(films: Path, out: Path, leaky: bool) -> Path:
    """The sheet with a column that divides it: by patient, or image by image."""
    rows = rows_of(films)
    people = sorted({row["patient_id"] for row in rows})
    parts = ("train", "train", "val", "test")
    for k, row in enumerate(rows):
        row["part"] = parts[(k if leaky else people.index(row["patient_id"])) % 4]
    with open(out, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return out


WORDS = ("--label", "pneumonia", "--positive", "yes", "--group-by", "patient_id", "--splits", "part")


def test_a_folder_with_a_bad_split(films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = with_split(films, tmp_path / "sheet.csv", leaky=True)
    out = tmp_path / "out"
    assert main(["audit", str(films / "images"), "--sheet", str(sheet), *WORDS, "--out", str(out)]) == 3
    said = capsys.readouterr().out
    assert "FAULT (leak)" in said
    assert "What to do:" in said
    record = json.loads((out / "audit.json").read_text())
    faults = [c for c in record["concerns"] if c["severity"] == "fault"]
    assert {c["subject"] for c in faults} == {"leak"}
    parts = {row["patient_id"]: set[str]() for row in rows_of(films)}
    for row in read_rows(sheet):
        parts[row["patient_id"]].add(row["part"])
    crossing = sum(len(found) > 1 for found in parts.values())
    assert crossing
    assert any(len(c["cases"]) == crossing for c in faults)
    page = (out / "audit.html").read_text()
    assert "PHANTOM" in page
    shown = re.sub(r"data:image/png;base64,[^\"]*", "", page)
    for row in rows_of(films):
        assert row["patient_id"] not in shown  # pseudonyms alone
    assert "Audit of a folder of images" in shown  # its name is part of a path
    assert (out / "audit-link.csv").stat().st_mode & 0o077 == 0


def test_a_folder_with_a_good_split_and_pipelines(films: Path, tmp_path: Path) -> None:
    sheet = with_split(films, tmp_path / "sheet.csv", leaky=False)
    words = ["audit", str(films / "images"), "--sheet", str(sheet), *WORDS, "--out", str(tmp_path / "out")]
    assert main([*words]) == 0
    record = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert not [c for c in record["concerns"] if c["subject"] == "leak" and c["severity"] == "fault"]
    assert main([*words, "--fail-on", "never"]) == 0


def test_a_folder_without_truth_is_looked_at_for_twins(films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = tmp_path / "images"
    images.mkdir()
    sources = sorted((films / "images").rglob("*.png"))[:12]
    for source in sources:
        (images / source.name).write_bytes(source.read_bytes())
    pixels = np.asarray(Image.open(sources[0]))
    Image.fromarray(pixels[:, ::-1]).save(images / "mirrored.png")
    code = main(["audit", str(images), "--out", str(tmp_path / "out"), "--fail-on", "never"])
    assert code == 0
    said = capsys.readouterr().out
    assert "no truth was given" in said
    assert "mirrored.png" in said


def test_a_project_is_audited_without_its_sealed_truths(films: Path, tmp_path: Path) -> None:
    project = made(films, tmp_path, "good")
    (project.path / "cohort" / "sealed" / "internal.parquet").write_bytes(b"nobody may need this")
    assert main(["audit", str(project.path)]) == 0
    record = json.loads((project.path / "audit" / "audit.json").read_text())
    assert record["cohort"]
    entries = [e for e in project.ledger.entries() if e["entry"] == "audit"]
    assert entries[0]["read"] == "counts and digests of sealed truths, no sealed truth"


def test_training_refuses_what_the_audit_found(films: Path, tmp_path: Path) -> None:
    project = made(films, tmp_path, "leaky")
    record = {"cohort": project.cohort().digest, "concerns": [
        {"subject": "leak", "severity": "fault", "statement": "Two films are one film."},
        {"subject": "labels", "severity": "fault", "statement": "A class is empty."},
    ]}  # fmt: skip
    (project.path / "audit").mkdir()
    (project.path / "audit" / "audit.json").write_text(json.dumps(record))
    with pytest.raises(Refused, match=r"Two films are one film[.]\s.*leak_override"):
        project.train(epochs=1)
    settings = project.path / "project.toml"
    settings.write_text(re.sub(r'^leak_override = ""', 'leak_override = "one film of 60"', settings.read_text(), flags=re.M))
    again = Project.open(project.path)
    refuse_leaks_found(again)
    refuse_leaks_found(again)
    accepted = [e for e in again.ledger.entries() if e["entry"] == ENTRY]
    assert [e["reason"] for e in accepted] == ["one film of 60"]
    record["cohort"] = "of an earlier version"
    (project.path / "audit" / "audit.json").write_text(json.dumps(record))
    settings.write_text(settings.read_text().replace("one film of 60", ""))
    refuse_leaks_found(Project.open(project.path))


def made(films: Path, folder: Path, name: str) -> Project:
    return init(
        folder / name, films / "images", sheet=films / "labels.csv", label=("pneumonia",), positive="yes", group_by="patient_id"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["FILMS", "--fuse", "majority", "--class", "a=1"], "--class, --fuse are about readers"),
        (["--readers", "SHEET", "--sheet", "SHEET", "--fail-on", "warning"], "--fail-on, --sheet are about images"),
        (["FILMS", "--readers", "SHEET"], "not both"),
        ([], "not both"),
    ],
)
def test_words_that_would_do_nothing_are_refused(
    films: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"FILMS": str(films / "images"), "SHEET": str(films / "labels.csv")}
    assert main(["audit", *(places.get(word, word) for word in words)]) == 2
    assert message in capsys.readouterr().err
