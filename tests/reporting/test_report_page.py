"""The report: whole, offline, honest, and free of what does not belong in it."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from overread.reporting.report import ReportInput, render, write_report
from overread.reporting.sections.results import number
from reporting import fakes

STUDIES = {"classification": fakes.classification(), "segmentation": fakes.segmentation(), "regression": fakes.regression()}
PAGES = {name: render(given) for name, given in STUDIES.items()}
VOID = {"meta", "link", "img", "input", "br", "hr"}


class Checker(HTMLParser):
    """Collects nesting faults, ids, links and addresses that a browser would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if values.get("id"):
            self.ids.append(str(values["id"]))
        if tag == "a" and values.get("href"):
            self.targets.append(str(values["href"]))
        elif values.get("href"):
            self.loads.append(str(values["href"]))
        for name in ("src", "srcset", "data", "poster", "action"):
            if values.get(name):
                self.loads.append(str(values[name]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            self.faults.append(f"</{tag}> while {self.open[-3:]} is open, line {self.getpos()[0]}")
        else:
            self.open.pop()


def checked(page: str) -> Checker:
    checker = Checker()
    checker.feed(page)
    return checker


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_well_formed(name: str) -> None:
    checker = checked(PAGES[name])
    assert checker.faults == []
    assert checker.open == []
    assert len(checker.ids) == len(set(checker.ids))
    assert {t.removeprefix("#") for t in checker.targets} <= set(checker.ids)


@pytest.mark.parametrize("name", PAGES)
def test_the_page_loads_nothing(name: str) -> None:
    page = PAGES[name]
    assert all(address.startswith("data:") for address in checked(page).loads)
    assert not re.search(r"@import|url\(|https?://|fetch\(|XMLHttpRequest|<iframe", page)


@pytest.mark.parametrize("name", PAGES)
def test_every_score_stands_with_interval_method_and_counts(name: str) -> None:
    page = PAGES[name]
    for evaluation in STUDIES[name].evaluations.values():
        for score in evaluation["scores"]:
            interval = score["interval"]
            estimate = interval["estimate"]
            plain = "not defined" if estimate is None else number(estimate, score["unit"])
            shown = f"{100 * estimate:.0f} %" if interval["method"].startswith("Wilson") else plain  # so many of so many
            row = _rows_of(page, score["name"], shown)
            assert row, f"{score['name']} is missing"
            assert f"{interval['n_cases']} cases, {interval['n_patients']} patients" in row
            assert interval["method"].split(",")[0] in row
            assert (" to " in row) if interval["estimate"] is not None else (interval["reason"] in row)


def _rows_of(page: str, *words: str) -> str:
    rows = re.findall(r"<tr.*?</tr>", page, flags=re.DOTALL)
    return "".join(row for row in rows if all(word in row for word in words))


@pytest.mark.parametrize("name", PAGES)
def test_no_estimate_is_printed_without_its_row(name: str) -> None:
    assert "nan" not in re.sub(r"<[^>]*>", " ", PAGES[name]).lower().split()
    assert "None" not in re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", PAGES[name], flags=re.DOTALL)


def test_phantom_is_said_on_the_page_and_in_print() -> None:
    page = PAGES["segmentation"]
    assert "<title>PHANTOM" in page
    assert 'class="banner"' in page
    assert 'class="watermark"' in page
    assert '@top-right { content: "PHANTOM' in page
    assert "40 to 85 HU" in page, "the plain threshold is scored beside the model"
    assert "PHANTOM" not in PAGES["classification"]


@pytest.mark.parametrize("name", PAGES)
def test_it_warns_that_it_is_no_medical_device(name: str) -> None:
    assert "Not a medical device" in PAGES[name]


def test_roles_are_marked() -> None:
    page = PAGES["classification"]
    assert page.index("Primary endpoint</th>") < page.index("Exploratory</th>")
    assert "role-primary" in page
    assert "primary endpoint: <strong>met</strong>" in " ".join(page.split())


def test_the_seal_is_counted() -> None:
    opened = STUDIES["classification"]
    assert "opened\n<strong>once</strong>" in PAGES["classification"]
    twice = render(replace(opened, ledger=[*opened.ledger, *opened.ledger]))
    assert "<strong>2 times</strong>" in twice
    assert "it was opened 2 times" in twice
    assert "<strong>never</strong>" in PAGES["regression"]


def test_what_was_not_done_follows_from_the_record() -> None:
    page = PAGES["regression"]
    for words in (
        "internal test was not evaluated",
        "No grouping by patient",
        "reference standard is not described",
        "No external testing",
    ):
        assert words in page
    assert "No grouping by patient" not in PAGES["classification"]
    assert "No patients." in PAGES["segmentation"]


def test_folds_show_a_curve_each() -> None:
    assert PAGES["regression"].count("Training and tuning loss. ") == 2
    assert "Fold 0" in PAGES["regression"]


def test_undefined_scores_are_counted_with_their_reason() -> None:
    assert "21 (metastasis: empty in truth and answer)" in PAGES["segmentation"]


def test_confusion_has_row_percentages() -> None:
    assert re.search(r">51 <span class=\"unit\">91%", PAGES["classification"])


def test_the_slider_carries_what_it_needs_and_static_values_stand_beside() -> None:
    page = PAGES["classification"]
    assert 'type="range"' in page
    assert '"prevalence": 0.333' in page
    assert "Some thresholds, counts by case" in page


def test_only_terms_that_occur_are_explained() -> None:
    assert "Area under the ROC curve (AUC)</dt>" in PAGES["classification"]
    assert "Area under the ROC curve (AUC)</dt>" not in PAGES["regression"]


def test_words_of_users_are_escaped() -> None:
    given = STUDIES["regression"]
    page = render(
        replace(given, title="<script>alert(1)</script>", flow=[{"step": "<b>", "kept": 1, "excluded": 1, "reasons": {"<i>": 1}}])
    )
    assert "<script>alert" not in page
    assert checked(page).faults == []


def test_an_unevaluated_run_still_has_a_report() -> None:
    page = render(replace(STUDIES["regression"], evaluations={}, panels={}))
    assert "has not been evaluated yet" in page
    assert checked(page).faults == []


def test_an_empty_record_still_has_a_report(tmp_path: Path) -> None:
    full = STUDIES["regression"]
    bare = ReportInput(
        title="t", run="r", created="today", question=full.question, settings={}, plan={}, events={}, evaluations={},
        flow=[], partitions=[], ledger=[], provenance={"versions": {}, "machine": {}, "seed": 0, "hashes": {}, "commands": []},
    )  # fmt: skip
    path = write_report(tmp_path / "report.html", bare)
    assert checked(path.read_text(encoding="utf-8")).faults == []
