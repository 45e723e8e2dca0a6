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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from overread.cohort.folders import headers_path
from overread.cohort.gather import Gathered, gather
from overread.cohort.index import read_splits
from overread.cohort.overlap import Overlap, compares_patients, find_overlap, refuse_overlap
from overread.cohort.partition import Division, Wish, all_sealed
from overread.cohort.progress import Progress
from overread.cohort.request import Request
from overread.cohort.store import Stored, store
from overread.core.errors import OverreadError
from overread.workflow.cohorts.elsewhere import Columns, refuse_another_kind, request_elsewhere
from overread.workflow.cohorts.settings_lines import draft_settings
from overread.workflow.cohorts.summary import summarise
from overread.workflow.project import Project, Summary
from overread.workflow.settings import Settings
from overread.workflow.settings_file import write_settings
from overread.workflow.unfit import refuse_unscored

PREFIX = "external:"
FOLDER = "external"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


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
    refuse_unscored(project)
    folder = project.path.resolve() / FOLDER / name
    _refuse_name(folder, name)
    request = request_elsewhere(
        project, Path(images), truth, sheet, columns or Columns(), names or {}, series or {}, leave_out_faulty
    )
    with tempfile.TemporaryDirectory(prefix="overread-") as place:
        request = replace(request, headers=Path(place) / "headers.sqlite")
        gathered = gather(request, progress)
        refuse_another_kind(project, gathered)
        overlaps = find_overlap(project.path, gathered)
        if not leak_override:
            refuse_overlap(overlaps, f"the external cohort '{name}'", "the project", "--leak-override")
        division = all_sealed(gathered)
        settings, reasons = _settings(project, folder, request, gathered, division)
        compared = compares_patients(project.path, gathered)
        with _beside(folder) as beside:
            stored = _write(beside, settings, reasons, gathered, division, request.headers, progress)
            _record(project, name, stored, overlaps, compared, leak_override)
    return Project(folder, _summary(project, folder, gathered, division, settings, stored, compared, len(overlaps)))


def external_cohorts(project: Project) -> tuple[Project, ...]:
    """The external cohorts of a project, by name; what a killed process left half-written is none."""
    folder = project.path / FOLDER
    found = sorted(p for p in folder.iterdir() if NAME.fullmatch(p.name)) if folder.is_dir() else []
    return tuple(Project(p) for p in found if (p / "project.toml").exists())


def open_external(project: Project, name: str) -> Project:
    """An external cohort of a project by its name, without or with "external:" before it."""
    name = name.removeprefix(PREFIX)
    folder = project.path / FOLDER / name
    if not NAME.fullmatch(name) or not (folder / "project.toml").exists():
        known = ", ".join(p.path.name for p in external_cohorts(project)) or "none yet"
        raise OverreadError(
            f"There is no external cohort '{name}' in this project (there are: {known}).",
            f"take it in with `{project.command('external', name if NAME.fullmatch(name) else 'NAME', '--images', 'FOLDER')}`",
        )
    if not any(e["entry"] == "external" and e["of"] == f"{PREFIX}{name}" for e in project.ledger.entries()):
        raise OverreadError(
            f"The external cohort '{name}' is not in the project's ledger: its folder was renamed, or copied from elsewhere.",
            "give the folder its name back (`overread ledger` lists those that were taken in), so that openings are counted on; "
            "a cohort of another project is taken in from its images",
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
            f"'{name}' cannot be the name of an external cohort.",
            "use up to 64 of the letters a to z, digits, - and _, for example twente-2024",
        )
    if folder.exists():
        raise OverreadError(
            f"There is an external cohort '{name}' already.",
            f"take in what is new with `{Project(folder).command('update')}`, or give this one another name",
        )


def _settings(
    project: Project, folder: Path, request: Request, gathered: Gathered, division: Division
) -> tuple[Settings, dict[str, str]]:
    own = replace(division, scheme="given")
    drafted, reasons = draft_settings(folder, request, gathered, own, Wish(), None)
    base = project.settings
    name = base.project.model_copy(update={"name": f"{base.project.name}-{folder.name}"})
    kept = {"project": name, "question": base.question, "evaluation": base.evaluation}
    reasons = {k: v for k, v in reasons.items() if not k.startswith(("question.", "evaluation."))}
    return drafted.model_copy(update=kept), {**reasons, "question.task": "the project's"}


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A folder beside its place; on leaving without an error it is moved there, otherwise nothing is left."""
    folder.parent.mkdir(exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield beside
        os.chmod(beside, 0o755)
        os.replace(beside, folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def _write(
    beside: Path,
    settings: Settings,
    reasons: Mapping[str, str],
    gathered: Gathered,
    division: Division,
    headers: Path | None,
    progress: Progress | None,
) -> Stored:
    stored = store(beside, gathered, division, 0, reason="external", progress=progress)
    write_settings(beside / "project.toml", settings, reasons)
    if headers is not None and headers.exists():
        shutil.copyfile(headers, headers_path(beside))
        os.chmod(headers_path(beside), 0o600)
    return stored


def _record(project: Project, name: str, stored: Stored, overlaps: Sequence[Overlap], compared: bool, leak_override: str) -> None:
    """Into the ledger before the cohort is at its place: one that the ledger does not name could be opened uncounted."""
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
