"""`robustness.json` and the picture beside it, for the report; nothing here needs a network."""

from __future__ import annotations

from typing import Any

from overread.record.files import read_json
from overread.record.run import RunFolder
from overread.reporting.given import Panel

FILE = "robustness.json"
PICTURE = "robustness.png"


def robustness_of(run: RunFolder) -> dict[str, Any] | None:
    """What was found for the model as it is now; None where nothing was, or only for an earlier training."""
    path, card = run.path / FILE, run.model / "model.json"
    if not path.exists() or not card.exists():
        return None
    found: dict[str, Any] = read_json(path)
    return found if found["model"] == read_json(card).get("sha256") else None


def degraded_picture(run: RunFolder) -> Panel | None:
    """One case under each degradation."""
    found, path = robustness_of(run), run.path / PICTURE
    if found is None or found["picture"] is None or not path.exists():
        return None
    shown = ", ".join(found["picture"]["shown"])
    return Panel(path.read_bytes(), found["picture"]["case_id"], "under each degradation", f"as it is; {shown}")
