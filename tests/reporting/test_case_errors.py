"""The browser of errors of cases: which are listed and how, what stands beside them, and the clicks in a real browser."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.kinds import LabelMap, Structure
from overread.reporting.case_files import CaseFiles
from overread.reporting.given import ReportInput
from overread.reporting.pictures.small import SIDE, shrunk, small_picture
from overread.reporting.report import render
from overread.reporting.sections.errors import errors_section, wrong_rows
from overread.workflow.learning.case_files import read_notes
from overread.workflow.learning.thumbnails import write_small_pictures
from reporting import fakes

BINARY = {"task": "classification", "classes": ["sound", "ill"], "positive": "ill", "units": []}


def call(number: int, truth: str | dict | None, answer: dict, called: list[str], patient: int | None = None) -> dict:
    row = {"case_id": f"C-{number:04d}", "patient_id": f"P-{number if patient is None else patient:04d}", "truth": truth}
    return {**row, "answer": answer, "called": called, "scores": {}, "reasons": {}, "error": 0.5}


def ill(number: int, truth: str, probability: float, threshold: float = 0.3) -> dict:
    answer = {"sound": 1 - probability, "ill": probability}
    return call(number, truth, answer, ["ill" if probability >= threshold else "sound"])


def test_wrong_calls_come_by_confidence_with_their_direction() -> None:
    rows = [
        ill(0, "ill", 0.9),
        ill(1, "sound", 0.8),
        ill(2, "ill", 0.05),
        ill(3, "sound", 0.35),
        call(4, None, {"ill": 0.4}, ["ill"]),
    ]
    found = wrong_rows(rows, BINARY)
    assert [(w.row["case_id"], w.state, w.of) for w in found] == [
        ("C-0002", "false negative", "ill"),
        ("C-0001", "false positive", "ill"),
        ("C-0003", "false positive", "ill"),  # called below 0.5, at the frozen threshold
    ]
    assert [w.value for w in found] == pytest.approx([0.95, 0.8, 0.35])
    assert found[0].answer == "sound (95.0 %)"
    assert wrong_rows([{**rows[1], "refused": "modality"}], BINARY) == []


def test_of_several_classes_and_findings() -> None:
    three = {"task": "classification", "classes": ["a", "b", "c"], "positive": None}
    found = wrong_rows([call(0, "a", {"a": 0.2, "b": 0.7, "c": 0.1}, ["b"])], three)
    assert (found[0].state, found[0].of, found[0].answer) == ("wrong class", "a", "b (70.0 %)")
    truth = {"nodule": 1.0, "effusion": 0.0, "mass": None}
    found = wrong_rows([call(0, truth, {"nodule": 0.1, "effusion": 0.8, "mass": 0.9}, ["effusion", "mass"])])
    assert [(w.state, w.of, w.value) for w in found] == [
        ("false negative", "nodule", pytest.approx(0.9)),
        ("false positive", "effusion", pytest.approx(0.8)),
    ]


def test_numbers_and_masks_by_their_error() -> None:
    question = {"task": "regression", "classes": ["age"], "units": ["years"]}
    rows = [
        {
            "case_id": f"C-{k}",
            "patient_id": "P",
            "truth": 50.0,
            "answer": 50.0 + gap,
            "scores": {},
            "reasons": {},
            "error": abs(gap) / 10,
        }
        for k, gap in enumerate((3.0, -12.0, 0.0))
    ]
    found = wrong_rows(rows, question)
    assert [(w.state, w.told, w.answer) for w in found] == [
        ("too low", "-12 years", "38 years"),
        ("too high", "+3 years", "53 years"),
    ]
    base = {"patient_id": "P", "reasons": {}}
    masks = [
        {
            **base,
            "case_id": "C-0",
            "truth": {"liver": 4.0},
            "answer": {"liver": 0.0},
            "scores": {"dice/liver": 0.0},
            "error": 1.0,
        },
        {
            **base,
            "case_id": "C-1",
            "truth": {"liver": 4.0},
            "answer": {"liver": 5.0},
            "scores": {"dice/liver": 0.8},
            "error": 0.2,
        },
        {
            **base,
            "case_id": "C-2",
            "truth": {"liver": 0.0},
            "answer": {"liver": 0.0},
            "scores": {"dice/liver": None},
            "error": 0.0,
        },
    ]
    plane = {**masks[0], "truth": {"liver": None}, "answer": {"liver": None}}
    assert [w.state for w in wrong_rows([plane])] == ["no overlap"]
    assert [(w.state, w.told) for w in wrong_rows(masks)] == [
        ("missed", "Dice liver 0.000"),
        ("drawn otherwise", "Dice liver 0.800"),
    ]


def test_small_pictures_show_the_whole_slice_and_both_outlines(tmp_path: Path) -> None:
    grid = Grid.from_spacing((4, 30, 60), spacing_known=False)
    image = Image(np.random.default_rng(0).normal(size=(1, 4, 30, 60)).astype(np.float32), grid, "a.u.", ("image",))
    layers = np.zeros((1, 4, 30, 60), np.uint8)
    layers[0, 3, 5:20, 10:30] = 1
    structures = (Structure("liver", 1),)
    truth, answer = LabelMap(layers, structures, grid), LabelMap(np.roll(layers, 12, 3), structures, grid)
    picture = PIL.Image.open(io.BytesIO(small_picture(image, truth, answer)))
    assert picture.size == (SIDE, SIDE // 2)
    colours = np.asarray(picture.convert("RGB")).astype(int).reshape(-1, 3)
    assert ((colours[:, 2] - colours[:, 0]) > 80).sum() > 20  # blue: the truth
    assert ((colours[:, 0] - colours[:, 2]) > 80).sum() > 20  # orange: the answer
    assert max(PIL.Image.open(io.BytesIO(shrunk(small_picture(image), 50))).size) == 50
    rows = [ill(k, "sound", 0.9 - k / 10) for k in range(3)]
    written = write_small_pictures(tmp_path, rows, lambda row: (image, truth, answer))
    assert [entry["case_id"] for entry in written] == ["C-0000", "C-0001", "C-0002"]
    assert (tmp_path / written[0]["file"]).read_bytes().startswith(b"\x89PNG")


def test_notes_are_read_and_faults_of_the_file_are_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.toml"
    assert read_notes(path, ["C-0001"]) == {}
    path.write_text('[notes]\n"C-0001" = "marker over the lung"\n')
    assert read_notes(path, ["C-0001"]) == {"C-0001": "marker over the lung"}
    with pytest.raises(
        OverreadError, match=r"a note on case C-0001, which was not evaluated in this run\. Did you mean C-0011\?"
    ):
        read_notes(path, ["C-0011"])
    path.write_text('[notes]\n"C-0001" = 3\n')
    with pytest.raises(OverreadError, match=r"A note in notes\.toml is no text\."):
        read_notes(path, ["C-0001"])
    path.write_text("[notes\n")
    with pytest.raises(OverreadError, match=r"notes\.toml in the folder of the run cannot be read"):
        read_notes(path, ["C-0001"])


# ---- the page ---------------------------------------------------------------------------------------


def given() -> ReportInput:
    """Ten errors of two sexes and sites, with pictures, a map, similar cases and a note."""
    made = fakes.classification()
    rows = [ill(k, "sound" if k % 2 else "ill", 0.95 - k / 50 if k % 2 else 0.02 + k / 50) for k in range(10)]
    rows += [ill(20, "ill", 0.9), ill(21, "sound", 0.1)]
    evaluation = {**made.evaluations["internal"], "cases": rows}
    png = small_picture(fakes._film(0))
    files = CaseFiles(
        {"internal": {"C-0001": png}},
        {"C-0003": (png, "Grad-CAM of ill")},
        {"C-0001": [{"case_id": "C-0777", "distance": 0.12, "truth": "sound"}]},
        {
            "sex": {row["case_id"]: "FM"[k % 3 == 0] for k, row in enumerate(rows)},
            "site": dict.fromkeys((row["case_id"] for row in rows), "North"),
        },
        {"C-0002": "film of a child", "C-0500": 'said "so", elsewhere'},
        "runs/first/notes.toml",
    )
    question = {**evaluation["question"], "classes": ["sound", "ill"], "positive": "ill"}
    return replace(made, evaluations={"internal": {**evaluation, "question": question, "curves": {}}}, case_files=files)


def test_what_stands_beside_an_error() -> None:
    made = given()
    section = errors_section(made.evaluations["internal"], made.case_files, "internal")
    assert section is not None
    assert section["n"] == 10
    assert section["groups"] == [("sex", ["F", "M"])]  # one site alone sieves nothing
    row = next(r for r in section["rows"] if r.case_id == "C-0001")
    assert row.similar == ("C-0777: sound (0.12)",)
    assert row.picture is not None
    page = render(made)
    assert "C-0777: sound (0.12)" in page
    assert "film of a child" in page
    assert "runs/first/notes.toml" in page
    assert 'title="Grad-CAM of ill"' in page
    assert "said &#34;so&#34;, elsewhere" in page
    assert "refused or failed" not in page
    gone = {**ill(30, "ill", 0.9), "answer": {"sound": None, "ill": None}, "called": [], "refused": "view"}
    cases = [*made.evaluations["internal"]["cases"], gone]
    page = render(replace(made, evaluations={"internal": {**made.evaluations["internal"], "cases": cases}}))
    assert "1 more was refused or failed and counts as an error" in page
    right = {**made.evaluations["internal"], "cases": [ill(0, "ill", 0.9)]}
    assert errors_section(right, made.case_files, "internal") is None


def test_words_of_authors_and_classes_are_no_markup() -> None:
    made, evil = given(), "'><img src=x onerror=alert(1)>"
    files = replace(made.case_files, notes={"C-0002": f"</textarea>{evil}"}, groups={evil: {"C-0001": evil, "C-0002": "b"}})
    evaluation = made.evaluations["internal"]
    cases = [call(9, "sound", {"sound": 0.2, evil: 0.8}, [evil]), *evaluation["cases"]]
    page = render(replace(made, evaluations={"internal": {**evaluation, "cases": cases}}, case_files=files))
    assert "<img src=x" not in page
    assert page.count("onerror") >= 4  # it is there, as text


CLICKS = """
<script>
const seen = {}, browser = document.querySelector(".errors"), body = browser.querySelector("tbody");
const shown = () => [...body.rows].filter(row => !row.hidden);
const set = (name, value) => {
  const control = browser.querySelector(`[data-sift="${name}"]`);
  control.value = value;
  control.dispatchEvent(new Event("input"));
};
seen.all = shown().length;
seen.scores = shown().map(row => Number(row.dataset.score));
set("state", "false negative");
seen.missed = shown().map(row => row.dataset.state);
set("group-1", "M");
seen.men = shown().map(row => row.getAttribute("data-group-1"));
seen.told = browser.querySelector("output").textContent;
set("state", "");
set("group-1", "");
set("score", "0.9");
seen.sure = shown().map(row => Number(row.dataset.score));
set("score", "");
const keeper = document.querySelector(".keep-notes"), field = browser.querySelector('[data-note="C-0001"]');
seen.note = browser.querySelector('[data-note="C-0002"]').value;
field.value = 'a "marker",\\nleft \\\\ side';
field.dispatchEvent(new Event("input"));
seen.kept = Object.values(localStorage).join(" ");
HTMLAnchorElement.prototype.click = function () { seen.name = this.download; };  // no file is left behind
keeper.querySelector("button").click();
seen.shown = !keeper.hidden;
seen.file = keeper.dataset.text;
seen.written = keeper.querySelector("output").textContent;
document.documentElement.setAttribute("data-seen", JSON.stringify(seen));
</script>"""


def test_sieves_and_notes_work_when_clicked(tmp_path: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium is installed to click in")
    page = tmp_path / "report.html"
    page.write_text(render(given()).replace("</body>", f"{CLICKS}</body>"), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    made = subprocess.run([chromium, *flags, page.as_uri()], capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search(r'data-seen="([^"]*)"', made)
    assert found is not None, "the script on the page failed"
    seen = json.loads(found[1].replace("&quot;", '"').replace("&amp;", "&"))
    assert seen["all"] == 10
    assert seen["scores"] == sorted(seen["scores"], reverse=True)
    assert seen["missed"] == ["false negative"] * 5
    assert seen["men"] == ["M"] * 2
    assert seen["told"] == "2 of 10"
    assert seen["sure"] == [score for score in seen["scores"] if score >= 0.9]
    assert seen["note"] == "film of a child"
    assert "marker" in seen["kept"]
    assert seen["shown"]
    assert seen["name"] == "notes.toml"
    assert seen["written"] == "3 notes written."
    assert tomllib.loads(seen["file"]) == {
        "notes": {"C-0001": 'a "marker",\nleft \\ side', "C-0002": "film of a child", "C-0500": 'said "so", elsewhere'}
    }
