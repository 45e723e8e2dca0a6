"""`overread update`: a new version in which nobody changes partition; changed data stop everything else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cohort.folders import film_cohort, mask_cohort, write_mask, write_png, write_volume
from overread.cohort.index import read_splits, versions
from overread.core.errors import OverreadError
from overread.workflow.init import init
from overread.workflow.project import Project
from overread.workflow.update import update


def links(folder: Path) -> dict[str, str]:
    return {line.split(",")[3]: line.split(",")[0] for line in (folder / "cohort/private/link.csv").read_text().splitlines()[1:]}


def add(sheet: Path, images: Path, name: str, patient: str, label: str, seed: int) -> None:
    write_png(images / name, seed)
    with open(sheet, "a") as file:
        file.write(f"{name},{patient},{label},50\n")


@pytest.mark.parametrize("folds", [None, 4])
def test_new_patients_new_exams_and_corrected_labels(tmp_path: Path, folds: int | None) -> None:
    images, sheet = film_cohort(tmp_path, patients=16)
    init(tmp_path / "p", images, sheet=sheet, positive="ill", folds=folds)
    before = read_splits(tmp_path / "p")
    place = before.get("partition") or before["fold"]
    old = links(tmp_path / "p")
    for k in range(8):
        add(sheet, images, f"n{k}.png", f"NEW-{k}", "ill" if k % 2 else "well", 5000 + k)
    add(sheet, images, "p01_2.png", "PAT-001", "ill", 6000)
    sheet.write_text(sheet.read_text().replace("p02_1.png,PAT-002,well", "p02_1.png,PAT-002,ill"))
    project = update(tmp_path / "p")
    assert project.summary is not None
    after = read_splits(tmp_path / "p")
    now = after.get("partition") or after["fold"]
    assert {c: now[c] for c in place} == place
    assert {n: c for n, c in links(tmp_path / "p").items() if n in old} == old
    assert now[links(tmp_path / "p")["p01_2.png"]] == place[old["p01_1.png"]]
    assert len(set(now.values())) == len(set(place.values()))
    if folds:
        for fold, tuned in before["tuning"].items():
            assert set(tuned) <= set(after["tuning"][fold])
    changed = project.summary.facts["changed"]
    assert changed["new_cases"] == 9
    assert changed["new_patients"] == 8
    assert changed["new_exams_of_known_patients"] == 1
    assert changed["corrected_truths"] == [old["p02_1.png"]]
    assert changed["changed_images"] == []
    assert [v["version"] for v in versions(tmp_path / "p")] == [1, 2]
    assert [e["entry"] for e in project.ledger.entries()] == ["sealed", "updated"]
    assert "corrected truths" in str(project.summary)
    Project.open(tmp_path / "p").cohort(0 if folds else None)


def test_nothing_changed(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path)
    before = init(tmp_path / "p", images, sheet=sheet, positive="ill").cohort()
    project = update(tmp_path / "p")
    assert "nothing changed" in str(project.summary)
    assert project.cohort().digest == before.digest
    assert project.cohort().partition == before.partition
    assert [v["version"] for v in versions(tmp_path / "p")] == [1]
    assert [e["entry"] for e in project.ledger.entries()] == ["sealed"]


def test_changed_data_stop_and_point_to_update(tmp_path: Path) -> None:
    images, masks = mask_cohort(tmp_path, cases=9)
    project = init(tmp_path / "p", images, masks)
    write_mask(masks / "case_01.nii.gz", values=(2, 1))
    (images / "case_02.nii.gz").unlink()
    with pytest.raises(OverreadError) as caught:
        project.cohort()
    said = str(caught.value)
    assert "1 file is missing: case_02.nii.gz; 1 file is changed: case_01.nii.gz" in said
    assert f"overread update {tmp_path / 'p'}" in said
    project = update(tmp_path / "p")
    assert project.summary is not None
    assert project.summary.facts["changed"]["removed_cases"] == 1
    assert project.summary.facts["changed"]["corrected_truths"] == [links(tmp_path / "p")["case_01.nii.gz"]]
    assert len(project.cohort().cases) == 8


def test_a_new_date_alone_is_no_change(tmp_path: Path) -> None:
    images, masks = mask_cohort(tmp_path)
    project = init(tmp_path / "p", images, masks)
    for path in images.iterdir():
        path.touch()
    assert len(project.cohort().cases) == len(list(images.iterdir()))


def test_changed_images_are_listed(tmp_path: Path) -> None:
    images, masks = mask_cohort(tmp_path)
    init(tmp_path / "p", images, masks)
    write_volume(images / "case_04.nii.gz", 777)
    project = update(tmp_path / "p")
    assert project.summary is not None
    assert project.summary.facts["changed"]["changed_images"] == [links(tmp_path / "p")["case_04.nii.gz"]]


def test_a_new_image_that_ties_two_partitions_is_refused(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path, patients=16)
    project = init(tmp_path / "p", images, sheet=sheet, positive="ill")
    partition, names = project.cohort().partition, links(tmp_path / "p")
    training = next(n for n, c in names.items() if partition[c] == "training")
    internal = next(n for n, c in names.items() if partition[c] == "internal")
    write_png(images / "new.png", 1)
    (images / "new.png").write_bytes((images / training).read_bytes())
    patient = "PAT-" + internal[1:3].zfill(3)
    with open(sheet, "a") as file:
        file.write(f"new.png,{patient},ill,50\n")
    with pytest.raises(OverreadError, match="identical to one of a patient in another partition"):
        update(tmp_path / "p")


def test_a_patient_may_not_move(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path)
    init(tmp_path / "p", images, sheet=sheet, positive="ill")
    sheet.write_text(sheet.read_text().replace("p03_1.png,PAT-003", "p03_1.png,PAT-004"))
    with pytest.raises(OverreadError, match=r"p03_1.png was of 'PAT-003' and is now of 'PAT-004'"):
        update(tmp_path / "p")


def test_splits_changed_by_hand_are_noticed(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path)
    project = init(tmp_path / "p", images, sheet=sheet, positive="ill")
    path = tmp_path / "p" / "cohort" / "splits.json"
    path.write_text(path.read_text().replace('"internal"', '"training"', 1))
    with pytest.raises(OverreadError, match="was changed after it was frozen"):
        project.cohort()


def test_a_case_that_was_gone_comes_back_to_its_partition(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path, patients=16)
    project = init(tmp_path / "p", images, sheet=sheet, positive="ill")
    partition, names = project.cohort().partition, links(tmp_path / "p")
    name = next(n for n, c in names.items() if partition[c] == "internal")
    content = (images / name).read_bytes()
    (images / name).unlink()
    project = update(tmp_path / "p")
    assert names[name] not in project.cohort().partition
    update(tmp_path / "p")
    (images / name).write_bytes(content)
    add(sheet, images, "n1.png", "NEW-1", "ill", 9000)
    again = update(tmp_path / "p")
    assert again.cohort().partition[names[name]] == "internal"
    assert links(tmp_path / "p")[name] == names[name]
    assert links(tmp_path / "p")["n1.png"] == "C-0017"


def cohort_files(folder: Path) -> dict[Path, bytes]:
    """Every file but the remembered headers, which describe the images and not the cohort."""
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "headers.sqlite"}


def test_an_update_that_fails_leaves_the_cohort_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, sheet = film_cohort(tmp_path)
    project = init(tmp_path / "p", images, sheet=sheet, positive="ill")
    before = cohort_files(tmp_path / "p")
    add(sheet, images, "n1.png", "NEW-1", "ill", 9000)
    monkeypatch.setattr("overread.workflow.update._record", lambda *_: (_ for _ in ()).throw(RuntimeError("power cut")))
    with pytest.raises(RuntimeError):
        update(tmp_path / "p")
    assert cohort_files(tmp_path / "p") == before
    with pytest.raises(OverreadError, match=r"1 file is changed: labels.csv"):
        project.cohort()


def test_images_that_were_moved_point_to_the_settings(tmp_path: Path) -> None:
    images, sheet = film_cohort(tmp_path)
    project = init(tmp_path / "p", images, sheet=sheet, positive="ill")
    images.rename(tmp_path / "elsewhere")
    with pytest.raises(OverreadError, match=r"images\.folder in .*project\.toml(?s:.*)correct images\.folder there"):
        update(project.path)


def test_an_interrupt_while_the_new_cohort_takes_its_place_brings_the_old_one_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, sheet = film_cohort(tmp_path)
    project = init(tmp_path / "p", images, sheet=sheet, positive="ill")
    before = versions(project.path)
    replace = os.replace

    def interrupted(source: Path, target: Path) -> None:
        if Path(source).name == "cohort" and Path(target).parent == project.path:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        update(project.path)
    assert versions(project.path) == before
    assert not list(project.path.glob(".updating-*"))
