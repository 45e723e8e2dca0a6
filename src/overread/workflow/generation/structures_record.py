"""`structures.json` of the answers as they are, for the report; nothing here needs a network."""

from __future__ import annotations

from typing import Any

from overread.core.question import Question
from overread.evaluation.sources.predictions import Predictions
from overread.record.files import read_json
from overread.record.run import RunFolder

FILE = "structures.json"


def structures_of(run: RunFolder, question: Question) -> dict[str, Any] | None:
    """What was found on the answers that lie there now; None where nothing was, or only on answers of an earlier training."""
    path, folder = run.path / FILE, run.predictions / "tuning"
    if not path.exists() or not folder.is_dir():
        return None
    found: dict[str, Any] = read_json(path)
    return found if found["model"] == Predictions(folder, question).identity else None
