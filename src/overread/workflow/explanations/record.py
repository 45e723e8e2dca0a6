"""What the verbs of explanation leave in a run: `runs/NAME/explanation/PART/`, and the page made of all parts. No torch."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from overread.record.files import read_json, write_bytes, write_json, write_text
from overread.record.run import RunFolder
from overread.reporting.explanation.page import SECTIONS, explanation_page
from overread.reporting.page_parts import FORMAT, Part
from overread.workflow.explanations.maps.stamps import as_judged_now
from overread.workflow.project import Project

FILE = "record.json"
PAGE = "explanation.html"


def write_part(run: RunFolder, part: str, record: Mapping[str, Any], pictures: Mapping[str, bytes] | None = None) -> Path:
    """Write one part whole in place of an earlier one; returns its folder.

    part      "trial", "maps", "covariates", "inside", "embedding", "uncertainty" or "flips"
    record    plain values; must name the "model" (sha256) that was asked
    pictures  PNG bytes by file name
    """
    folder = run.path / "explanation" / part
    beside = beside_of(folder)
    for name, png in (pictures or {}).items():
        write_bytes(beside / name, png)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(beside / FILE, {"format": FORMAT, "created": created, **record, "pictures": sorted(pictures or {})})
    put_in_place(beside, folder)
    return folder


def beside_of(folder: Path) -> Path:
    """An empty folder in which the next content of a folder is gathered."""
    beside = folder.with_name(f".{folder.name}.next")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    return beside


def put_in_place(beside: Path, folder: Path) -> None:
    """Let what was gathered be the folder; an earlier content goes in one step, so that no half of it is ever met."""
    former = folder.with_name(f".{folder.name}.former")
    shutil.rmtree(former, ignore_errors=True)
    if folder.exists():
        folder.rename(former)
    beside.rename(folder)
    shutil.rmtree(former, ignore_errors=True)


def part_of(run: RunFolder, part: str) -> Part | None:
    """A part that was made for the model as it is now, its maps as the trial speaks of them now.

    None where there is none, only one for an earlier training, or one that another version of Overread wrote in another form.
    """
    found = _standing(run, part)
    trial = _standing(run, "trial") if part == "maps" else None
    return found if found is None or trial is None else as_judged_now(found, trial.record)


def _standing(run: RunFolder, part: str) -> Part | None:
    folder = run.path / "explanation" / part
    if not (folder / FILE).exists():
        return None
    record = read_json(folder / FILE)
    if record.get("format") != FORMAT or record.get("model") != _identity(run):
        return None
    return Part(record, {name: (folder / name).read_bytes() for name in record["pictures"] if (folder / name).exists()})


def _identity(run: RunFolder) -> str | None:
    """Digest of the model as it is now, of a network or of a baseline of hand-made features."""
    for path, name in ((run.model / "model.json", "sha256"), (run.path / "baseline.json", "model")):
        if path.exists():
            return str(read_json(path).get(name))
    return None


def parts_of(run: RunFolder) -> dict[str, Part]:
    """All parts that stand there for the model as it is now, in the order of the page."""
    return {name: part for name in SECTIONS if (part := part_of(run, name)) is not None}


def records_of(run: RunFolder) -> dict[str, Mapping[str, Any]]:
    """The records of all parts that stand there for the model as it is now, without pictures."""
    return {name: part.record for name, part in parts_of(run).items()}


def write_page(project: Project, run: RunFolder, *, is_phantom: bool) -> Path:
    """`explanation.html` of a run, from every part that stands there for its model."""
    _, name, *fold = project.run_words(run)
    called = f"{name}, fold {fold[-1]}" if fold else name
    path = run.path / PAGE
    write_text(path, explanation_page(project.name.replace("_", " "), called, is_phantom=is_phantom, parts=parts_of(run)))
    return path
