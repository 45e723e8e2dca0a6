"""Processes that share work, whatever program called us."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from types import FrameType
from typing import Any, TypeVar

from overread.core.errors import OverreadError

Item = TypeVar("Item")
Result = TypeVar("Result")

WORTH_A_POOL = 15.0  # seconds of work left; processes take some seconds until they have imported what they need
LARGEST_PART = 64  # items handed over at once
AHEAD = 4  # parts for each process that wait to be done or to be taken, so that memory stays flat


def processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(work: Callable[[Item], Result], items: Sequence[Item], doing: str) -> Iterator[Result]:
    """`work(item)` for every item, in order: here, and in several processes once what is left proves to take long.

    work, items  travel to processes: they can be imported and pickled
    doing        to be said where a process is lost, as `workers` has it
    """
    spent = 0.0
    for done, item in enumerate(items):
        began = time.monotonic()
        result = work(item)
        spent += time.monotonic() - began if done else 0.0  # the first one also loads what the work needs, and is no measure
        yield result
        if done and processors() > 1 and spent / done * (len(items) - done - 1) > WORTH_A_POOL:
            yield from _shared_out(work, items[done + 1 :], doing, processors())
            return


def _shared_out(work: Callable[[Item], Result], items: Sequence[Item], doing: str, count: int) -> Iterator[Result]:
    size = max(1, min(LARGEST_PART, len(items) // (8 * count)))
    waiting: deque[Future[list[Result]]] = deque()
    with workers(count, doing) as pool:
        for first in range(0, len(items), size):
            with _uninterrupted():
                waiting.append(pool.submit(_several, work, items[first : first + size]))
            if len(waiting) >= AHEAD * count:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def _several(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    return [work(item) for item in items if not is_over()]


@contextmanager
def named_if_lost(doing: str) -> Iterator[None]:
    """Say of a process that was ended from outside what it was doing; the system ends what takes too much memory."""
    try:
        yield
    except BrokenProcessPool as error:
        raise OverreadError(
            f"A process ended abruptly while {doing}; the machine may be short of memory.",
            "close other programs and run the same command again",
        ) from error


@contextmanager
def workers(count: int, doing: str) -> Iterator[ProcessPoolExecutor]:
    """A pool of fresh processes; what they are given must be importable from this package.

    doing  what they are for, to be said where one is lost: "preparing cases"

    A fresh process would run the caller's script again before it works, so that a script of three lines without
    ``if __name__ == "__main__"`` started itself, and one from standard input was not found. Ours need nothing of it,
    so it is hidden while the pool is open.
    """
    method = "forkserver" if sys.platform == "linux" else "spawn"
    context = get_context(method)
    stop = context.RawValue("b", 0)
    with named_if_lost(doing), _hidden_script():
        if method == "forkserver":
            _start_server()
        pool = ProcessPoolExecutor(count, mp_context=context, initializer=begin_as_worker, initargs=(stop,))
        try:
            yield pool
        finally:  # whoever stops does not wait for what nobody will take
            stop.value = 1
            with _uninterrupted():
                pool.shutdown(wait=True, cancel_futures=True)


def _start_server() -> None:
    """Start the process that ours are forked from, deaf to interrupts, which it hands down: ours are so from their first step."""
    from multiprocessing import forkserver, resource_tracker  # of systems that fork

    resource_tracker.ensure_running()  # first, for it opens this thread to interrupts again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """An interrupt is answered afterwards: in the midst of handing work over it can leave a lock of the pool shut for good."""
    if threading.current_thread() is not threading.main_thread():
        yield  # interrupts reach the main thread only
        return
    came: list[tuple[int, FrameType | None]] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came and callable(before):
        before(*came[0])


_stops: list[Any] = []  # not 0 where the work is over; in a process of a pool only


def is_over() -> bool:
    """Whether nobody waits for this process any more; asked before each piece of work."""
    return any(stop.value for stop in _stops)


def begin_as_worker(stop: Any = None) -> None:
    """In a new process: an interrupt is the parent's to handle, and without a parent there is nothing to do.

    A killed parent cannot end its children; each looks for itself.

    stop  a shared number without a lock, which a process that is ended could leave shut; other than 0 where the work is over
    """
    _stops[:] = [] if stop is None else [stop]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _hidden_script() -> Iterator[None]:
    """`multiprocessing` finds the caller's script by these two names of its module."""
    script = sys.modules["__main__"]
    names: tuple[str, ...] = ("__file__", "__spec__")
    kept = {name: vars(script)[name] for name in names if name in vars(script)}
    try:
        vars(script).pop("__file__", None)
        vars(script)["__spec__"] = None
        yield
    finally:
        vars(script).pop("__spec__", None)
        vars(script).update(kept)
