"""The section on degraded images: chart, table, source data, and what it changes elsewhere in the report."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from overread.core.grid import Grid
from overread.core.image import Image
from overread.reporting.charts.files import write_figures
from overread.reporting.given import Panel
from overread.reporting.pictures.degraded import View, degraded_panel
from overread.reporting.report import render
from overread.reporting.sections.robustness import drop_chart, robustness_section, source_rows
from reporting import fakes
from reporting.test_report_page import checked


def row(title: str, severity: str, drop: float | None, verdict: str, reason: str = "") -> dict:
    known = drop is not None and not reason
    interval = {
        "estimate": drop, "low": drop - 0.02 if known else None, "high": drop + 0.02 if known else None,
        "method": "DeLong's test" if known else "none", "n_cases": 52, "n_patients": 40, "level": 0.95, "reason": reason,
    }  # fmt: skip
    also = {"endpoint": "sensitivity/pneumonia", "name": "Sensitivity", "clean": 0.9, "degraded": 0.8, "drop": interval}
    return {
        "degradation": title.lower(), "title": title, "severity": severity, "clean": 0.93, "degraded": 0.93 - drop,
        "drop": interval, "p": 0.01, "p_holm": 0.02, "p_holds": 0.3, "verdict": verdict, "remark": "", "also": [also],
    }  # fmt: skip


FOUND = {
    "endpoint": {
        "endpoint": "auc/pneumonia", "metric": "auc", "subject": "pneumonia", "name": "Area under the ROC curve", "unit": "",
        "better": "higher",
    },
    "n_cases": 52, "n_patients": 40, "tolerance": 0.05, "rule": "The rule, after Holm's correction.", "level": 0.95,
    "model": "sha256:1",
    "rows": [
        row("Noise", "SD 10 % of the spread", 0.004, "holds"),
        row("Noise", "SD 40 % of the spread", 0.2, "drops"),
        row("JPEG", "quality 50", 0.0, "too few to say", "both put these cases into one order"),
    ],
    "not_run": [{"degradation": "missing-slices", "title": "Missing slices", "reason": "these are single pictures"}],
    "done": [{"degradation": "noise", "title": "Noise", "what": "normal noise is added", "source": ""}],
    "notes": ["The internal test stays sealed.", "Adversarial"],
}  # fmt: skip


@pytest.fixture(scope="module")
def picture() -> bytes:
    random = np.random.default_rng(0)
    clean = Image(random.normal(100, 20, (1, 10, 40, 30)).astype(np.float32), Grid.from_spacing((10, 40, 30), (4, 1, 1)))
    others = [
        View(f"{name}, much", replace(clean, array=clean.array * 0.8), name == "Missing slices")
        for name in ("Noise", "Blur", "Rotation", "Missing slices")
    ]
    focus = np.zeros((10, 40, 30), bool)
    focus[3, 10:20, 10:20] = True
    return degraded_panel(clean, others, focus=focus, title="case-0001 under each degradation", is_phantom=True)


def test_the_section_stands_in_the_report(picture: bytes) -> None:
    base = fakes.classification()
    given = replace(base, robustness={"": FOUND}, degraded={"": Panel(picture, "case-0001", "", "as it is; Noise, much")})
    page = render(given)
    checker = checked(page)
    assert checker.faults == []
    text = " ".join(page.split())
    for words in (
        "When images get worse", "0.200 (0.180 to 0.220)", "0.000 (no interval)", "both put these cases into one order",
        "Missing slices was not run: these are single pictures.", "sensitivity 0.800", "Case case-0001 as it is",
        "Area under the ROC curve, pneumonia on the images as they are: 0.930.",
    ):  # fmt: skip
        assert words in text, words
    assert "No test of robustness." not in text
    assert "Drop of the score on tuning cases under noise" in text
    without = render(base)
    assert "When images get worse" not in without
    assert "No test of robustness." in without


def test_the_chart_and_its_source_data(tmp_path: Path) -> None:
    ElementTree.fromstring(drop_chart(FOUND).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))
    methods = robustness_section("fold 0", FOUND, None)["methods"]
    assert methods == ["95 %, DeLong's test; 52 cases, 40 patients", "52 cases, 40 patients"]
    assert len(source_rows(FOUND)) == 6
    write_figures(tmp_path, replace(fakes.classification(), robustness={"fold 0": FOUND}))
    assert (tmp_path / "robustness-fold-0.svg").exists()
    with open(tmp_path / "robustness-fold-0.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["drop"] for r in rows if r["score"] == "auc/pneumonia"] == ["0.004", "0.2", "0.0"]
    assert rows[2]["verdict"] == "drops"
