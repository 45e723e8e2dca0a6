"""A project without an internal test: made where it is asked for, said wherever a score is, kept by an update."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from overread.cohort.index import read_splits
from overread.cohort.partition import shares_of
from overread.core.errors import OverreadError
from overread.workflow.evaluate import evaluate
from overread.workflow.init import init
from overread.workflow.update import update
from workflow import lesions


def test_shares_without_an_internal_test() -> None:
    assert shares_of(0.25, 0.0) == {"training": 0.75, "tuning": 0.25}
    assert set(shares_of(0.15, 0.2)) == {"training", "tuning", "internal"}


def test_without_an_internal_test_nothing_is_claimed(tmp_path: Path) -> None:
    project = lesions.film_project(tmp_path, "detection", internal=0)
    assert project.summary is not None
    text = "\n".join(project.summary.lines)
    assert "you asked for no internal test" in text
    assert "no internal test is set aside (--internal 0), so nothing can be claimed of a model" in text
    assert "no test is set aside)" in text
    before = read_splits(project.path)["partition"]
    assert set(before.values()) == {"training", "tuning"}
    with pytest.raises(OverreadError, match="This project has no internal test, so nothing can be claimed") as no:
        evaluate(project.path, "first", on="internal")
    assert "overread external" in no.value.next

    data = tmp_path / "cohort"
    with open(data / "sheet.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    content = (data / "coco.json").read_text()
    for k in range(6):
        Image.fromarray(np.random.default_rng(k).integers(0, 90, (64, 64)).astype(np.uint8)).save(data / f"images/new{k}.png")
        rows.append({"film": f"new{k}", "patient": f"N{k}"})
        named = f'{{"id": {500 + k}, "file_name": "new{k}.png", "width": 64, "height": 64}}, '
        content = content.replace('"images": [', f'"images": [{named}', 1)
    (data / "coco.json").write_text(content)
    with open(data / "sheet.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    update(project.path)
    after = read_splits(project.path)["partition"]
    assert len(after) == len(before) + 6
    assert set(after.values()) == {"training", "tuning"}
    assert {case: after[case] for case in before} == before


def test_the_newest_patients_cannot_be_no_test(tmp_path: Path) -> None:
    data = lesions.films(tmp_path / "films", 8)
    lines = (data / "sheet.csv").read_text().splitlines()
    dated = [f"{line},{'date' if k == 0 else f'2024-01-{k:02d}'}" for k, line in enumerate(lines)]
    (data / "sheet.csv").write_text("\n".join(dated) + "\n")
    words = {"truth": data / "coco.json", "sheet": data / "sheet.csv", "group_by": "patient", "task": "detection"}
    with pytest.raises(OverreadError, match="--internal 0 leaves none"):
        init(tmp_path / "p", data / "images", internal=0, split_by="date", **words)  # type: ignore[arg-type]
