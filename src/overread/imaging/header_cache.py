"""Inspections remembered in SQLite by path, size and time: a second scan of a large archive reads almost nothing."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from overread.imaging.inspect import Inspection

FORMAT = 1  # rises when Inspection or Header change, so that old entries are forgotten


class HeaderCache:
    """A table of inspections. It is only a memory: a damaged or foreign file is emptied, never trusted."""

    def __init__(self, path: Path) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        try:
            self._database = self._open(path)
        except sqlite3.DatabaseError:
            Path(path).unlink(missing_ok=True)
            self._database = self._open(path)

    @staticmethod
    def _open(path: Path) -> sqlite3.Connection:
        database = sqlite3.connect(path)
        database.execute("CREATE TABLE IF NOT EXISTS seen (path TEXT PRIMARY KEY, stamp TEXT, inspection TEXT)")
        return database

    def get(self, folder: Path, name: str) -> Inspection | None:
        """The inspection of a file that has not changed since; None where it has, or was never seen."""
        path = Path(folder) / name
        row = self._database.execute("SELECT stamp, inspection FROM seen WHERE path = ?", (str(path.resolve()),)).fetchone()
        if row is None or row[0] != _stamp(path):
            return None
        values = json.loads(row[1]) | {"path": name}
        if values["header"]:
            values["header"]["path"] = str(path)
        return Inspection.from_dict(values)

    def put(self, folder: Path, inspection: Inspection) -> None:
        path = Path(folder) / inspection.path
        row = (str(path.resolve()), _stamp(path), json.dumps(inspection.as_dict()))
        self._database.execute("INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", row)

    def close(self) -> None:
        self._database.commit()
        self._database.close()


def _stamp(path: Path) -> str:
    state = path.stat()
    return f"{FORMAT}/{state.st_size}/{state.st_mtime_ns}"
