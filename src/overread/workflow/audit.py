"""`overread audit`: what is wrong with a cohort before a network learns it. No torch is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from overread.audit.audited import Audited, called
from overread.audit.blank import look_for_blank
from overread.audit.concern import Concern, by_severity, counted_as, several
from overread.audit.labels.counts import count_labels
from overread.audit.labels.look import look_for_label_faults
from overread.audit.leaks.look import look_for_leaks
from overread.audit.masks.look import look_for_mask_faults
from overread.audit.objects.counts import object_table
from overread.audit.objects.look import measure_objects, object_concerns
from overread.audit.shortcuts.acquisition import look_for_differences
from overread.audit.shortcuts.marks import look_for_marks
from overread.audit.shortcuts.probes import look_for_shortcuts
from overread.audit.shortcuts.targets import targets_of
from overread.audit.size.look import look_for_size, size_table
from overread.audit.sketch import sketches
from overread.cohort.index import current_digest
from overread.cohort.progress import Progress
from overread.cohort.request import Request
from overread.core.errors import OverreadError
from overread.core.image import Image
from overread.reporting.audit_page import AuditInput, CasePicture
from overread.workflow.audits.pictures import pictures_of
from overread.workflow.audits.places import places_of, write_everything
from overread.workflow.audits.subject import Subject, of_folder, of_project
from overread.workflow.audits.tables import tables_of
from overread.workflow.project import Project

FORMAT = 1
UNNAMED = "a folder of images"  # its name is a part of a path


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
    out      folder to write to; else a project's own `audit/`, or NAME-audit where the images are no project
    """
    path = Path(path)
    is_project = (path / "project.toml").exists()
    project = Project.open(path) if is_project else None
    if is_project and (splits is not None or (request is not None and request != Request(path))):
        raise OverreadError(
            f"{path} is a project: its images, truth and split stand in project.toml.", "leave --truth, --sheet, --splits out"
        )
    places = places_of(path, project, out)
    subject = of_project(project, progress) if project else of_folder(request or Request(path), splits, progress)
    return _written(places, project, subject, _look(subject, progress))


@dataclass(frozen=True)
class _Found:
    concerns: tuple[Concern, ...]
    tables: Mapping[str, Any]
    looked: tuple[tuple[str, str], ...]
    pictures: tuple[CasePicture, ...]


def _look(subject: Subject, progress: Progress | None) -> _Found:
    audited, refused = subject.audited, dict[str, str]()
    drawn = sketches(audited, progress, refused=refused)
    others = {name: one for other in subject.elsewhere for name, one in sketches(other.audited, progress).items()}
    targets = targets_of(audited, progress)
    leaks = look_for_leaks(audited, {**drawn, **others}, progress, subject.elsewhere)
    blank = look_for_blank(audited, drawn)
    shortcuts, probes = look_for_shortcuts(audited, drawn, targets, progress=progress)
    marks, marked = look_for_marks(audited, drawn, targets, progress=progress)
    acquired, table = look_for_differences(audited, targets, progress=progress)
    labels = look_for_label_faults(audited, drawn, progress=progress)
    masks = look_for_mask_faults(audited, progress, refused)
    objects = measure_objects(audited, progress)
    drawn_so = object_concerns(audited, objects)
    size = look_for_size(audited)
    missing = _missing(subject, refused)
    tables = {
        "labels": count_labels(audited),
        "probes": probes,
        "marks": {name: value for name, value in marked.items() if name != "marks"},
        "acquisition": table,
        "size": size_table(audited),
        "objects": object_table(audited, objects),
    }
    concerns = by_severity([*missing, *leaks, *blank, *shortcuts, *marks, *acquired, *labels, *drawn_so, *masks, *size])
    looked = _looked(audited, {"leak": leaks, "shortcut": shortcuts + marks, "acquisition": acquired + blank, "labels": labels,
                               "objects": drawn_so, "masks": masks, "size": size})  # fmt: skip
    return _Found(tuple(concerns), tables, looked, pictures_of(_everything(subject), concerns, progress))


def _everything(subject: Subject) -> Audited:
    """The cohort and its external cohorts, to draw pictures of."""
    openers = {c.case_id: other.audited.open_image for other in subject.elsewhere for c in other.audited.cases}
    own = subject.audited.open_image

    def open_any(case_id: str) -> Image:
        return openers.get(case_id, own)(case_id)

    others = (case for other in subject.elsewhere for case in other.audited.cases)
    return replace(subject.audited, cases=(*subject.audited.cases, *others), open_image=open_any)


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
            f"{counted_as(count, 'image or file was', 'images or files were')} left out: "
            f"{', '.join(f'{n} {reason}' for reason, n in reasons.items())}.",
            "They are not part of what this audit says; where being left out goes with the disease, neither is the cohort.",
            "Certain: they could not be opened, matched or used.",
            "Look at the reasons; `overread init --dry-run` names each file.",
            reasons,
        )
    ]


WORDS = {
    "leak": "patients, studies and images on both sides of the split, twins, contradicting truths",
    "shortcut": "ways to the answer that are not disease: headers, borders, background, intensities, marks",
    "acquisition": "how images were made, against label and partition; images that show nothing",
    "labels": "counts, rare classes, suspect labels",
    "objects": "objects labelled twice or under two classes, of unusual size, cut by the border; clean images",
    "masks": "islands, holes, wrong side, outside the body",
    "size": "how wide intervals will be, and what a comparison can show",
}


def _looked(audited: Audited, found: Mapping[str, Sequence[Concern]]) -> tuple[tuple[str, str], ...]:
    rows = []
    for subject, concerns in found.items():
        if subject == "objects" and audited.open_objects is None:
            continue
        if subject != "leak" and audited.question is None and subject != "acquisition":
            rows.append((WORDS[subject], "not looked for: no truth was given"))
        elif subject == "masks" and audited.open_truth is None:
            rows.append((WORDS[subject], "not looked for: no masks of structures were given"))
        else:
            count = sum(c.severity != "note" for c in concerns)
            told = f"{count} to look at" if count else "nothing to be put right"
            between = "" if subject != "leak" or audited.partitions else "; no split was given, so nothing between its sides"
            rows.append((WORDS[subject], told + between))
    return tuple(rows)


def _written(places: Sequence[Path], project: Project | None, subject: Subject, found: _Found) -> Audit:
    audited = subject.audited
    created = datetime.now(UTC).isoformat(timespec="seconds")
    counts = _counts(subject)
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
    title, tables = project.name if project else UNNAMED, tables_of(found.tables)
    page = AuditInput(title, created, counts, found.concerns, found.looked, tables, found.pictures, audited.is_phantom)
    write_everything(places, page, record, subject if project is None else None)
    if project is not None:
        faults = sum(concern.severity == "fault" for concern in found.concerns)
        project.ledger.append(
            "audit", cohort=record["cohort"], read="counts and digests of sealed truths, no sealed truth", faults=faults
        )
    notes = tuple(subject.notes)
    return Audit(places[0], counts, found.concerns, found.looked, notes, subject.names, record, project is not None)


def _counts(subject: Subject) -> tuple[tuple[str, str], ...]:
    audited = subject.audited
    made = [case for case in audited.cases if case.is_made]
    patients = len({case.patient_id for case in audited.cases if not case.is_made}) if audited.patients_known else None
    rows = [("Cases", str(len(audited.cases))), ("Patients", "not known" if patients is None else str(patients))]
    if audited.question is not None:
        positive = f"; positive is {audited.question.positive}" if audited.question.positive else ""
        rows.append(("Question", f"{audited.question.task}: {several(audited.question.classes, 12)}{positive}"))
    for partition in audited.partitions:
        rows.append((called(partition), str(sum(case.partition == partition for case in audited.cases))))
    rows += [(other.name, str(len(other.audited.cases))) for other in subject.elsewhere]
    if made:
        tested = sum(case.partition not in ("", "training") for case in made)
        where = f"{tested} of them OUTSIDE TRAINING" if tested else "for training alone"
        rows.append(("Made by a network", f"{len(made)}, {where}"))
    return tuple(rows)
