"""A number that knows whether it exists, and one that knows how sure it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Score:
    """A value, or the reason why there is none. Undefined is neither 0 nor NaN."""

    value: float | None
    reason: str = ""

    def __post_init__(self) -> None:
        if self.value is None and not self.reason:
            raise ValueError("a score without a value needs its reason")


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval and what it rests on.

    estimate, low, high  in the metric's unit; None with a `reason` where not defined
    reason               why there is no estimate or no interval; or why the interval is not to be trusted
    level                0.95 means 95 %
    method               e.g. "cluster bootstrap, 2000 resamples", "Wilson", "DeLong"
    """

    estimate: float | None
    low: float | None
    high: float | None
    method: str
    n_cases: int
    n_patients: int
    level: float = 0.95
    reason: str = ""

    def __str__(self) -> str:
        counts = f"{self.n_cases} cases, {self.n_patients} patients"
        if self.estimate is None:
            return f"not defined: {self.reason} ({counts})"
        if self.low is None or self.high is None:
            return f"{self.estimate:.3f} (no interval: {self.reason}; {counts})"
        doubt = f"; {self.reason}" if self.reason else ""
        return f"{self.estimate:.3f} ({self.level:.0%} {self.low:.3f} to {self.high:.3f}, {self.method}, {counts}{doubt})"

    @property
    def short(self) -> str:
        """For tables whose notes say method and counts."""
        if self.estimate is None:
            return f"not defined: {self.reason}"
        if self.low is None or self.high is None:
            return f"{self.estimate:.3f} (no interval: {self.reason})"
        return f"{self.estimate:.3f} ({self.low:.3f} to {self.high:.3f})"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Interval:
        return cls(**values)
