"""Processes that share work, whatever program called us."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context

from overread.core.errors import OverreadError


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
    with named_if_lost(doing), _hidden_script(), ProcessPoolExecutor(count, mp_context=get_context(method)) as pool:
        yield pool


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
