"""`overread init`: from a folder of studies and a sheet to a project with frozen splits and sealed test truths."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from overread.cohort.ask import OBJECT_TASKS, Said
from overread.cohort.divide import divide
from overread.cohort.draft import Step
from overread.cohort.folders import headers_path
from overread.cohort.gather import Gathered, gather
from overread.cohort.given import given_split
from overread.cohort.partition import Division, Wish, left_by_split
from overread.cohort.progress import Progress
from overread.cohort.request import Request
from overread.cohort.sheet import as_date
from overread.cohort.store import Stored, store
from overread.core.errors import OverreadError
from overread.record.files import named_if_full
from overread.record.ledger import Ledger
from overread.workflow.cohorts.scan_table import look_at, rehearsed, undecided
from overread.workflow.cohorts.settings_lines import draft_settings, with_region
from overread.workflow.cohorts.summary import summarise
from overread.workflow.project import Project
from overread.workflow.settings import Settings
from overread.workflow.settings_file import write_settings


def init(
    folder: str | Path,
    images: str | Path,
    truth: str | Path | None = None,
    sheet: str | Path | None = None,
    task: str | None = None,
    group_by: str | None = None,
    splits: str | Path | None = None,
    positive: str | None = None,
    folds: int | None = None,
    unit: str | None = None,
    dry_run: bool = False,
    *,
    label: Sequence[str] = (),
    names: Mapping[str, str] | None = None,
    id_column: str | None = None,
    site: str | None = None,
    scanner: str | None = None,
    date: str | None = None,
    side: str | None = None,
    covariates: Sequence[str] = (),
    series: Mapping[str, str] | None = None,
    aggregation: str = "none",
    index_exam: str = "all",
    units: Sequence[str] = (),
    multi_label: bool = False,
    classes: Sequence[str] = (),
    objects: str | None = None,
    answer: Sequence[str] = (),
    degradation: str = "",
    by_class: bool = False,
    by_mask: bool = False,
    unpaired: str | None = None,
    ordered: bool = False,
    tuning: float = 0.15,
    internal: float = 0.2,
    stratify_by: str | None = None,
    seed: int = 0,
    leak_override: str = "",
    leave_out_faulty: bool = False,
    gaps: str = "refuse",
    tilt: str = "refuse",
    missing: str = "refuse",
    split_by: str | None = None,
    split_after: str | None = None,
    region: str | Path | None = None,
    progress: Progress | None = None,
) -> Project:
    """Make a project in `folder`, whole or not at all; what was found and chosen stands in `project.summary`.

    images       folder with DICOM, NIfTI, PNG/JPEG, or an .npz archive
    truth        folder with masks, or a sheet with labels
    sheet        .xlsx or .csv with ids, groups, covariates, labels
    task         one of `core.question.TASKS`, where it cannot be inferred
    group_by     column that names the patient
    splits       a file, a column of the sheet, or "none" to draw a new split although the data bring one
    positive     the class that counts as disease, where there are two
    folds        cross-validation with so many folds instead of three partitions
    unit         unit of analysis: "lesion", "side", "exam" or "patient"
    dry_run      look and say, write nothing; `project.summary` begins with a table of patients, studies and series. What
                 only the user can decide need not be said yet: it is listed
    label        columns that hold the truth; several are findings
    names        value in the truth -> name of its class or structure
    series       rules for the choice among several series, field -> pattern; channel.field -> pattern makes channels
    aggregation  "any", "max" or "mean": how several rows or exams make one truth and one answer
    index_exam   "all", "first", "last", or "nearest to COLUMN within N days"
    missing      "refuse" leaves exams out that lack a channel, "zeros" fills the channel
    multi_label  one column of 0 and 1 is a finding, not one of two classes
    classes      of the classes that were drawn, those that are asked; the others are background. None asks for all
    objects      detection and instances from masks: "components" (connected voxels are one object) or "values" (each value is)
    answer       translate: channels of the images that are to be made from the others
    degradation  restore: what is done to an image before it is read, such as "low_dose:0.25"
    by_class     synthesize: images can be asked for by class, which `label`, folders or the archive tell
    by_mask      synthesize: images are made along masks, which `truth` holds
    unpaired     translate: "A:B" where every image is of one of two kinds, which `label`, folders or the archive tell; A is read
    internal     share of the patients for the internal test; with 0 there is none, and nothing can be claimed of a model
    split_by     a fold for each value of this column: leave one site out; "date": the newest patients are the internal test
    split_after  patients whose first exam is of this day (2020-01-01) or later are the internal test
    region       a model file: every image is cut to the structure that it outlines before anything else
    leak_override     why a leak in the given split is accepted; recorded in the ledger
    leave_out_faulty  leave cases out whose mask does not fit its image, instead of stopping
    """
    folder = Path(folder).resolve()
    _refuse_existing(folder, Path(images).resolve())
    _refuse_objects_of(task, objects)
    exclusive = False if multi_label else None
    said = Said(
        task,
        tuple(label),
        dict(names or {}),
        (),
        (),
        positive,
        exclusive,
        ordered,
        tuple(units),
        unit,
        objects=objects,
        only=tuple(classes),
        answer=tuple(answer),
        degradation=degradation,
        by_class=by_class,
        by_mask=_said_of_synthesis(task, by_mask),
        unpaired=_two_kinds(task, unpaired),
    )
    request = Request(
        Path(images),
        None if truth is None else Path(truth),
        None if sheet is None else Path(sheet),
        said,
        id_column,
        group_by,
        site,
        scanner,
        date,
        side,
        tuple(covariates),
        dict(series or {}),
        aggregation,
        index_exam,
        gaps,
        tilt,
        faulty="leave out" if leave_out_faulty else "refuse",
        missing=missing,
    )
    with tempfile.TemporaryDirectory(prefix="overread-") as place:
        request = replace(request, headers=Path(place) / "headers.sqlite")
        looked = look_at(request.images, gaps, tilt, progress, request.headers) if dry_run else None
        try:
            gathered = gather(request, progress, None if looked is None else looked.scan)
            wish = Wish(folds, tuning, internal, seed, stratify_by, leak_override, split_by, _day(split_after))
            division = divide_by(gathered, splits, wish)
            step = left_by_split(gathered.drafts, division)
            steps = [step] if step else []
            settings, reasons = draft_settings(folder, request, gathered, division, wish, splits)
            settings = settings if region is None else with_region(settings, Path(region), folder)
        except OverreadError as error:
            if looked is None:
                raise
            return Project(folder, undecided(looked, error))
        if looked is not None:
            return Project(folder, rehearsed(looked, summarise(folder, gathered, division, steps, settings, None)), settings)
        with named_if_full(f"the project {folder} could not be written; nothing of it is left", folder.parent):
            stored = _write(folder, settings, reasons, gathered, division, steps, wish, request.headers, progress)
        return Project(folder, summarise(folder, gathered, division, steps, settings, stored))


def divide_by(gathered: Gathered, splits: str | Path | None, wish: Wish) -> Division:
    ways = {"--splits": splits, "--folds": wish.folds, "--split-by": wish.by, "--split-after": wish.after}
    asked = [name for name, value in ways.items() if value is not None and str(value).casefold() != "none"]
    if len(asked) > 1:
        raise OverreadError(f"{' and '.join(asked)} divide the patients in different ways.", "give one of them")
    own = [name for name in asked if name != "--splits"]
    given = None if own else given_split(splits, gathered)
    extra = gathered.column(wish.stratify_by) if wish.stratify_by else None
    return divide(gathered, given, wish, extra)


def _refuse_objects_of(task: str | None, objects: str | None) -> None:
    if objects is not None and task not in OBJECT_TASKS:
        asked = f"--task {task} asks for none" if task else "no --task asks for them"
        raise OverreadError(
            f"--objects {objects} says how masks tell objects apart, and {asked}.", "add --task detection or --task instances"
        )


def _said_of_synthesis(task: str | None, by_mask: bool) -> bool:
    if by_mask and task != "synthesize":
        asked = f"not to {task}" if task else "and no --task asks for it"
        raise OverreadError(f"--by-mask belongs to --task synthesize, {asked}.", "leave it out, or say --task synthesize")
    return by_mask


def _two_kinds(task: str | None, unpaired: str | None) -> tuple[str, ...]:
    """The kind that is read and the kind that is wanted; none where nothing was said."""
    if unpaired is None:
        return ()
    if task != "translate":
        asked = f"not to {task}" if task else "and no --task asks for it"
        raise OverreadError(f"--unpaired belongs to --task translate, {asked}.", "leave it out, or say --task translate")
    kinds = tuple(part.strip() for part in unpaired.split(":"))
    if len(kinds) != 2 or not all(kinds):
        step = "name them, the one that is read first: --unpaired A:B"
        raise OverreadError(f"--unpaired {unpaired}: two kinds were expected.", step)
    if kinds[0] == kinds[1]:
        raise OverreadError(f"--unpaired {unpaired}: both kinds are the same.", "name the kind that is read and another one")
    return kinds


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    found = as_date(text)
    if found is None:
        raise OverreadError(f"--split-after {text}: this is no date.", "write year, month and day: 2020-01-01")
    return found


def _refuse_existing(folder: Path, images: Path) -> None:
    if (folder / "project.toml").exists():
        raise OverreadError(
            f"There is a project in {folder} already.",
            f"take in new patients or corrected labels with `overread update {shlex.quote(str(folder))}`, "
            "or choose another folder",
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OverreadError(f"{folder} exists and is not empty.", "choose a new folder for the project")
    if images.is_dir() and folder.is_relative_to(images):
        raise OverreadError(
            f"The project {folder} would lie inside the image folder {images}.",
            "choose a folder outside; the images stay where they are",
        )


def _write(
    folder: Path,
    settings: Settings,
    reasons: Mapping[str, str],
    gathered: Gathered,
    division: Division,
    steps: Sequence[Step],
    wish: Wish,
    headers: Path | None,
    progress: Progress | None,
) -> Stored:
    """Build the project beside its place and move it there at the end: nothing is ever half-written."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise OverreadError(
            f"The project {folder} cannot be made: {error.strerror or error}.", "choose a folder in which you may write"
        ) from error
    try:
        stored = store(beside, gathered, division, wish.seed, steps=steps, progress=progress)
        write_settings(beside / "project.toml", settings, reasons)
        if headers is not None:
            shutil.copyfile(headers, headers_path(beside))
            os.chmod(headers_path(beside), 0o600)
        record_start(beside, stored.version, division, gathered, stored, wish)
        os.chmod(beside, 0o755)
        if folder.exists():
            folder.rmdir()  # empty, as was checked
        os.replace(beside, folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return stored


def record_start(
    folder: Path, version: Mapping[str, Any], division: Division, gathered: Gathered, stored: Stored, wish: Wish
) -> None:
    """Begin the ledger: what was sealed, and which leaks were accepted and why."""
    ledger = Ledger(folder / "cohort" / "ledger.jsonl")
    ledger.append("sealed", cohort=version["digest"], splits=version["splits"], scheme=division.scheme, cases=version["cases"])
    if division.leaks:
        leaks = [
            {"kind": leak.kind, "cases": [stored.case_ids[gathered.drafts[k].name] for k in leak.cases if k in _kept(division)]}
            for leak in division.leaks
        ]
        ledger.append("leak accepted", reason=wish.leak_override, leaks=leaks)


def _kept(division: Division) -> set[int]:
    return {k for k, p in enumerate(division.place) if p is not None}
