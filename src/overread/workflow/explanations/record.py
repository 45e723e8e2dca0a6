"""What the verbs of explanation leave in a run: `runs/NAME/explanation/PART/`, and the page made of all parts. No torch."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from overread.record.files import read_json, write_bytes, write_json, write_text
from overread.record.run import RunFolder
from overread.reporting.explanation.blocks import Part
from overread.reporting.explanation.page import SECTIONS, explanation_page
from overread.workflow.project import Project

FORMAT = 1
FILE = "record.json"
PAGE = "explanation.html"


def write_part(run: RunFolder, part: str, record: Mapping[str, Any], pictures: Mapping[str, bytes] | None = None) -> Path:
    """Write one part whole in place of an earlier one; returns its folder.

    part      "trial", "maps", "covariates", "inside", "embedding", "uncertainty" or "flips"
    record    plain values; must name the "model" (sha256) that was asked
    pictures  PNG bytes by file name
    """
    folder = run.path / "explanation" / part
    beside = folder.with_name(f".{part}.next")
    shutil.rmtree(beside, ignore_errors=True)
    for name, png in (pictures or {}).items():
        write_bytes(beside / name, png)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(beside / FILE, {"format": FORMAT, "created": created, **record, "pictures": sorted(pictures or {})})
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)
    return folder


def part_of(run: RunFolder, part: str) -> Part | None:
    """A part that was made for the model as it is now; None where there is none, or only for an earlier training."""
    folder = run.path / "explanation" / part
    if not (folder / FILE).exists():
        return None
    record = read_json(folder / FILE)
    if record["model"] != _identity(run):
        return None
    return Part(record, {name: (folder / name).read_bytes() for name in record["pictures"] if (folder / name).exists()})


def _identity(run: RunFolder) -> str | None:
    """Digest of the model as it is now, of a network or of a baseline of hand-made features."""
    for path, name in ((run.model / "model.json", "sha256"), (run.path / "baseline.json", "model")):
        if path.exists():
            return str(read_json(path).get(name))
    return None


def records_of(run: RunFolder) -> dict[str, Mapping[str, Any]]:
    """The records of all parts that stand there for the model as it is now, without pictures."""
    return {name: part.record for name in SECTIONS if (part := part_of(run, name)) is not None}


def write_page(project: Project, run: RunFolder, *, is_phantom: bool) -> Path:
    """`explanation.html` of a run, from every part that stands there for its model."""
    parts = {name: part for name in SECTIONS if (part := part_of(run, name)) is not None}
    path = run.path / PAGE
    write_text(path, explanation_page(project.name.replace("_", " "), run.name, is_phantom=is_phantom, parts=parts))
    return path
