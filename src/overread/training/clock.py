"""How far a run has come: by epochs, which is deterministic, or by minutes, which meets the machine as it is."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass
class Clock:
    """The share of the way, and when it ends.

    epochs   number of epochs, or None
    minutes  budget in minutes, or None; counts across resumes
    seconds  time used so far
    """

    steps_per_epoch: int
    epochs: int | None = None
    minutes: float | None = None
    seconds: float = 0.0
    _anchor: tuple[int, float] = (0, 0.0)  # step and progress where the present estimate begins

    def __post_init__(self) -> None:
        self._started = time.monotonic()
        # by minutes a guess, until the first steps are timed
        self.total_steps = self.epochs * self.steps_per_epoch if self.epochs is not None else 200

    def restore(self, step: int, seconds: float, total_steps: int) -> None:
        """Go on where an earlier sitting stopped."""
        self.seconds = seconds
        self._started = time.monotonic() - seconds
        if self.minutes is not None:
            self.total_steps = total_steps
            self._anchor = (step, min(1.0, step / max(1, total_steps)))

    def now(self) -> float:
        """Seconds of this run so far, earlier sittings included."""
        self.seconds = time.monotonic() - self._started
        return self.seconds

    def progress(self, step: int) -> float:
        """Share of the way at a step, 0 to 1; never runs backwards."""
        if self.minutes is None:
            return step / self.total_steps
        start, share = self._anchor
        left = max(1, self.total_steps - start)
        return min(1.0, share + (1 - share) * (step - start) / left)

    def adapt(self, step: int) -> tuple[int, int] | None:
        """Meet the clock: estimate anew how many steps fit. Returns (before, after) where that changed by 2 %."""
        if self.minutes is None or step == 0:
            return None
        self._anchor = (step, self.progress(step))
        left = self.minutes * 60 - self.now()
        before, self.total_steps = self.total_steps, step + max(0, round(left * step / self.seconds))
        return (before, self.total_steps) if abs(self.total_steps - before) > 0.02 * before else None

    def is_over(self, step: int) -> bool:
        if self.minutes is None:
            return step >= self.total_steps
        return self.now() >= self.minutes * 60 or (step > 3 and self.progress(step) >= 1.0)

    def spent(self, step: int) -> float:
        """Share of the budget that is used up, 0 to 1: of the minutes where it is minutes, else of the steps."""
        return min(1.0, self.now() / (self.minutes * 60)) if self.minutes is not None else self.progress(step)
