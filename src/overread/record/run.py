"""A run folder, its lock, and the request to stop."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO

from overread.core.errors import OverreadError
from overread.record.events import EventLog


class RunFolder:
    """Where one training leaves everything: `runs/<name>/` of a project.

    subdivision.json  who trains and who tunes, where the run is part of a learning curve or a selection
    made.json         images that a network made and this run alone trains on
    plan.toml         every automatic choice and its reason
    events.jsonl      what happened, line by line
    checkpoint.safetensors     the state to resume from
    model/            the frozen model
    predictions/      answers by partition
    evaluation-*.json scores by partition
    report.html
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.name = self.path.name

    plan = property(lambda self: self.path / "plan.toml")
    checkpoint = property(lambda self: self.path / "checkpoint.safetensors")
    model = property(lambda self: self.path / "model")
    predictions = property(lambda self: self.path / "predictions")
    report = property(lambda self: self.path / "report.html")
    events_path = property(lambda self: self.path / "events.jsonl")
    subdivision = property(lambda self: self.path / "subdivision.json")
    made = property(lambda self: self.path / "made.json")

    @property
    def fold(self) -> int | None:
        """The fold that the run holds out; None where its project has none."""
        number = self.name.removeprefix("fold-")
        return int(number) if self.name.startswith("fold-") and number.isdigit() else None

    @property
    def events(self) -> EventLog:
        return EventLog(self.events_path)

    def evaluation(self, partition: str) -> Path:
        return self.path / f"evaluation-{partition}.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for one process; a second one is told who holds it. Ends with the process, kill -9 included."""
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.path / ".lock", "a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise OverreadError(
                    f"Run '{self.name}' is being trained by another process ({_holder(file)}).",
                    "wait for it to end, or give this run another name with --name",
                ) from error
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            try:
                yield
            finally:
                self._remove_if_bare()

    def _remove_if_bare(self) -> None:
        """A training that was refused leaves no run: a folder with nothing but the lock would pass for the latest one."""
        if [path.name for path in self.path.iterdir()] != [".lock"]:
            return
        (self.path / ".lock").unlink()
        self.path.rmdir()
        if self.name.startswith("fold-") and not any(self.path.parent.iterdir()):
            self.path.parent.rmdir()


def _holder(file: IO[str]) -> str:
    file.seek(0)
    return file.read() or "unknown"


class StopSignal:
    """Turns the first Ctrl-C (or a TERM) into a polite request; the second one ends at once."""

    def __init__(self) -> None:
        self.requested = False

    @contextmanager
    def listening(self) -> Iterator[StopSignal]:
        def ask(number: int, frame: FrameType | None) -> None:
            if self.requested:
                raise KeyboardInterrupt
            self.requested = True

        try:
            before = {s: signal.signal(s, ask) for s in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # not in the main thread: nobody can press Ctrl-C here
            yield self
            return
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
