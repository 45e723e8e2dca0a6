"""Peak memory of a process and all its children, anonymous memory apart from mapped files.

Only anonymous memory has to fit into the machine: pages of a memory-mapped file can be dropped and read
again at any moment, so a large mapped cache does no harm.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil

from overread.core.errors import OverreadError


@dataclass(frozen=True)
class Peak:
    """Highest resident memory that was seen, in GiB; each figure has its own moment.

    anonymous  heap and stacks; pages that forked children share are counted once for each, so this is an upper bound
    mapped     pages of mapped files: the cache, and shared libraries
    both       of one moment together
    """

    anonymous: float = 0.0
    mapped: float = 0.0
    both: float = 0.0

    def raised(self, anonymous: float, mapped: float) -> Peak:
        return Peak(max(self.anonymous, anonymous), max(self.mapped, mapped), max(self.both, anonymous + mapped))

    def as_dict(self) -> dict[str, float]:
        return {f"peak_{name}_gib": round(value, 3) for name, value in vars(self).items()}


class MemoryWatch:
    """Samples the memory of a process tree from a thread: ``with MemoryWatch() as watch: ...; watch.peak``."""

    def __init__(self, process: int | None = None, every_seconds: float = 0.2) -> None:
        self.process, self.every_seconds = process or os.getpid(), every_seconds
        self.peak = Peak()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> MemoryWatch:
        if not Path("/proc/self/status").exists():
            raise OverreadError("Memory is measured from /proc, which this system does not have.", "run this benchmark on Linux")
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.peak = self.peak.raised(*_resident(self.process))
            if self._over.wait(self.every_seconds):
                return


def _resident(process: int) -> tuple[float, float]:
    """(anonymous, mapped) GiB of a process and its descendants now."""
    anonymous = mapped = 0.0
    try:
        tree = [process, *(child.pid for child in psutil.Process(process).children(recursive=True))]
    except psutil.NoSuchProcess:
        return 0.0, 0.0
    for number in tree:
        fields = _status(number)
        anonymous += fields.get("RssAnon", 0) / 2**20
        mapped += (fields.get("RssFile", 0) + fields.get("RssShmem", 0)) / 2**20
    return anonymous, mapped


def _status(process: int) -> dict[str, int]:
    """The KiB figures of /proc/<process>/status; empty where the process has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in lines if line.endswith(" kB"))
    return {name: int(value.split()[0]) for name, value in pairs}


@dataclass(frozen=True)
class Ran:
    """A command that has ended: wall time, peak memory of its process tree, and what it printed."""

    seconds: float
    peak: Peak
    output: str

    def as_dict(self) -> dict[str, float]:
        return {"seconds": round(self.seconds, 2), **self.peak.as_dict()}


def run_watched(words: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Ran:
    """Run a command; its progress goes to standard error as ever. A command that fails ends the benchmark."""
    command = [str(word) for word in words]
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})})
    with process, MemoryWatch(process.pid) as watch:
        output = process.communicate()[0]
    if process.returncode != 0:
        raise OverreadError(f"`{' '.join(command[:3])} ...` ended with exit code {process.returncode}.\n{output}")
    return Ran(time.monotonic() - began, watch.peak, output)
