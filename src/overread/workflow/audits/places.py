"""Where an audit writes: looked at before anything is opened, written so that the record comes last."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from overread.core.errors import OverreadError
from overread.record.files import write_json, write_text
from overread.reporting.audit_page import AuditInput, write_audit
from overread.workflow.audits.subject import Subject
from overread.workflow.project import Project

PAGE, RECORD, LINK = "audit.html", "audit.json", "audit-link.csv"
OWNER_ONLY = 0o600


def places_of(path: Path, project: Project | None, out: Path | str | None) -> tuple[Path, ...]:
    """The folders to write to, the one that the user asked for first; refused where nothing could be written.

    A project's own `audit/` is always among them: training looks there for leaks.
    """
    own = path / "audit" if project is not None else Path(f"{path.resolve().stem}-audit")
    asked = own if out is None else Path(out)
    if asked != own or project is None:
        _refuse_strange(asked)
    places = (asked, own) if project is not None and asked.resolve() != own.resolve() else (asked,)
    for place in places:
        _refuse_closed(place)
    return places


def _refuse_strange(folder: Path) -> None:
    """Nothing is written among files that are no audit's."""
    is_audit = any((folder / name).exists() for name in (PAGE, RECORD, LINK))
    if folder.exists() and not is_audit and not (folder.is_dir() and not any(folder.iterdir())):
        raise OverreadError(f"{folder} exists and holds no audit.", "give another folder with --out")


def _refuse_closed(folder: Path) -> None:
    """A folder that cannot be made or written to is named before hours of looking."""
    there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise OverreadError(f"Nothing can be written to {folder}.", "make it writable, or give another folder with --out")


def write_everything(places: Sequence[Path], page: AuditInput, record: Mapping[str, Any], private: Subject | None) -> None:
    """Page and record into every place, the record last: where it is, the rest is.

    private  what stands behind the pseudonyms, of an audit without a project; None where the project has it
    """
    for folder in places:
        folder.mkdir(parents=True, exist_ok=True)
        if private is not None:
            write_text(folder / LINK, _link(private), OWNER_ONLY)
        write_audit(folder / PAGE, page)
        write_json(folder / RECORD, dict(record))


def _link(subject: Subject) -> str:
    """What stands behind the pseudonyms, as a sheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case_id", "original_name", "original_patient"])
    writer.writerows([case, name, subject.patients[case]] for case, name in sorted(subject.names.items()))
    return text.getvalue()
