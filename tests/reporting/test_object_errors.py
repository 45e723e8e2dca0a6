"""What kind of error each is, the browser of errors in a real browser, and words that do not belong on a page of objects."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.kinds import Boxes
from overread.reporting.checklists.claim import claim_csv, claim_rows
from overread.reporting.paper.cards import data_card, model_card
from overread.reporting.paper.facts_model import training
from overread.reporting.paper.limitations import limitations
from overread.reporting.paper.methods import as_text
from overread.reporting.pictures.figures import case_panel
from overread.reporting.pictures.objects import object_words, size_words
from overread.reporting.report import render
from overread.reporting.sections.error_kinds import NOTHING, UNMARKED, error_kinds, kinds_counted
from overread.workflow.learning.matching_examples import least_found, nearest_miss, write_examples
from overread.workflow.learning.panels import caption
from reporting import fakes_objects


def item(state: str, left: float, name: str = "nodule", score: float | None = None, overlap: float | None = None) -> dict:
    """A square of 10 pixels, its left edge at `left`."""
    box = [-0.5, -0.5, left, 0.5, 9.5, left + 10]
    return {"state": state, "class": name, "score": score, "box": box, "overlap": overlap, "size_mm": None, "size_px": 100.0}


def test_errors_are_told_by_what_lies_near() -> None:
    objects = [
        item("matched", 0, score=0.9, overlap=0.8),
        item("false", 2, score=0.8),  # again on the one that is found
        item("missed", 100),
        item("false", 105, score=0.7),  # a third of both
        item("missed", 200, "cyst"),
        item("false", 201, score=0.6),  # a nodule on a cyst
        item("false", 300, score=0.5),
        item("missed", 400),
        item("false", 3, "cyst", score=0.4),
    ]
    assert error_kinds(objects) == [
        "",
        "one that is found is marked twice",
        "marked, but beside (overlap 0.33)",
        "beside a missed one (overlap 0.33)",
        "marked as nodule",
        "it is a missed cyst",
        NOTHING,
        UNMARKED,
        "it is a found nodule",
    ]
    counted = dict(kinds_counted([(o["state"], k) for o, k in zip(objects, error_kinds(objects), strict=True) if k]))
    assert dict(counted["false"])["an object of another class"] == 2
    assert dict(counted["missed"]) == {"marked, but beside": 1, "marked as another class": 1, UNMARKED: 1}
    assert error_kinds([]) == []


def test_sizes_and_classes_in_words() -> None:
    one = item("false", 0, score=0.51)
    assert size_words(one) == "100 px²"
    assert object_words(one) == "0.51, 100 px²"
    assert object_words(one, named=True) == "nodule 0.51"
    assert object_words(item("missed", 0), named=True) == "nodule"
    assert caption({"objects": [one], "patient_id": "P-0003"}) == "patient P-0003: 0 of 0 found, 1 false"


def film(objects: list[dict]) -> tuple[Image, Boxes, Boxes]:
    grid = Grid.from_spacing((1, 40, 240), spacing_known=False, is_planar=True)
    pixels = np.linspace(0, 1, 40 * 240, dtype=np.float32).reshape(1, 1, 40, 240)

    def boxes(states: tuple[str, ...]) -> Boxes:
        own = [o for o in objects if o["state"] in states]
        corners = np.array([o["box"] for o in own], dtype=float).reshape(-1, 2, 3)
        return Boxes(corners, tuple(o["class"] for o in own), np.ones(len(own)), grid)

    return Image(pixels, grid, "a.u.", ("image",), {}), boxes(("missed",)), boxes(("matched", "false"))


def test_the_criterion_is_shown_on_what_only_just_counts_and_what_only_just_does_not(tmp_path: Path) -> None:
    found = [item("matched", 20, score=0.9, overlap=0.9), item("matched", 60, score=0.8, overlap=0.54)]
    wrong = [item("false", 105, score=0.7), item("missed", 101), item("false", 160, score=0.6), item("missed", 168)]
    image, missed, answer = film([*found, *wrong])
    truths = np.concatenate([missed.corners, [[[-0.5, -0.5, 23], [0.5, 9.5, 33]], [[-0.5, -0.5, 63], [0.5, 9.5, 73]]]])
    truth = Boxes(truths, ("nodule",) * 4, np.ones(4), image.grid)
    row = {"case_id": "C-0001", "objects": [*found, *wrong]}
    clean = {"case_id": "C-0002", "objects": []}
    chosen = least_found([clean, row])
    assert chosen is not None
    assert chosen[1]["overlap"] == 0.54
    near = nearest_miss([clean, row])
    assert near is not None
    assert (near[1]["box"][2], near[2]["box"][2]) == (105, 101)
    written = write_examples(tmp_path, [clean, row], lambda _: (image, truth, answer))
    assert [entry["case_id"] for entry in written] == ["C-0001", "C-0001"]
    assert "overlap 0.54, the least" in written[0]["caption"]
    assert "overlap 0.43, the most" in written[1]["caption"]
    for entry in written:
        with PIL.Image.open(tmp_path / entry["file"]) as picture:
            assert picture.size == (300, 300)
    assert write_examples(tmp_path, [clean], lambda _: (image, truth, answer)) == []


def test_no_words_stand_upon_each_other() -> None:
    """Two boxes side by side, with words of several classes: the picture is made, and both are named in free places."""
    image, truth, answer = film([item("missed", 20), item("false", 22, score=0.7), item("matched", 24, score=0.9, overlap=0.6)])
    listed = [item("missed", 20), item("false", 22, score=0.7), item("matched", 24, score=0.9, overlap=0.6)]
    one = case_panel(image, truth, answer, title="C", is_phantom=False, objects=listed, named=True)
    assert one != case_panel(image, truth, answer, title="C", is_phantom=False, objects=listed)


@pytest.mark.parametrize("task", ["detection", "instances"])
def test_no_words_of_other_tasks_on_a_page_of_objects(task: str) -> None:
    given = replace(fakes_objects.objects(task), events={}, plan={}, robustness={}, curve=None)
    point = {"class_name": "metastasis", "threshold": 0.4, "rule": "at most 1 false positive per case", "fitted_on": "tuning"}
    asked = {name: {**one, "operating_points": [point]} for name, one in given.evaluations.items()}
    given = replace(given, evaluations=asked)
    texts = {
        "page": re.sub(r"<[^>]*>", " ", re.sub(r"<(style|script)\b.*?</\1>", " ", render(given), flags=re.DOTALL)),
        "methods": as_text(given),
        "cards": data_card(given) + model_card(given),
        "claim": claim_csv(claim_rows(given)),
    }
    for name, text in texts.items():
        for word in ("Dice", "Hausdorff", "validation", "called from a probability", "accuracy of", "None"):
            assert word not in text, f"{word} in {name}"
    assert "overlap by at least" in texts["methods"]
    assert "was called from a score of" in texts["methods"]
    assert "false positives and" in texts["claim"]


def test_limitations_of_objects() -> None:
    given = fakes_objects.objects("detection")
    said = " ".join(limit.sentence for limit in limitations(given))
    assert "Few objects were to be found: 24 of metastasis" in said
    evaluation = given.evaluations["internal"]
    full = [{**case, "truth": {"metastasis": 2}} for case in evaluation["cases"]]
    rules = {**evaluation["rules"], "matching": "an answer finds a truth when the centres of their boxes lie at most 10 mm apart"}
    given = replace(given, evaluations={"internal": {**evaluation, "cases": full, "rules": rules}})
    said = " ".join(limit.sentence for limit in limitations(given))
    assert "Every case held an object" in said
    assert "by the distance of centres alone" in said


def test_the_loss_of_a_network_of_objects_is_told_as_it_is() -> None:
    given = fakes_objects.objects("instances")
    of_centres = replace(given, plan={"loss": "focal", "network": {"serves": "centres"}})
    assert "focal loss of the centres and the error of offsets" in training(of_centres)
    own = replace(given, plan={"loss": "own", "network": {"serves": "objects"}})
    assert "The loss was the network's own sum of terms" in training(own)


CLICKS = """
<script>
const seen = {}, browser = document.querySelector(".errors"), body = browser.querySelector("tbody");
const shown = () => [...body.rows].filter(row => !row.hidden);
const set = (name, value) => {
  const control = browser.querySelector(`[data-sift=${name}]`);
  control.value = value;
  control.dispatchEvent(new Event("input"));
};
seen.bar = !browser.querySelector(".sift").hidden;
seen.all = shown().length;
set("state", "missed");
seen.missed = shown().map(row => row.dataset.state);
seen.told = browser.querySelector("output").textContent;
set("state", "");
set("score", "0.5");
seen.sure = shown().map(row => Number(row.dataset.score));
set("score", "");
const scores = () => [...body.rows].map(row => Number(row.cells[3].dataset.value));
const heading = [...browser.querySelectorAll("th")].find(th => th.textContent === "Score");
heading.click();
seen.falling = scores();
heading.click();
seen.rising = scores();
seen.arrow = heading.getAttribute("aria-sort");
const names = [...browser.querySelectorAll("th")].find(th => th.textContent === "Error");
names.click();
seen.names = [...body.rows].map(row => row.cells[1].textContent);
document.documentElement.setAttribute("data-seen", JSON.stringify(seen));
</script>"""


def test_the_browser_of_errors_sorts_and_sieves_when_clicked(tmp_path: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium is installed to click in")
    page = tmp_path / "report.html"
    page.write_text(render(fakes_objects.objects("detection")).replace("</body>", f"{CLICKS}</body>"), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    made = subprocess.run([chromium, *flags, page.as_uri()], capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search(r'data-seen="([^"]*)"', made)
    assert found is not None, "the script on the page failed"
    seen = json.loads(found[1].replace("&quot;", '"'))
    assert seen["bar"]
    assert seen["all"] == 18
    assert seen["missed"] == ["missed"] * 6
    assert seen["told"] == "6 of 18"
    assert seen["sure"] == [0.72] * 6
    assert seen["falling"] == sorted(seen["falling"], reverse=True)
    assert seen["rising"] == sorted(seen["rising"])
    assert seen["arrow"] == "ascending"
    assert seen["names"] == sorted(seen["names"])
