"""A run's events: one JSON line each, appended as they happen; the only source of every live view.

Every event has `time` (UTC, ISO 8601) and `event`. The names in use:

    started            run, seed, device, precision, minutes, epochs, overrides, identity, initial (digest of the weights),
                       terms {name of a term of the loss: its weight, which its curve has in it}
    resumed            step, epoch, minutes          (what was done beyond this step was lost, and is done again)
    epoch              epoch, step, rate, gradient, loss, losses {term: value}, minutes, tuning_loss, scores {name: value},
                       signs {name: value}       (tuning_loss and what follows where tuning cases were looked at)
    kept               step, epoch, tuning_loss, scores  (early stopping: the weights of this look are kept)
    adapted            what, from, to, why           (the schedule met the clock)
    checkpoint         step, reason
    stopped, finished  step, epochs, minutes, reason
    refusal            mode, content (limits), partitions {name: {cases, refused, warned}}, seconds
    froze              model, decisions
    weights            what, from, counts, licence, is_pretrained, notes, stages  (what training began with)
    unfroze            step, stages                  (frozen stages that learn from here on)
    warning            what, about ("learning": an alarm)

After a kill the steps since the last checkpoint stand in the file twice; `settled` gives the curve that counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from overread.record.files import named_if_full


class EventLog:
    """Appends events to one file; each line is flushed, so a killed run keeps what it said.

    hear  is told every event once it is written; what it raises ends the run
    """

    def __init__(self, path: Path, hear: Callable[[dict[str, Any]], None] = lambda event: None) -> None:
        self.path, self.hear = Path(path), hear

    def write(self, event: str, **values: Any) -> dict[str, Any]:
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **values}
        with named_if_full(f"{self.path.name} could not be written on", self.path.parent), self._opened() as file:
            if file.tell() > 0:  # a kill in the middle of a line must not swallow the next one
                file.seek(-1, 2)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        self.hear(line)
        return line

    def _opened(self) -> BinaryIO:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return open(self.path, "a+b")


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


def settled(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events that count: what was done beyond the step that a `resumed` event names was lost, and done again after it."""
    kept: list[dict[str, Any]] = []
    for event in events:
        if event["event"] == "resumed":
            kept = [earlier for earlier in kept if earlier.get("step", 0) <= event["step"]]
        kept.append(event)
    return kept
