"""A run's events: one JSON line each, appended as they happen; the only source of every live view.

Every event has `time` (UTC, ISO 8601) and `event`. The names in use:

    started            run, seed, device, precision, minutes, epochs, overrides, identity
    resumed            step, epoch, minutes
    epoch              epoch, step, rate, gradient, loss, losses {term: value}, minutes, tuning_loss, scores {name: value}
    adapted            what, from, to, why           (the schedule met the clock)
    checkpoint         step, reason
    stopped, finished  step, epochs, minutes, reason
    froze              model, decisions
    weights            what                          (loaded from a file or hub, and what stayed random)
    warning            what
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class EventLog:
    """Appends events to one file; each line is flushed, so a killed run keeps what it said."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def write(self, event: str, **values: Any) -> dict[str, Any]:
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **values}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a+b") as file:
            if file.tell() > 0:  # a kill in the middle of a line must not swallow the next one
                file.seek(-1, 2)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        return line


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """The events of a run in order; a line cut short by a kill is passed over."""
    if not Path(path).exists():
        return
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue
