"""Work is shared among processes without running the caller's script again."""

from __future__ import annotations

import operator
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import psutil
import pytest

from overread.core.errors import OverreadError
from overread.record import workers as module
from overread.record.workers import in_order, workers

SCRIPT = """
from math import sqrt
from overread.record.workers import workers
print("ran")
with workers(2, "drawing roots") as pool:
    print(list(pool.map(sqrt, [4.0, 9.0])))
print(__file__ if "__file__" in globals() else "no file")
"""


@pytest.mark.parametrize("way", ["file", "standard input", "command"])
def test_a_script_without_a_guard_runs_once(tmp_path: Path, way: str) -> None:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    words = {"file": [str(path)], "standard input": ["-"], "command": ["-c", SCRIPT]}[way]
    done = subprocess.run(
        [sys.executable, *words], input=SCRIPT, capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["ran", "[2.0, 3.0]"]
    if way == "file":
        assert lines[2] == str(path)  # the script has its name back


def test_a_process_that_is_ended_from_outside_is_told_with_what_it_did() -> None:
    message = r"A process ended abruptly while drawing roots; the machine may be short of memory(?s:.*)close other programs"
    with pytest.raises(OverreadError, match=message), workers(1, "drawing roots") as pool:
        pool.submit(os._exit, 9).result()


def _process_of(item: int) -> tuple[int, int]:
    return item, os.getpid()


def test_what_is_quick_is_done_here() -> None:
    done = list(in_order(_process_of, range(50), "counting"))
    assert done == [(item, os.getpid()) for item in range(50)]


def test_what_takes_long_is_shared_and_stays_in_order(in_processes) -> None:
    with in_processes() as asked:
        done = list(in_order(partial(operator.mul, 3), range(500), "counting"))
        assert list(in_order(partial(operator.mul, 3), [7], "counting one")) == [21]
    assert done == [3 * item for item in range(500)]
    assert asked == ["counting"], "one item is not worth a process"


def test_no_more_is_handed_over_than_waits_to_be_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[int] = []

    class Here:
        """A pool that works at once."""

        def submit(self, work, *given):
            handed.append(len(given[1]))
            future: Future = Future()
            future.set_result(work(*given))
            return future

    monkeypatch.setattr(module, "workers", lambda count, doing: nullcontext(Here()))
    taken = module._shared_out(partial(operator.mul, 3), range(1000), "counting", 2)
    assert next(taken) == 0
    assert sum(handed) <= module.AHEAD * 2 * module.LARGEST_PART < 1000
    assert [0, *taken] == [3 * item for item in range(1000)]
    assert sum(handed) == 1000


def test_whoever_stops_does_not_wait_for_the_rest() -> None:
    waiting: list[Future] = []

    def stopped() -> None:
        with workers(1, "sleeping") as pool:
            waiting.extend(pool.submit(time.sleep, 0.2) for _ in range(40))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert sum(future.cancelled() for future in waiting) > 30


BUSY = """
import signal
import time
from overread.record import workers
signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal: what runs in the background may have it ignored
workers.WORTH_A_POOL, workers.processors = 0.0, lambda: 2
try:
    for done, _ in enumerate(workers.in_order(time.sleep, [0.05] * 400, "sleeping")):
        if done == AFTER:
            print("ready", flush=True)
except KeyboardInterrupt:
    print("stopped", flush=True)
"""


def _busy(after: int = 8) -> tuple[subprocess.Popen, list[psutil.Process]]:
    """A program that is in the midst of its work, in a group of its own as in a terminal; the third item begins the sharing."""
    program = subprocess.Popen(
        [sys.executable, "-c", BUSY.replace("AFTER", str(after))],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    return program, psutil.Process(program.pid).children(recursive=True)


@pytest.mark.parametrize("after", [1, 2, 8])
def test_an_interrupt_is_answered_once_and_by_the_caller(after: int) -> None:
    """While processes start, have just begun, and work."""
    program, children = _busy(after)
    os.killpg(program.pid, signal.SIGINT)
    out, err = program.communicate(timeout=120)
    assert (out, err, program.returncode) == ("stopped\n", "", 0)
    assert not psutil.wait_procs(children, timeout=60)[1]


def test_no_process_outlives_a_caller_that_was_killed() -> None:
    program, children = _busy()
    assert len(children) >= 2
    program.kill()
    program.communicate(timeout=120)
    assert not psutil.wait_procs(children, timeout=60)[1]
