"""`refusal.json` of a run, for the report; nothing here needs a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overread.record.files import read_json, write_json
from overread.record.run import RunFolder

FILE = "refusal.json"  # in the folder of a run


def refusal_of(run: RunFolder) -> dict[str, Any] | None:
    """Limits of the run's model, and what they did to its cases; None for earlier versions, and where refusal is off."""
    path = run.path / FILE
    found: dict[str, Any] | None = read_json(path) if path.exists() else None
    return found


def add_partition(run: RunFolder, name: str, counts: Mapping[str, Any]) -> None:
    """Enter what became of the cases of one more partition."""
    found = refusal_of(run)
    if found is not None:
        write_json(run.path / FILE, {**found, "partitions": {**found["partitions"], name: dict(counts)}})
