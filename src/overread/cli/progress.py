"""Progress of long work: a bar with the time left on a terminal, plain lines in a pipe.

Workflow functions take a `cohort.progress.Progress` and know nothing of terminals.
"""

from __future__ import annotations

import sys
import time
from typing import IO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress

from overread.cohort.progress import Progress


def reporter(stream: IO[str] | None = None) -> Progress:
    """The right one for where the words go; standard error, so that results stay clean in a pipe."""
    stream = stream or sys.stderr
    return Bar(stream) if stream.isatty() else Lines(stream)


class Bar:
    """A bar with the time left, by rich."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._progress: RichProgress | None = None

    def start(self, total: float | None, text: str) -> None:
        self.finish()
        counted: list[ProgressColumn] = [MofNCompleteColumn()] if isinstance(total, int) else []
        left: list[ProgressColumn] = [TextColumn("left"), TimeRemainingColumn()] if total else [TimeElapsedColumn()]
        self._progress = RichProgress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            *counted,
            *left,
            TextColumn("{task.fields[note]}", style="dim"),
            console=Console(file=self._stream),
        )
        self._progress.start()
        self._progress.add_task(text, total=total, note="")

    def advance(self, n: float = 1, note: str = "") -> None:
        if self._progress is not None:
            task = self._progress.tasks[0]
            self._progress.update(task.id, advance=n, note=note or task.fields["note"])

    def finish(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


class Lines:
    """One plain line at the start, at the end, and every ten seconds between."""

    EVERY_SECONDS = 10.0

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._text = ""
        self._total: float | None = None
        self._done = 0.0
        self._note = ""
        self._began = self._said = 0.0

    def start(self, total: float | None, text: str) -> None:
        self.finish()
        self._text, self._total, self._done, self._note = text, total, 0.0, ""
        self._began = self._said = time.monotonic()
        self._say(f"{text} ...")

    def advance(self, n: float = 1, note: str = "") -> None:
        self._done += n
        self._note = note or self._note
        now = time.monotonic()
        if self._text and now - self._said >= self.EVERY_SECONDS:
            self._said = now
            self._say(f"{self._text}: {self._share()}{self._left(now)}" + (f", {self._note}" if self._note else ""))

    def finish(self) -> None:
        if self._text:
            seconds = time.monotonic() - self._began
            self._say(f"{self._text}: {self._share()} in {duration(seconds)}" + (f", {self._note}" if self._note else ""))
            self._text = ""

    def _share(self) -> str:
        if self._total is None:
            return f"{self._done:g} done" if self._done else "done"
        if isinstance(self._total, int):
            return f"{self._done:g} of {self._total}"
        return f"{min(self._done / self._total, 1):.0%}" if self._total else "done"

    def _left(self, now: float) -> str:
        if not self._total or self._done <= 0:
            return ""
        seconds = (now - self._began) * max(self._total - self._done, 0) / self._done
        return f", about {duration(seconds)} left"

    def _say(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


def duration(seconds: float) -> str:
    """A length of time in words: ``12 s``, ``3 min 05 s``, ``2 h 10 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
