"""`overread audit`: what is wrong with a cohort before a network learns it. No torch is needed."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from overread.audit.audited import Audited
from overread.audit.concern import Concern, by_severity
from overread.audit.labels.counts import count_labels
from overread.audit.labels.look import look_for_label_faults
from overread.audit.leaks.look import look_for_leaks
from overread.audit.masks.look import look_for_mask_faults
from overread.audit.shortcuts.acquisition import look_for_differences
from overread.audit.shortcuts.marks import look_for_marks
from overread.audit.shortcuts.probes import look_for_shortcuts
from overread.audit.shortcuts.targets import targets_of
from overread.audit.size.look import look_for_size
from overread.audit.size.rows import comparison_rows, interval_rows, parts_to_score
from overread.audit.sketch import sketches
from overread.cohort.index import current_digest
from overread.cohort.progress import Progress
from overread.cohort.request import Request
from overread.core.errors import OverreadError
from overread.record.files import write_json, write_text
from overread.reporting.audit_page import AuditInput, CasePicture, write_audit
from overread.workflow.audits.pictures import pictures_of
from overread.workflow.audits.subject import Subject, of_folder, of_project
from overread.workflow.audits.tables import tables_of
from overread.workflow.project import Project

FORMAT = 1
OWNER_ONLY = 0o600


@dataclass(frozen=True)
class Audit:
    """What was found.

    folder  where audit.html and audit.json lie
    looked  (what was looked for, what came of it)
    names   case_id -> what the user calls it; for the terminal
    """

    folder: Path
    counts: tuple[tuple[str, str], ...]
    concerns: tuple[Concern, ...]
    looked: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    names: Mapping[str, str]
    record: Mapping[str, Any]
    is_project: bool


def audit(
    path: Path | str,
    *,
    request: Request | None = None,
    splits: str | Path | None = None,
    out: Path | str | None = None,
    progress: Progress | None = None,
) -> Audit:
    """Look for leaks, shortcuts, faults of labels and masks, and whether the cases suffice; write a page and a record.

    path     a project, or a folder of images
    request  folder: truth, sheet and columns, as `init` takes them
    splits   folder: the split that is to be checked, as `init` takes it
    out      folder to write to; a project's own `audit/`, or NAME-audit where the images are no project
    """
    path = Path(path)
    is_project = (path / "project.toml").exists()
    project = Project.open(path) if is_project else None
    if is_project and (splits is not None or (request is not None and request != Request(path))):
        raise OverreadError(
            f"{path} is a project: its images, truth and split stand in project.toml.", "leave --truth, --sheet, --splits out"
        )
    folder = Path(out) if out is not None else path / "audit" if is_project else Path(f"{path.resolve().stem}-audit")
    if project is None and folder.exists() and not (folder / "audit.json").exists():
        raise OverreadError(f"{folder} exists and holds no audit.", "give another folder with --out")
    subject = of_project(project, progress) if project else of_folder(request or Request(path), splits, progress)
    found = _look(subject, progress)
    return _written(folder, project, path.resolve().stem, subject, found)


@dataclass(frozen=True)
class _Found:
    concerns: tuple[Concern, ...]
    tables: Mapping[str, Any]
    looked: tuple[tuple[str, str], ...]
    pictures: tuple[CasePicture, ...]


def _look(subject: Subject, progress: Progress | None) -> _Found:
    audited, refused = subject.audited, dict[str, str]()
    drawn = sketches(audited, progress, refused=refused)
    targets = targets_of(audited, progress)
    leaks = look_for_leaks(audited, drawn, progress)
    shortcuts, probes = look_for_shortcuts(audited, drawn, targets, progress=progress)
    marks, marked = look_for_marks(audited, drawn, targets, progress=progress)
    acquired, table = look_for_differences(audited, targets, progress=progress)
    labels = look_for_label_faults(audited, drawn, progress=progress)
    masks = look_for_mask_faults(audited, progress, refused)
    size = look_for_size(audited)
    missing = _missing(subject, refused)
    tables = {
        "labels": count_labels(audited),
        "probes": probes,
        "marks": {name: value for name, value in marked.items() if name != "marks"},
        "acquisition": table,
        **_sizes(audited),
    }
    concerns = by_severity([*missing, *leaks, *shortcuts, *marks, *acquired, *labels, *masks, *size])
    looked = _looked(audited, {"leak": leaks, "shortcut": shortcuts + marks, "acquisition": acquired, "labels": labels,
                               "masks": masks, "size": size})  # fmt: skip
    return _Found(tuple(concerns), tables, looked, pictures_of(audited, concerns, progress))


def _sizes(audited: Audited) -> dict[str, Any]:
    question = audited.question
    parts = parts_to_score(audited) if question is not None else []
    return {
        "size": [row for part in parts for row in interval_rows(question, part)] if question else [],
        "comparison": [row for part in parts for row in comparison_rows(question, part)] if question else [],
    }


def _missing(subject: Subject, refused: Mapping[str, str]) -> list[Concern]:
    """Images that could not be looked at: nothing is known of them, and that is said."""
    count = sum(subject.left_out.values()) + len(refused)
    if not count:
        return []
    reasons = dict(subject.left_out) | ({"could not be opened": len(refused)} if refused else {})
    return [
        Concern(
            "not-looked-at",
            "labels",
            "note",
            f"{count} images or files were left out: {', '.join(f'{n} {reason}' for reason, n in reasons.items())}.",
            "They are not part of what this audit says; where being left out goes with the disease, neither is the cohort.",
            "Certain: they could not be opened, matched or used.",
            "Look at the reasons; `overread init --dry-run` names each file.",
            reasons,
        )
    ]


WORDS = {
    "leak": "patients, studies and images on both sides of the split, twins, contradicting truths",
    "shortcut": "ways to the answer that are not disease: headers, borders, background, intensities, marks",
    "acquisition": "how images were made, against label and partition",
    "labels": "counts, rare classes, suspect labels",
    "masks": "islands, holes, wrong side, outside the body",
    "size": "how wide intervals will be, and what a comparison can show",
}


def _looked(audited: Audited, found: Mapping[str, Sequence[Concern]]) -> tuple[tuple[str, str], ...]:
    rows = []
    for subject, concerns in found.items():
        if subject != "leak" and audited.question is None and subject != "acquisition":
            rows.append((WORDS[subject], "not looked for: no truth was given"))
        elif subject == "masks" and audited.open_truth is None:
            rows.append((WORDS[subject], "not looked for: the truth is not drawn"))
        else:
            count = sum(c.severity != "note" for c in concerns)
            told = f"{count} to look at" if count else "nothing to be put right"
            between = "" if subject != "leak" or audited.partitions else "; no split was given, so nothing between its sides"
            rows.append((WORDS[subject], told + between))
    return tuple(rows)


def _written(folder: Path, project: Project | None, name: str, subject: Subject, found: _Found) -> Audit:
    audited = subject.audited
    created = datetime.now(UTC).isoformat(timespec="seconds")
    counts = _counts(audited)
    record = {
        "format": FORMAT,
        "created": created,
        "cohort": current_digest(project.path) if project else None,
        "is_phantom": audited.is_phantom,
        "counts": dict(counts),
        "concerns": [concern.as_dict() for concern in found.concerns],
        "looked": [list(row) for row in found.looked],
        "tables": dict(found.tables),
    }
    folder.mkdir(parents=True, exist_ok=True)
    title = project.name if project else name
    tables = tables_of(found.tables)
    page = AuditInput(title, created, counts, found.concerns, found.looked, tables, found.pictures, audited.is_phantom)
    write_audit(folder / "audit.html", page)
    write_json(folder / "audit.json", record)
    if project is None:
        _write_link(folder / "audit-link.csv", subject)
    else:
        faults = sum(concern.severity == "fault" for concern in found.concerns)
        project.ledger.append(
            "audit", cohort=record["cohort"], read="counts and digests of sealed truths, no sealed truth", faults=faults
        )
    return Audit(folder, counts, found.concerns, found.looked, tuple(subject.notes), subject.names, record, project is not None)


def _counts(audited: Audited) -> tuple[tuple[str, str], ...]:
    patients = len({case.patient_id for case in audited.cases}) if audited.patients_known else None
    rows = [("Cases", str(len(audited.cases))), ("Patients", "not known" if patients is None else str(patients))]
    if audited.question is not None:
        positive = f"; positive is {audited.question.positive}" if audited.question.positive else ""
        rows.append(("Question", f"{audited.question.task}: {', '.join(audited.question.classes)}{positive}"))
    for partition in audited.partitions:
        rows.append((partition.replace("-", " "), str(sum(case.partition == partition for case in audited.cases))))
    return tuple(rows)


def _write_link(path: Path, subject: Subject) -> None:
    """What stands behind the pseudonyms of an audit without a project; readable by its owner alone."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case_id", "original_name", "original_patient"])
    writer.writerows([case, name, subject.patients[case]] for case, name in sorted(subject.names.items()))
    write_text(path, text.getvalue())
    os.chmod(path, OWNER_ONLY)
