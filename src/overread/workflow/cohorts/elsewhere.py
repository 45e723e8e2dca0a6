"""What is gathered of an external cohort: the project's own request, with other folders and columns; and whether it fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from overread.cohort.gather import Gathered
from overread.cohort.index import read_index
from overread.cohort.names import NAME_RULES
from overread.cohort.request import Request
from overread.cohort.sheet import read_sheet
from overread.core.errors import OverreadError
from overread.workflow.cohorts.requests import request_of
from overread.workflow.project import Project

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


def request_elsewhere(
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
        said=replace(own.said, labels=labels, names={**own.said.names, **names}, one_class=True),
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


def refuse_another_kind(project: Project, gathered: Gathered) -> None:
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
