"""`overread external`: patients from elsewhere, on whom a frozen model is tested.

An external cohort lies in DIR/external/NAME and is built like a project, so that everything that opens a project opens it:
a cohort of its own, with its own pseudonyms, whose only partition is a sealed test. Classes and rules come from the
project; what was opened when stands in the project's ledger.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from overread.cohort.folders import headers_path
from overread.cohort.gather import Gathered, gather
from overread.cohort.index import read_index, read_splits
from overread.cohort.names import NAME_RULES
from overread.cohort.overlap import Overlap, compares_patients, find_overlap, refuse_overlap
from overread.cohort.partition import Division, Wish, all_sealed
from overread.cohort.progress import Progress
from overread.cohort.request import Request
from overread.cohort.sheet import read_sheet
from overread.cohort.store import Stored, store
from overread.core.errors import OverreadError
from overread.workflow.cohorts.requests import request_of
from overread.workflow.cohorts.settings_lines import draft_settings
from overread.workflow.cohorts.summary import summarise
from overread.workflow.project import Project, Summary
from overread.workflow.settings import Settings
from overread.workflow.settings_file import write_settings

PREFIX = "external:"
FOLDER = "external"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
SHEETS = (".csv", ".tsv", ".txt", ".xlsx", ".xls")


@dataclass(frozen=True)
class Columns:
    """Columns of the external sheet, where they are called otherwise than in the project's; None takes the project's."""

    id_column: str | None = None
    label: tuple[str, ...] = ()
    group_by: str | None = None
    site: str | None = None
    scanner: str | None = None
    date: str | None = None
    side: str | None = None
    covariates: tuple[str, ...] = ()


def external(
    project: Project | Path | str,
    name: str,
    images: Path | str,
    truth: Path | str | None = None,
    sheet: Path | str | None = None,
    *,
    columns: Columns | None = None,
    names: Mapping[str, str] | None = None,
    series: Mapping[str, str] | None = None,
    leak_override: str = "",
    leave_out_faulty: bool = False,
    progress: Progress | None = None,
) -> Project:
    """Take in an external cohort, whole or not at all; what was found stands in the summary of what is given back.

    name           what the cohort is called, in reports too
    images         folder of its images
    truth, sheet   as for `init`
    names          value in its truth -> name of the class or structure in the project
    series         rules for the choice among series, where they are called otherwise than in the project
    leak_override  why patients or images that the project has too are accepted; recorded in the ledger
    """
    project = project if isinstance(project, Project) else Project.open(Path(project))
    folder = project.path.resolve() / FOLDER / name
    _refuse_name(folder, name)
    request = _request(project, Path(images), truth, sheet, columns or Columns(), names or {}, series or {}, leave_out_faulty)
    with tempfile.TemporaryDirectory(prefix="overread-") as place:
        request = replace(request, headers=Path(place) / "headers.sqlite")
        gathered = gather(request, progress)
        _refuse_another_kind(project, gathered)
        overlaps = find_overlap(project.path, gathered)
        if not leak_override:
            refuse_overlap(overlaps, f"the external cohort '{name}'", "the project", "--leak-override")
        division = all_sealed(gathered)
        settings, reasons = _settings(project, folder, request, gathered, division)
        stored = _write(folder, settings, reasons, gathered, division, request.headers, progress)
    compared = compares_patients(project.path, gathered)
    _record(project, name, stored, overlaps, compared, leak_override)
    return Project(folder, _summary(project, folder, gathered, division, settings, stored, compared, len(overlaps)))


def external_cohorts(project: Project) -> tuple[Project, ...]:
    """The external cohorts of a project, by name."""
    folder = project.path / FOLDER
    return tuple(Project(p) for p in sorted(folder.iterdir()) if (p / "project.toml").exists()) if folder.is_dir() else ()


def open_external(project: Project, name: str) -> Project:
    """An external cohort of a project by its name, without or with "external:" before it."""
    name = name.removeprefix(PREFIX)
    folder = project.path / FOLDER / name
    if not NAME.fullmatch(name) or not (folder / "project.toml").exists():
        known = ", ".join(p.path.name for p in external_cohorts(project)) or "none yet"
        raise OverreadError(
            f"There is no external cohort '{name}' in this project (there are: {known}).",
            f"take it in with `overread external {project.path} {name or 'NAME'} --images FOLDER`",
        )
    return Project.open(folder)


def home_of(project: Project) -> Project | None:
    """The project that an external cohort belongs to; None for a project itself."""
    folder = project.path.resolve()
    if folder.parent.name != FOLDER or not (folder.parent.parent / "project.toml").exists():
        return None
    return Project.open(folder.parent.parent) if read_splits(folder)["scheme"] == "external" else None


def label_of(external_cohort: Project) -> str:
    """What the ledger and `--on` call an external cohort."""
    return f"{PREFIX}{external_cohort.path.name}"


def _refuse_name(folder: Path, name: str) -> None:
    if not NAME.fullmatch(name):
        raise OverreadError(
            f"'{name}' cannot be the name of an external cohort.", "use letters, digits, - and _, for example twente-2024"
        )
    if folder.exists():
        raise OverreadError(
            f"There is an external cohort '{name}' already.",
            f"take in what is new with `overread update {folder}`, or give this one another name",
        )


def _request(
    project: Project,
    images: Path,
    truth: Path | str | None,
    sheet: Path | str | None,
    columns: Columns,
    names: Mapping[str, str],
    series: Mapping[str, str],
    leave_out_faulty: bool,
) -> Request:
    """The project's own request, with other folders, and with those of its columns that the other sheet has too."""
    own = request_of(project)
    table = Path(sheet) if sheet is not None else Path(truth) if truth is not None and _is_sheet(Path(truth)) else None
    has = {c.casefold().strip() for c in read_sheet(table).columns} if table is not None else set()

    def column(given: str | None, usual: str | None) -> str | None:
        return given or (usual if usual is not None and usual.casefold() in has else None)

    labels = columns.label or tuple(c for c in own.said.labels if c.casefold() in has)
    if own.said.labels and table is not None and len(labels) < len(own.said.labels):
        missing = next(c for c in own.said.labels if c.casefold() not in has)
        raise OverreadError(
            f"The project learned the column '{missing}', and {table.name} has no such column; it has "
            f"{', '.join(read_sheet(table).columns)}.",
            "name the column that holds the truth here with --label",
        )
    kept = tuple(c for c in own.covariates if c.casefold() in has)
    return replace(
        own,
        images=images,
        truth=None if truth is None else Path(truth),
        sheet=None if sheet is None else Path(sheet),
        said=replace(own.said, labels=labels, names={**own.said.names, **names}),
        id_column=column(columns.id_column, own.id_column),
        group_by=own.group_by
        if columns.group_by is None and own.group_by in NAME_RULES
        else column(columns.group_by, own.group_by),
        site=column(columns.site, own.site),
        scanner=column(columns.scanner, own.scanner),
        date=column(columns.date, own.date),
        side=column(columns.side, own.side),
        covariates=tuple(dict.fromkeys([*kept, *columns.covariates])),
        series={**own.series, **series},
        faulty="leave out" if leave_out_faulty else "refuse",
    )


def _is_sheet(path: Path) -> bool:
    return Path(str(path).partition("#")[0]).suffix.lower() in SHEETS


def _refuse_another_kind(project: Project, gathered: Gathered) -> None:
    """What the model cannot answer or cannot read is said before anything is written."""
    asked, found = project.question, gathered.question
    if asked.task != found.task or set(asked.classes) != set(found.classes):
        raise OverreadError(
            f"The truth here asks another question: {found.task} of {', '.join(found.classes)}; the project asks {asked.task} of "
            f"{', '.join(asked.classes)}.",
            "say what its values mean with --name VALUE=CLASS, and which column holds the truth with --label",
        )
    learned, here = read_index(project.path)[0], gathered.seen[0]
    if here.grid is not None and here.grid.is_planar != learned.grid.is_planar:
        kinds = {True: "single pictures", False: "volumes"}
        raise OverreadError(
            f"The project's images are {kinds[learned.grid.is_planar]}, these are {kinds[here.grid.is_planar]}.",
            "give images of the same kind; a model reads what it learned from",
        )
    channels = len(learned.case.images), len(gathered.drafts[0].images)
    if channels[0] != channels[1]:
        raise OverreadError(
            f"The project's exams have {channels[0]} images each, these have {channels[1]}.",
            "say which series is which channel with --series channel.field=PATTERN",
        )


def _settings(
    project: Project, folder: Path, request: Request, gathered: Gathered, division: Division
) -> tuple[Settings, dict[str, str]]:
    own = replace(division, scheme="given")
    drafted, reasons = draft_settings(folder, request, gathered, own, Wish(), None)
    base = project.settings
    name = base.project.model_copy(update={"name": f"{base.project.name}-{folder.name}"})
    kept = {"project": name, "question": base.question, "evaluation": base.evaluation}
    reasons = {k: v for k, v in reasons.items() if not k.startswith("question.")}
    return drafted.model_copy(update=kept), {**reasons, "question.task": "the project's"}


def _write(
    folder: Path,
    settings: Settings,
    reasons: Mapping[str, str],
    gathered: Gathered,
    division: Division,
    headers: Path | None,
    progress: Progress | None,
) -> Stored:
    """Build the cohort beside its place and move it there at the end."""
    folder.parent.mkdir(exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        stored = store(beside, gathered, division, 0, reason="external", progress=progress)
        write_settings(beside / "project.toml", settings, reasons)
        if headers is not None and headers.exists():
            shutil.copyfile(headers, headers_path(beside))
            os.chmod(headers_path(beside), 0o600)
        os.chmod(beside, 0o755)
        os.replace(beside, folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return stored


def _record(project: Project, name: str, stored: Stored, overlaps: Sequence[Overlap], compared: bool, leak_override: str) -> None:
    of, version = f"{PREFIX}{name}", stored.version
    project.ledger.append(
        "external",
        of=of,
        cohort=version["digest"],
        splits=version["splits"],
        cases=version["cases"],
        patients=version["patients"],
        patients_compared=compared,
    )
    if overlaps:
        project.ledger.append("overlap accepted", reason=leak_override, cases=len(overlaps), of=of)


def _summary(
    project: Project,
    folder: Path,
    gathered: Gathered,
    division: Division,
    settings: Settings,
    stored: Stored,
    compared: bool,
    overlaps: int,
) -> Summary:
    made = summarise(folder, gathered, division, (), settings, stored)
    checked = (
        f"{overlaps} cases are in the project too; you accepted that, and the ledger says so."
        if overlaps
        else "No patient and no identical image is in the project."
        if compared
        else "No identical image is in the project. Patients could not be compared: one of the two does not name them."
    )
    end = [checked, f"Wrote {folder}; all its truths are under seal."]
    facts = {**made.facts, "name": folder.name, "patients_compared": compared}
    lines = [line.replace("internal test", "external test") for line in made.lines[:-1]]
    return Summary((*lines, *end), facts)
