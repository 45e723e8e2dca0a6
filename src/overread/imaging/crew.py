"""Inspecting files in several processes: in order, a bounded number at a time, and no process left behind."""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

from overread.core.errors import OverreadError
from overread.imaging.inspect import Row, inspect_file, pack
from overread.record.workers import begin_as_worker, is_over

PARALLEL_FROM = 400  # files; below, starting processes costs more than it saves
MOST_PROCESSES = 8  # more wait for the disk
CHUNK = 64  # files handed to a process at a time
AHEAD = 3  # chunks per process that wait to be looked at or to be stored

Files = Sequence[tuple[str, str]]


def process_count(files: int) -> int:
    """One where there is little to do, or where processes cannot be forked (a script would run twice)."""
    can_fork = os.name == "posix" and os.uname().sysname == "Linux"
    return min(os.cpu_count() or 1, MOST_PROCESSES) if can_fork and files >= PARALLEL_FROM else 1


def inspect_all(folder: Path, chunks: Iterable[Files], processes: int) -> Iterator[list[Row]]:
    """The inspections of each chunk of (path, stamp), in order."""
    if processes <= 1:
        for chunk in chunks:
            yield inspect_chunk(folder, chunk)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads; the children only parse headers
        fork = get_context("fork")
        stop = fork.RawValue("b", 0)
        pool = ProcessPoolExecutor(processes, mp_context=fork, initializer=begin_as_worker, initargs=(stop,))
        waiting: deque[Future[list[Row]]] = deque()
        try:
            for chunk in chunks:
                waiting.append(pool.submit(inspect_chunk, folder, chunk))
                if len(waiting) > AHEAD * processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise OverreadError(
                f"A process that read headers in {folder} ended abruptly; the machine may be short of memory.",
                "close other programs and run the same command again; what was read is not read twice",
            ) from error
        finally:
            stop.value = 1
            pool.shutdown(wait=True, cancel_futures=True)


def inspect_chunk(folder: Path, files: Files) -> list[Row]:
    return [pack(inspect_file(folder, name), stamp) for name, stamp in files if not is_over()]
