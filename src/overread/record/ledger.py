"""The ledger: every opening of the seal, in a chain of hashes, so that a removed or changed line shows.

A chain by itself does not show that its last lines were cut off. So the number of lines and the hash of the last one
stand in a file of their own beside it, `ledger.head.json`, and a ledger that is shorter than that is broken.

A last line without its end (a full disk, a power cut) was never acted on: it is passed over, and the next entry takes its
place. One that had been written whole is in the head file, so its loss shows.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from overread.core.errors import OverreadError
from overread.record.files import digest_json, named_if_full, read_json, write_json

GENESIS = "sha256:" + "0" * 64


class Ledger:
    """An append-only file of entries, each holding the hash of the one before."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    @property
    def head_path(self) -> Path:
        """Where the number of lines and the hash of the last one stand."""
        return self.path.with_suffix(".head.json")

    def entries(self) -> list[dict[str, Any]]:
        """All entries, after checking the chain and its end; a broken chain is an error that names the line."""
        entries = self._chain() if self.path.exists() else []
        self._check_end(entries)
        return entries

    def append(self, entry: str, *, counted_by: str = "", **values: Any) -> dict[str, Any]:
        """Add an entry of the kind `entry` and return it with time, previous and own hash.

        counted_by  one of the values: the entry gets a `number`, its place among those of its kind with that value
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with named_if_full(f"{self.path.name} could not be written; no entry was made", self.path.parent), self.held() as file:
            entries = self.entries()
            if counted_by:  # counted under the lock, or two openings at once would both be the first
                alike = [e for e in entries if e["entry"] == entry and e.get(counted_by) == values[counted_by]]
                values["number"] = 1 + len(alike)
            previous = entries[-1]["hash"] if entries else GENESIS
            body = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "entry": entry, **values, "previous": previous}
            body["hash"] = digest_json(body)
            end = sum(len(line) + 1 for line in self._lines())
            file.truncate(end)
            try:
                _write_whole(file, json.dumps(body, ensure_ascii=False).encode() + b"\n")
                write_json(self.head_path, {"entries": len(entries) + 1, "hash": body["hash"]})
            except (OSError, OverreadError):  # a full disk: what the entry was to permit does not happen, so it is taken back
                file.truncate(end)
                raise
        return body

    @contextmanager
    def held(self) -> Iterator[BinaryIO]:
        """The file, which nobody else appends to meanwhile."""
        while True:
            with open(self.path, "ab", buffering=0) as file:  # or closing it would write the rest of a line that was taken back
                fcntl.flock(file, fcntl.LOCK_EX)
                if self._is_here(file):  # while it waited, an update may have put another file in its place
                    yield file
                    return

    def _is_here(self, file: BinaryIO) -> bool:
        return self.path.exists() and os.path.samestat(os.fstat(file.fileno()), self.path.stat())

    def _lines(self) -> list[bytes]:
        """The whole lines, without their ends. Split at line feeds alone: words of users may hold other separators."""
        return self.path.read_bytes().split(b"\n")[:-1]

    def _chain(self) -> list[dict[str, Any]]:
        previous, entries = GENESIS, []
        for number, line in enumerate(self._lines(), 1):
            try:
                entry = json.loads(line)
                stored = entry.pop("hash")
            except (ValueError, KeyError, AttributeError, TypeError) as error:
                raise self._broken(f"line {number} is not readable") from error
            if entry.get("previous") != previous:
                raise self._broken(f"line {number} does not follow the line before it")
            if digest_json(entry) != stored:
                raise self._broken(f"line {number} was changed after it was written")
            entries.append({**entry, "hash": stored})
            previous = stored
        return entries

    def _check_end(self, entries: list[dict[str, Any]]) -> None:
        """The last line that was ever written must still be there; one written without its head (a crash) may follow."""
        if not self.head_path.exists():
            if len(entries) > 1:  # the first entry may stand without it, after a crash; the second wrote it
                raise self._broken(f"{self.head_path.name}, which says where it ends, is missing")
            return
        head = read_json(self.head_path)
        count = int(head["entries"])
        if count > len(entries):
            raise self._broken(f"it has {len(entries)} lines and had {count}: its end was cut off")
        if count and entries[count - 1]["hash"] != head["hash"]:
            raise self._broken(f"line {count} is not the one that was written: the ledger was written anew")

    def _broken(self, how: str) -> OverreadError:
        return OverreadError(
            f"The ledger {self.path.name} is broken: {how}.",
            "restore the ledger from a copy; a report without it cannot say how often the test was opened",
        )


def _write_whole(file: BinaryIO, line: bytes) -> None:
    """All of it, down to the disk; the system may take it in pieces."""
    while line:
        line = line[file.write(line) :]
    os.fsync(file.fileno())
