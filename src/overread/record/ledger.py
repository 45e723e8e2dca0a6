"""The ledger: every opening of the seal, in a chain of hashes, so that a removed or changed line shows.

A chain by itself does not show that its last lines were cut off. So the number of lines and the hash of the last one
stand in a file of their own beside it, `ledger.head.json`, and a ledger that is shorter than that is broken.
"""

from __future__ import annotations

import fcntl
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from overread.core.errors import OverreadError
from overread.record.files import digest_json, read_json, write_json

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

    def append(self, entry: str, **values: Any) -> dict[str, Any]:
        """Add an entry of the kind `entry` and return it with time, previous and own hash."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # two processes that append at once would both follow the same line
            entries = self.entries()
            previous = entries[-1]["hash"] if entries else GENESIS
            body = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "entry": entry, **values, "previous": previous}
            body["hash"] = digest_json(body)
            file.write(json.dumps(body, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
            write_json(self.head_path, {"entries": len(entries) + 1, "hash": body["hash"]})
        return body

    def _chain(self) -> list[dict[str, Any]]:
        previous, entries = GENESIS, []
        for number, line in enumerate(self.path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                entry = json.loads(line)
                stored = entry.pop("hash")
            except (json.JSONDecodeError, KeyError, AttributeError, TypeError) as error:
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
