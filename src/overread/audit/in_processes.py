"""One piece of work per case, here while there is little of it, in processes where it would take long."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from overread.cohort.progress import Progress, counted
from overread.record.workers import workers

Item = TypeVar("Item")
Result = TypeVar("Result")

WORTH_A_POOL = 15.0  # seconds of work left; starting processes takes a second or two
LARGEST_PART = 64  # items handed over at once


def work_through(
    work: Callable[[Item], Result], items: Sequence[Item], text: str, progress: Progress | None = None
) -> Iterator[Result]:
    """`work(item)` for every item, in order. Both travel to processes, so they are importable and can be pickled."""
    yield from counted(_results(work, items, text), len(items), text, progress)


def _results(work: Callable[[Item], Result], items: Sequence[Item], text: str) -> Iterator[Result]:
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    began = time.monotonic()
    for done, item in enumerate(items, 1):
        yield work(item)
        left = (time.monotonic() - began) / done * (len(items) - done)
        if left > WORTH_A_POOL and processors > 1:
            rest = items[done:]
            with workers(processors, text[:1].lower() + text[1:]) as pool:
                yield from pool.map(work, rest, chunksize=min(LARGEST_PART, max(1, len(rest) // (8 * processors))))
            return
