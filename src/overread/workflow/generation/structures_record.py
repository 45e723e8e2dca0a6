"""`structures.json` of the answers as they are, for the report; nothing here needs a network."""

from __future__ import annotations

from typing import Any

from overread.core.question import Question
from overread.evaluation.sources.predictions import Predictions
from overread.record.files import read_json
from overread.record.run import RunFolder

FILE = "structures.json"


def structures_of(run: RunFolder, question: Question) -> dict[str, Any] | None:
    """What was found on the answers that lie there now, or on images that the model as it is made along masks.

    None where nothing was found, or only of an earlier training.
    """
    path = run.path / FILE
    if not path.exists():
        return None
    found: dict[str, Any] = read_json(path)
    made_by = _maker(run) if found.get("along_masks") else _answerer(run, question)
    return found if made_by and found["model"] == made_by else None


def _maker(run: RunFolder) -> str:
    """Digest of the model as it is; "" where there is none."""
    card = run.model / "model.json"
    return str(read_json(card).get("sha256", "")) if card.exists() else ""


def _answerer(run: RunFolder, question: Question) -> str:
    """Whose answers to the tuning cases lie there; "" where none do."""
    folder = run.predictions / "tuning"
    return Predictions(folder, question).identity if folder.is_dir() else ""
