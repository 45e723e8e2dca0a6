"""Tables in plain text for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from overread.reporting.results import score_rows


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to their widest cell, the head underlined."""
    widths = [max(len(row[k]) for row in (head, *rows)) for k in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def score_table(evaluation: Mapping[str, Any]) -> str:
    """Every score of an evaluation with interval, method and counts, one per line."""
    rows = [
        (row.name, row.subject, f"{row.estimate} {row.unit}".strip(), row.interval, row.counts, row.role_words, row.method)
        for row in score_rows(evaluation)
    ]
    table = text_table(("score", "of", "value", "interval", "rests on", "role", "method"), rows)
    return f"PHANTOM: no score below says anything about patients\n{table}" if evaluation.get("is_phantom") else table
