"""The ledger: every opening of the seal, in a chain of hashes, so that a removed or changed line shows."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from overread.core.errors import OverreadError
from overread.record.files import digest_json

GENESIS = "sha256:" + "0" * 64


class Ledger:
    """An append-only file of entries, each holding the hash of the one before."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def entries(self) -> list[dict[str, Any]]:
        """All entries, after checking the chain; a broken chain is an error that names the line."""
        if not self.path.exists():
            return []
        previous, entries = GENESIS, []
        for number, line in enumerate(self.path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                entry = json.loads(line)
                stored = entry.pop("hash")
            except (json.JSONDecodeError, KeyError) as error:
                raise self._broken(number, "is not readable") from error
            if entry.get("previous") != previous:
                raise self._broken(number, "does not follow the line before it")
            if digest_json(entry) != stored:
                raise self._broken(number, "was changed after it was written")
            entries.append({**entry, "hash": stored})
            previous = stored
        return entries

    def append(self, entry: str, **values: Any) -> dict[str, Any]:
        """Add an entry of the kind `entry` and return it with time, previous and own hash."""
        entries = self.entries()
        previous = entries[-1]["hash"] if entries else GENESIS
        body = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "entry": entry, **values, "previous": previous}
        body["hash"] = digest_json(body)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(body, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        return body

    def _broken(self, number: int, how: str) -> OverreadError:
        return OverreadError(
            f"The ledger {self.path.name} is broken: line {number} {how}.",
            "restore the ledger from a copy; a report without it cannot say how often the test was opened",
        )
