"""`fidelity.json` and the pictures beside it, for the report; what was made while a network learned, where nothing else is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from overread.record.files import read_json
from overread.record.run import RunFolder
from overread.reporting.generation.grid import looks_grid
from overread.reporting.page_parts import Part
from overread.workflow.generation.watched import FOLDER, SEED, made_at_looks

RECORD, PICTURES, LOOKS = "fidelity.json", "fidelity", "looks.png"
TITLE = "Made during training from the same random numbers"


def made_of(run: RunFolder, *, is_phantom: bool) -> Part | None:
    """What is known of the images that a run makes; None where it makes none, and a record of an earlier training is left out."""
    found = _record(run)
    if found is None and not any((run.path / FOLDER).glob("look-*.npz")):
        return None
    if found is not None:
        pictures = {path.name: path.read_bytes() for path in sorted((run.path / PICTURES).glob("*.png"))}
        return Part(found, pictures)
    looks, numbers = made_at_looks(run)
    seeds = [SEED + k for k in range(looks.shape[1])]
    return Part({}, {LOOKS: looks_grid(looks, numbers, seeds, title=TITLE, is_phantom=is_phantom)})


def judged(folder: Path, sha256: str | None) -> dict[str, Any] | None:
    """What `overread fidelity` left in the folder of a run, where it is of the model with this checksum."""
    path = folder / RECORD
    found: dict[str, Any] | None = read_json(path) if path.exists() else None
    return found if found is not None and found["model"] == sha256 else None


def _record(run: RunFolder) -> dict[str, Any] | None:
    card = run.model / "model.json"
    return judged(run.path, read_json(card).get("sha256")) if card.exists() else None
