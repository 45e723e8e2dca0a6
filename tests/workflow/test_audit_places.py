"""Where an audit writes is looked at first, and the record comes last."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from overread.audit.audited import Audited
from overread.core.errors import OverreadError
from overread.reporting.audit_page import AuditInput
from overread.workflow.audit import audit
from overread.workflow.audits import places
from overread.workflow.audits.places import LINK, PAGE, RECORD, places_of, write_everything
from overread.workflow.audits.subject import Subject
from overread.workflow.project import Project


def no_image(case_id: str):
    raise AssertionError("nothing is opened")


PAGE_INPUT = AuditInput("a folder of images", "2026-01-01T00:00:00+00:00", (), ())
SUBJECT = Subject(Audited((), no_image), {"C-0001": "Jansen.png"}, {"C-0001": "Jansen"})


def test_an_empty_folder_and_an_earlier_audit_may_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert places_of(tmp_path / "films", None, tmp_path / "empty") == (tmp_path / "empty",)
    (tmp_path / "stopped").mkdir()
    (tmp_path / "stopped" / PAGE).write_text("an audit that was stopped before its record")
    assert places_of(tmp_path / "films", None, tmp_path / "stopped") == (tmp_path / "stopped",)


def test_folders_that_cannot_take_an_audit_are_refused_before_anything_is_opened(tmp_path: Path) -> None:
    films = tmp_path / "films"
    films.mkdir()
    (films / "a.png").write_bytes(b"")
    with pytest.raises(OverreadError, match="exists and holds no audit"):
        audit(films, out=films)
    with pytest.raises(OverreadError, match="exists and holds no audit"):
        places_of(films, Project(tmp_path / "project"), films)
    with pytest.raises(OverreadError, match="Nothing can be written to"):
        audit(films, out=films / "a.png" / "out")


def test_a_closed_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places.os, "access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(OverreadError, match="Nothing can be written to"):
        places_of(tmp_path / "films", None, tmp_path / "out")


def test_a_project_keeps_its_own_record_wherever_the_page_goes(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert places_of(tmp_path, project, None) == (tmp_path / "audit",)
    assert places_of(tmp_path, project, tmp_path / "look") == (tmp_path / "look", tmp_path / "audit")
    assert places_of(tmp_path, project, tmp_path / "audit") == (tmp_path / "audit",)


def test_the_record_is_written_last_and_the_names_for_their_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    replaced = os.replace
    monkeypatch.setattr(os, "replace", lambda one, other: (order.append(f"{Path(other).name} {os.stat(one).st_mode & 0o777:o}"),
                                                           replaced(one, other)))  # fmt: skip
    write_everything([tmp_path / "out"], PAGE_INPUT, {"format": 1}, SUBJECT)
    assert order == [f"{LINK} 600", f"{PAGE} 644", f"{RECORD} 644"]
    assert "Jansen.png" in (tmp_path / "out" / LINK).read_text()
    assert "Jansen" not in (tmp_path / "out" / PAGE).read_text()
