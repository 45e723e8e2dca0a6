"""`anomaly.json` of each labelled project that a model of normal images judged, for the report; no network is needed."""

from __future__ import annotations

from typing import Any

from overread.record.files import read_json
from overread.record.run import RunFolder

FILE, FOLDER = "anomaly.json", "anomaly"


def anomalies_of(run: RunFolder) -> list[dict[str, Any]]:
    """What was found with the model as it is now, by the name of the labelled project."""
    card = run.model / "model.json"
    if not card.exists():
        return []
    model = read_json(card).get("sha256")
    found: list[dict[str, Any]] = [read_json(path) for path in sorted((run.path / FOLDER).glob(f"*/{FILE}"))]
    return [record for record in found if record["model"] == model]
