"""The similar cases that `overread embed` found, for the report. No torch."""

from __future__ import annotations

from typing import Any

from overread.record.run import RunFolder
from overread.workflow.explanations.record import part_of


def similar_of(run: RunFolder) -> dict[str, list[dict[str, Any]]]:
    """case_id -> training cases whose features lie nearest: case_id, distance, truth; empty where none were sought."""
    part = part_of(run, "embedding")
    return {} if part is None else dict(part.record["similar"])
