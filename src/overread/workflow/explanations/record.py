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

    part      "trial", "maps", "inside", "embedding", "uncertainty" or "flips"
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
    folder, card = run.path / "explanation" / part, run.model / "model.json"
    if not (folder / FILE).exists() or not card.exists():
        return None
    record = read_json(folder / FILE)
    if record["model"] != read_json(card).get("sha256"):
        return None
    return Part(record, {name: (folder / name).read_bytes() for name in record["pictures"] if (folder / name).exists()})


def write_page(project: Project, run: RunFolder, *, is_phantom: bool) -> Path:
    """`explanation.html` of a run, from every part that stands there for its model."""
    parts = {name: part for name in SECTIONS if (part := part_of(run, name)) is not None}
    path = run.path / PAGE
    write_text(path, explanation_page(project.name.replace("_", " "), run.name, is_phantom=is_phantom, parts=parts))
    return path
