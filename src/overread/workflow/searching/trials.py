"""The record of a search: one line of JSON for each trial that has ended, written when it ended.

A search that is killed loses the trial that was under way and no other; what comes next follows from these lines alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from overread.record.files import write_text

State = Literal["done", "ended early", "failed"]
DONE: State = "done"
EARLY: State = "ended early"
FAILED: State = "failed"


@dataclass(frozen=True)
class Trial:
    """One training of a search.

    number    from 1; trial 1 is trained as project.toml says
    settings  what it was trained with, beside what all trials share
    state     "done", "ended early" (its tuning loss was worse than that of most), "failed" (with the reason)
    value     the score on tuning cases; None where there is none
    looks     (share of the budget, lowest tuning loss so far) at each look
    minutes   wall time, planning and scoring included
    judged    what its tuning loss is made of, see `early.judged_by`; empty in records from before it was kept
    """

    number: int
    settings: Mapping[str, str]
    state: State
    value: float | None
    looks: tuple[tuple[float, float], ...]
    minutes: float
    seed: int
    run: str
    reason: str = ""
    judged: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "looks": [list(look) for look in self.looks]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Trial:
        looks = tuple((float(share), float(loss)) for share, loss in values["looks"])
        return cls(**{**values, "looks": looks})

    @property
    def name(self) -> str:
        return "as in project.toml" if not self.settings else ", ".join(f"{k} = {v}" for k, v in self.settings.items())


def read_trials(path: Path) -> list[Trial]:
    """The trials in order; a last line cut short by a kill is passed over, and its trial is done again."""
    found: list[Trial] = []
    if not path.exists():
        return found
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            values = json.loads(line)
        except json.JSONDecodeError:
            break
        found.append(Trial.from_dict(values))
    return found


def append_trial(path: Path, trial: Trial) -> None:
    """Write a trial down; a line that an earlier kill cut short is cut off first."""
    lines = [json.dumps(one.as_dict(), ensure_ascii=False) for one in (*read_trials(path), trial)]
    write_text(path, "".join(f"{line}\n" for line in lines))


def best_of(trials: Sequence[Trial], better: str) -> Trial | None:
    """The done trial with the best value, the first of equals; None where none has a value."""
    done = [trial for trial in trials if trial.state == DONE and trial.value is not None]
    return min(done, key=lambda trial: cost(trial.value, better), default=None)


def cost(value: float | None, better: str) -> float:
    """Lower is better, whatever the score."""
    assert value is not None
    return {"higher": -value, "lower": value, "zero": abs(value)}[better]
