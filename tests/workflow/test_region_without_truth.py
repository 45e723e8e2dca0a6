"""Images without a truth in a project of `[region]`: cut to what the first model finds, as labelled ones are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from overread.cohort.subdivision import Subdivision, write_subdivision
from overread.reading.region import Finder
from overread.workflow import plan as planning
from overread.workflow.init import init
from overread.workflow.pretrain import pretrain
from overread.workflow.project import Project
from overread.workflow.starts.pretrained import read_record
from overread.workflow.unlabelled.consistency import consistency_of
from workflow import balls
from workflow.test_cascade import WINDOW, WINDOWED, by_brightness
from workflow.untrained import untrained

TINY = {**WINDOWED, "training.batch": "2"}
WHOLE = 20 * 18 * 16  # voxels of a volume


@pytest.fixture(scope="module")
def cascade(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Path]:
    """A project whose runs read the ball that a first model finds, and a folder of further volumes."""
    folder = tmp_path_factory.mktemp("cascade")
    one = balls.volume_project(folder)
    untrained(one, "first", **WINDOW)
    file = next((one.path / "runs" / "first").glob("*.overread"))
    made = folder / "cohort"
    second = init(
        folder / "second", made / "images", truth=made / "masks", sheet=made / "sheet.csv", group_by="patient",
        tuning=0.25, internal=0.25, region=file,
    )  # fmt: skip
    return second, balls.volumes(folder / "more", count=2, shape=(22, 20, 18)) / "images"


@pytest.fixture(autouse=True)
def bright(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Finder, "find", by_brightness)


def regions(preparation: Mapping[str, Any]) -> float:
    return float(preparation["region"]["margin_mm"])


def test_a_pretraining_learns_from_what_the_later_training_reads(cascade: tuple[Project, Path]) -> None:
    project, more = cascade
    run = pretrain(project, epochs=1, images=more, overrides={**TINY, "region.margin_mm": "1"})
    record = read_record(run)
    assert regions(record["preparation"]) == 1.0
    assert record["images"]["further"] == 2
    kept = [np.load(path) for path in (project.path / "cohort" / "cache").glob("further-*/*.npy")]
    assert len(kept) == 2
    assert all(image.size < WHOLE / 2 for image in kept)


@pytest.mark.parametrize(("of", "count", "margin"), [("rest", 2, 2.0), ("folder", 2, 3.0)])
def test_a_training_learns_beside_its_truths_from_the_same_part(
    cascade: tuple[Project, Path], of: str, count: int, margin: float
) -> None:
    project, more = cascade
    cohort = project.cohort()
    training = cohort.of("training")
    left = {training[0].patient_id}
    some = frozenset(case.case_id for case in training if case.patient_id not in left)
    part = Subdivision(some, frozenset(case.case_id for case in cohort.of("tuning")), "a learning curve")
    write_subdivision(project.run(of).subdivision, part)
    asked = {**TINY, "training.semi": "mean_teacher", "region.margin_mm": f"{margin:g}"}
    planned = planning.plan(project, of, overrides=asked, preflight=False)
    assert regions(planned.plan.preparation.as_dict()) == margin
    found, _ = consistency_of(project, planned, "rest" if of == "rest" else str(more), None, torch.device("cpu"), None)
    assert found is not None
    source = found.looks.__self__  # type: ignore[attr-defined]
    assert len(source.images) == count
    assert all(image.size < WHOLE / 2 for image in source.images)
