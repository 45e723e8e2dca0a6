"""What one probe reached for one target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from overread.core.score import Interval


@dataclass(frozen=True)
class Probed:
    """What one probe reached for one target.

    left_out      levels of too few patients
    interval      area under the ROC curve, out of fold; of more than two levels the mean of each against the rest
    p             family-wise over the probes of the target; None where nothing was probed
    noticed_from  the least area that would have been noticed
    tells         the rule for an alarm is met
    strongest     the columns that alone go most with the target
    reason        why nothing was probed
    """

    target: str
    kind: str
    levels: tuple[str, ...]
    left_out: tuple[str, ...]
    probe: str
    interval: Interval | None = None
    p: float | None = None
    noticed_from: float | None = None
    tells: bool = False
    strongest: tuple[str, ...] = ()
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in self.__dict__.items()}
        return {**plain, "interval": None if self.interval is None else self.interval.as_dict()}
