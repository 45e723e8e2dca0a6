"""Processes that share work, whatever program called us."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context


@contextmanager
def workers(count: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of fresh processes; what they are given must be importable from this package.

    A fresh process would run the caller's script again before it works, so that a script of three lines without
    ``if __name__ == "__main__"`` started itself, and one from standard input was not found. Ours need nothing of it,
    so it is hidden while the pool is open.
    """
    method = "forkserver" if sys.platform == "linux" else "spawn"
    with _hidden_script(), ProcessPoolExecutor(count, mp_context=get_context(method)) as pool:
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
