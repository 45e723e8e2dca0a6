"""A full disk leaves nothing half-made, and the message names the folder that was asked for."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest

from overread.cohort.phantom import build
from overread.core.errors import OverreadError
from overread.record import files
from overread.workflow.phantom import phantom
from workflow.balls import film_project

SMALL = {"kind": "chest", "patients": 2, "size": 64, "format": "png", "workers": 1}


def no_space(*words: object, **options: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(("where", "what"), [(files, "_sync"), (build, "_write_one")])
@pytest.mark.parametrize("was_there", [True, False])
def test_a_phantom_is_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: object, what: str, was_there: bool
) -> None:
    folder = tmp_path / "phantom"
    if was_there:
        folder.mkdir()
    monkeypatch.setattr(where, what, no_space)
    said = f"disk is full: the phantom {folder} could not be written; nothing of it is left.\n  Next: free space in {tmp_path},"
    with pytest.raises(OverreadError, match=re.escape(said)):
        phantom(folder, **SMALL)
    assert [p.name for p in tmp_path.rglob("*")] == (["phantom"] if was_there else [])
    monkeypatch.undo()
    assert phantom(folder, **SMALL).exams >= 2


def test_a_phantom_that_is_stopped_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*words: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "_coco", stop)
    with pytest.raises(KeyboardInterrupt):
        phantom(tmp_path / "phantom", **SMALL)
    assert list(tmp_path.iterdir()) == []


def test_init_names_the_project_and_not_the_hidden_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_sync", no_space)
    with pytest.raises(OverreadError) as caught:
        film_project(tmp_path, "ball", positive="large")
    folder = tmp_path / "project"
    assert caught.value.what == f"The disk is full: the project {folder} could not be written; nothing of it is left."
    assert caught.value.next == f"free space in {tmp_path}, then run the same command again"
    assert [p.name for p in tmp_path.iterdir()] == ["cohort"]
