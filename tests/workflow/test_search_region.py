"""A search where a first model cuts the images: what it plans is what `overread plan` would."""

from __future__ import annotations

from pathlib import Path

import pytest

from overread.reading.region import Finder
from overread.workflow.init import init
from overread.workflow.plan import plan
from overread.workflow.searching.planned import decided_of
from workflow import balls
from workflow.test_cascade import WINDOW, WINDOWED, by_brightness
from workflow.untrained import untrained


def test_the_plan_of_a_search_reads_what_the_first_model_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = balls.volume_project(tmp_path)
    untrained(one, "first", **WINDOW)
    made = tmp_path / "cohort"
    second = init(
        tmp_path / "second", made / "images", truth=made / "masks", sheet=made / "sheet.csv", group_by="patient",
        tuning=0.25, internal=0.25, region=next((one.path / "runs" / "first").glob("*.overread")),
    )  # fmt: skip
    monkeypatch.setattr(Finder, "find", by_brightness)
    found = decided_of(second, second.cohort(), WINDOWED, None)
    assert found.plan.preparation.region is not None
    assert set(found.cohort.boxes) == {case.case_id for case in found.cohort.cases}
    assert found.plan.identity == plan(second, "as-planned", overrides=WINDOWED, preflight=False).plan.identity
