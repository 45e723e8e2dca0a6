"""Attempts at the seal: plan, training with its looks at tuning cases, freezing, baseline, learning curve, selection,
evaluation of tuning cases, report and the reading of an external cohort are run with the sealed truths spoilt, and every file
that is opened is watched.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel
import numpy as np
import pytest

from overread.cohort.index import read_splits
from overread.cohort.load import load_truth
from overread.cohort.seal import read_truths, truths_path
from overread.core.case import TruthReference
from overread.core.errors import OverreadError, Refused
from overread.record.files import read_json
from overread.workflow.baseline import baseline
from overread.workflow.evaluate import evaluate
from overread.workflow.external import external
from overread.workflow.learning import predict
from overread.workflow.learning_curve import learning_curve
from overread.workflow.plan import plan
from overread.workflow.project import Project
from overread.workflow.readings.external import read_external
from overread.workflow.report import report
from overread.workflow.select import select
from overread.workflow.train import train
from workflow.balls import ball, film_project, volume_project, write_sheet

SMALL = {"training.patch": "16,16,16", "training.batch": "2", "training.precision": "float32"}
SPOILT = b"this is no table; whoever reads it stumbles"

_opened: set[str] = set()
_watching = [False]


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if _watching[0] and event == "open" and isinstance(arguments[0], str | bytes):
        path = arguments[0]
        _opened.add(path if isinstance(path, str) else path.decode(errors="replace"))


sys.addaudithook(_note)  # a hook cannot be taken out again; it does nothing while nobody watches


@contextmanager
def watched() -> Iterator[set[str]]:
    """Every file that Python opens in between, by whatever way."""
    _opened.clear()
    _watching[0] = True
    try:
        yield _opened
    finally:
        _watching[0] = False


def forbidden(project: Project, truths: dict[str, TruthReference]) -> list[str]:
    """Names of the files that hold sealed truths: the sealed table, the sheet, and the masks of sealed cases."""
    masks = [Path(file).name for truth in truths.values() for file in truth.files]
    return [truths_path(project.path, "internal").name, *([project.sheet.name] if project.sheet else []), *masks]


def touched(opened: set[str], names: list[str], images: Path) -> list[str]:
    """What was opened of the forbidden; masks and images may share names, so the images' own folder is free."""
    return sorted(p for p in opened if Path(p).name in names and not Path(p).is_relative_to(images))


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, set[str], dict[str, TruthReference]]:
    """A segmentation project, trained for an epoch with spoilt sealed truths, and what was opened meanwhile."""
    project = volume_project(tmp_path_factory.mktemp("volumes"))
    path = truths_path(project.path, "internal")
    truths = read_truths(path)
    whole = path.read_bytes()
    path.write_bytes(SPOILT)
    with watched() as opened:
        plan(project, "first", None, SMALL)
        train(project, name="first", epochs=1, overrides=SMALL)
        evaluate(project, "first", "tuning", panels=False)
        report(project, "first")
        seen = set(opened)
    path.write_bytes(whole)
    return project, seen, truths


def test_the_watch_works(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    with watched() as opened:
        (tmp_path / "a.txt").read_text()
        nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4)), tmp_path / "b.nii.gz")
    assert {Path(p).name for p in opened} >= {"a.txt", "b.nii.gz"}


def test_learning_opens_no_sealed_truth(volumes: tuple[Project, set[str], dict[str, TruthReference]]) -> None:
    project, opened, truths = volumes
    assert any(Path(p).name.endswith(".nii.gz") and "masks" in p for p in opened), "masks of other cases were opened"
    assert touched(opened, forbidden(project, truths), project.images_folder) == []
    assert set(truths) == {c for c, p in read_splits(project.path)["partition"].items() if p == "internal"}
    assert (project.run("first").predictions / "internal").is_dir(), "its images were read all the same"


def test_asking_for_a_sealed_truth_is_refused(volumes: tuple[Project, set[str], dict[str, TruthReference]]) -> None:
    project, _, _ = volumes
    cohort = project.cohort()
    for case in cohort.of("internal"):
        assert case.truth is None
        with pytest.raises(OverreadError, match="lies under the seal of the internal test"):
            load_truth(cohort, case)


def test_a_baseline_opens_no_sealed_truth(tmp_path: Path) -> None:
    project = film_project(tmp_path, "ball", positive="large")
    truths = read_truths(truths_path(project.path, "internal"))
    truths_path(project.path, "internal").write_bytes(SPOILT)
    with watched() as opened:
        baseline(project)
        seen = set(opened)
    assert touched(seen, forbidden(project, truths), project.images_folder) == []
    said = {"hypothesis": "h", "primary_endpoint": "auc"}
    with pytest.raises(Exception, match=r"(?i)parquet"):  # the spoilt table is what an opening stumbles over
        evaluate(project, "baseline", "internal", declare=said, panels=False)
    assert [e["entry"] for e in project.ledger.entries()][-1] == "opening", "and the attempt stands in the ledger"


def test_a_learning_curve_and_a_selection_open_no_sealed_truth_and_their_trainings_no_sealed_image(tmp_path: Path) -> None:
    project = volume_project(tmp_path)
    truths = read_truths(truths_path(project.path, "internal"))
    truths_path(project.path, "internal").write_bytes(SPOILT)
    inside = {Path(f).name for case in project.cohort().of("internal") for image in case.images for f in image.files}
    with watched() as opened:
        learning_curve(project, (0.6,), epochs=1, repeats=1, overrides=SMALL)
        seen = set(opened)
    assert touched(seen, forbidden(project, truths), project.images_folder) == []
    assert [p for p in seen if Path(p).name in inside] == [], "an image of the internal test was opened"
    with watched() as opened:
        select(project, ["training.learning_rate=1e-3,1e-4"], 2, epochs=1, overrides=SMALL)
        seen = set(opened)
    assert touched(seen, forbidden(project, truths), project.images_folder) == []
    assert [e["entry"] for e in project.ledger.entries()] == ["sealed"]


def others(folder: Path, count: int = 6) -> Path:
    """Volumes of other patients: `images/`, `masks/`, `sheet.csv`."""
    random = np.random.default_rng(99)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for k in range(count):
        image, mask = ball((18, 16, 20), 3 + (k % 3), random)
        for part, array in (("images", image), ("masks", mask)):
            nibabel.save(nibabel.Nifti1Image(array, np.diag([1.0, 1.0, 2.0, 1.0])), folder / part / f"ext{k}.nii.gz")
    write_sheet(folder / "sheet.csv", [{"exam": f"ext{k}", "patient": f"E{k}", "age": 60 + k} for k in range(count)])
    return folder


def test_a_model_reads_an_external_cohort_and_what_it_cannot_read_counts(
    volumes: tuple[Project, set[str], dict[str, TruthReference]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, _, _ = volumes
    made = others(tmp_path)
    other = external(project, "away", made / "images", made / "masks", made / "sheet.csv")
    sealed = truths_path(other.path, "internal")
    truths, whole = read_truths(sealed), sealed.read_bytes()
    sealed.write_bytes(SPOILT)
    gone = other.cohort().cases[2].case_id

    def load(cohort, case):
        if case.case_id == gone:
            raise Refused("not-finite", f"{case.case_id}: 3 voxels are NaN in /secret/path.")
        return load_image(cohort, case)

    load_image = predict.load_image
    monkeypatch.setattr(predict, "load_image", load)
    with watched() as opened:
        done = read_external(project, "away", "first")
        seen = set(opened)
    assert touched(seen, forbidden(other, truths), other.images_folder) == []
    assert (done.read, done.refused) == (5, {gone: "not-finite"})
    assert "secret" not in (done.folder / "answers.json").read_text()
    sealed.write_bytes(whole)
    said = {"hypothesis": "h", "primary_endpoint": f"dice/{project.question.classes[0]}"}
    result = evaluate(project, "first", "external:away", declare=said)
    assert (result["n_cases"], result["answered_only"]["n_cases"]) == (6, 5)
    row = next(r for r in result["cases"] if r["case_id"] == gone)
    assert row["refused"] == "not-finite"
    assert next(v for k, v in row["scores"].items() if k.startswith("dice/")) == 0.0
    first = next(s for s in result["answered_only"]["scores"] if s["metric"] == "dice")["interval"]["estimate"]
    main = next(s for s in result["scores"] if s["metric"] == "dice")["interval"]["estimate"]
    assert main == pytest.approx(first * 5 / 6)
    panels = read_json(project.run("first").path / "panels-external-away" / "panels.json")["panels"]
    assert gone not in {panel["case_id"] for panel in panels}
