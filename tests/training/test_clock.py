"""The clock: by epochs it only counts; by minutes it meets the machine as it is."""

from __future__ import annotations

import pytest

from overread.training import clock as module
from overread.training.clock import Clock
from overread.training.optimizers import SCHEDULES, rate_at


@pytest.fixture
def time(monkeypatch):
    """A watch that stands still until told."""
    watch = {"now": 100.0}
    monkeypatch.setattr(module.time, "monotonic", lambda: watch["now"])
    return watch


def test_by_epochs_progress_counts_steps():
    clock = Clock(10, epochs=3)
    assert [clock.progress(s) for s in (0, 15, 30)] == [0.0, 0.5, 1.0]
    assert not clock.is_over(29)
    assert clock.is_over(30)


def test_by_minutes_the_number_of_steps_follows_the_machine(time):
    clock = Clock(10, minutes=1.0)
    time["now"] += 6.0  # 10 steps in 6 seconds: 100 steps fit in a minute
    before, after = clock.adapt(10)
    assert (before, after) == (200, 100)
    time["now"] += 24.0  # the machine got slower: 10 more steps in 24 seconds
    clock.adapt(20)
    assert clock.total_steps == 40
    assert not clock.is_over(20)
    time["now"] += 31.0
    assert clock.is_over(21)


def test_progress_never_runs_backwards(time):
    clock, last = Clock(10, minutes=1.0), 0.0
    for step in range(1, 60):
        time["now"] += 0.5 if step < 30 else 2.0
        if step % 5 == 0:
            clock.adapt(step)
        assert clock.progress(step) >= last
        last = clock.progress(step)


def test_a_resumed_clock_remembers_the_time_used(time):
    clock = Clock(10, minutes=1.0)
    clock.restore(10, seconds=50.0, total_steps=100)
    assert clock.progress(10) == pytest.approx(0.1)
    time["now"] += 5.0
    assert clock.now() == pytest.approx(55.0)
    assert clock.spent(10) == pytest.approx(55 / 60)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_start_at_the_peak_after_warm_up(schedule):
    assert rate_at(schedule, 0.1, 0.0, step=100, warmup_steps=10) == pytest.approx(0.1)
    assert rate_at(schedule, 0.1, 0.0, step=0, warmup_steps=10) == pytest.approx(0.01)
    if schedule != "constant":
        assert rate_at(schedule, 0.1, 1.0, step=100, warmup_steps=10) == pytest.approx(0.0, abs=1e-9)
