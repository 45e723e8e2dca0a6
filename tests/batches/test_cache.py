"""The cache: built whole or not at all, found again, mapped and not loaded, and blind to sealed cases."""

from __future__ import annotations

import numpy as np
import pytest

from overread.batches import cache as module
from overread.batches.cache import open_cache
from overread.core.errors import OverreadError
from overread.core.preparation import Normalisation, Preparation
from overread.tasks import make
from workflow.balls import volume_project

PREPARATION = Preparation(("image",), "a.u.", 3, (2.0, 1.0, 1.0), None, (16, 16, 16), False, (Normalisation("per-image"),))


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return volume_project(tmp_path_factory.mktemp("cache"))


def opened(project, folder, **changes):
    given = {"folder": folder, "encoding": {}} | changes
    return open_cache(project.cohort(), PREPARATION, make(project.question), **given)


def test_only_training_and_tuning_cases_are_in_it(project, tmp_path):
    cohort = project.cohort()
    held = {c.case_id for part in ("training", "tuning") for c in cohort.of(part)}
    assert set(opened(project, tmp_path).cases) == held
    assert held.isdisjoint(c.case_id for c in cohort.of("internal"))


def test_arrays_are_mapped_from_the_file_and_points_lie_in_their_structure(project, tmp_path):
    for case in opened(project, tmp_path).cases.values():
        assert isinstance(case.image.base, np.memmap) or isinstance(case.image, np.memmap)
        assert not case.image.flags.writeable
        assert case.image.shape[1:] == case.target.shape
        for value, points in case.points.items():
            assert (case.target[tuple(points.T)] == value).all()


def test_it_is_built_once_and_found_again(project, tmp_path):
    told = []
    opened(project, tmp_path, advance=lambda n, note: told.append(note))
    built = len(told)
    opened(project, tmp_path, advance=lambda n, note: told.append(note))
    assert built == len(set(told)) == len(told)
    opened(project, tmp_path, encoding={"another": 1}, advance=lambda n, note: told.append(note))
    assert len(told) == 2 * built


def test_processes_give_the_same_cache_as_one(project, tmp_path, in_processes):
    one = opened(project, tmp_path / "one")
    with in_processes() as asked:
        two = opened(project, tmp_path / "two")
    assert asked == ["preparing cases"]
    assert (one.folder / "images.f16").read_bytes() == (two.folder / "images.f16").read_bytes()


def test_a_failure_names_case_and_stage_and_leaves_nothing(project, tmp_path, monkeypatch):
    def unreadable(cohort, case):
        raise OverreadError("the file is unreadable", "fetch it again")

    monkeypatch.setattr(module, "load_image", unreadable)
    with pytest.raises(OverreadError, match=r"Case C-\d+, while reading the image: the file is unreadable"):
        opened(project, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named(project, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "replace", full)
    with pytest.raises(OverreadError, match=r"cache of prepared cases could not be written(?s:.*)free disk space"):
        opened(project, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["images.f16", "targets.bin", "points.i32", "index.json"])
@pytest.mark.parametrize("damage", ["emptied", "cut", "gone"])
def test_a_damaged_cache_is_built_again(project, tmp_path, name, damage):
    told = []
    made = opened(project, tmp_path)
    path = made.folder / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-2] if damage == "cut" else b"")
    if damage == "gone":
        path.unlink()
    again = opened(project, tmp_path, advance=lambda n, note: told.append(note))
    assert set(told) == set(made.cases)
    assert (again.folder / name).read_bytes() == whole
