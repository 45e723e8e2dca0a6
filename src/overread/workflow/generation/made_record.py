"""`fidelity.json` and the pictures beside it, for the report; what was made while a network learned, where nothing else is."""

from __future__ import annotations

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


def _record(run: RunFolder) -> dict[str, Any] | None:
    path, card = run.path / RECORD, run.model / "model.json"
    if not path.exists() or not card.exists():
        return None
    found: dict[str, Any] = read_json(path)
    return found if found["model"] == read_json(card).get("sha256") else None
