"""Inspections in SQLite: remembered by path, size and time, and put in order by series without holding them all.

With a file, a second scan of a large archive reads almost nothing; without one the table lies in a temporary place
of SQLite's own. The file holds what headers say, identifiers among it: it belongs into `cohort/private/`.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy
import pydicom

from overread.imaging.inspect import Row

CACHE_KIB = 16 * 1024  # what SQLite may hold in memory; the rest lies on disk
ROWS = 512  # of a query that are fetched at once
TABLES = """
CREATE TABLE IF NOT EXISTS about (reader TEXT);
CREATE TABLE IF NOT EXISTS seen (
    path TEXT PRIMARY KEY, stamp TEXT, format TEXT, series TEXT, sop TEXT, content BLOB
) WITHOUT ROWID;
CREATE TEMP TABLE here (path TEXT PRIMARY KEY, name TEXT, stamp TEXT, inside INTEGER) WITHOUT ROWID;
CREATE TEMP TABLE todo (number INTEGER PRIMARY KEY, name TEXT, stamp TEXT);
"""
NOW = "FROM temp.here JOIN seen USING (path)"


class HeaderCache:
    """What one scan sees, and what earlier ones saw. It is only a memory: a damaged or foreign file is emptied, never trusted.

    folder  the scanned one; rows of other folders are left alone
    path    SQLite file; None forgets everything at the end
    """

    def __init__(self, folder: Path, path: Path | None = None) -> None:
        self._root = os.fsencode(os.path.realpath(folder)).decode("utf-8", "backslashreplace").rstrip("/") + "/"
        self._path = path
        try:
            self._database = _open(path)
        except (sqlite3.OperationalError, OSError):  # locked by another scan, or no file can be written there: do without
            if path is None:
                raise
            self._path, self._database = None, _open(None)
        except sqlite3.DatabaseError:
            assert path is not None
            path.unlink(missing_ok=True)
            self._database = _open(path)

    def expect(self, files: Iterable[tuple[str, str]], *, inside: bool = False) -> None:
        """Files that are there now, as (path relative to the folder, stamp). inside: of an archive."""
        rows = ((self._root + name, name, stamp, int(inside)) for name, stamp in files)
        self._database.executemany("INSERT OR IGNORE INTO temp.here VALUES (?, ?, ?, ?)", rows)

    def unknown(self) -> int:
        """How many expected files are new or changed; `next_unknown` gives them in order of their path."""
        self._database.execute("DELETE FROM temp.todo")
        self._database.execute(
            "INSERT INTO temp.todo (name, stamp) SELECT name, stamp FROM temp.here WHERE NOT EXISTS "
            "(SELECT 1 FROM seen WHERE seen.path = here.path AND seen.stamp = here.stamp) ORDER BY inside, name"
        )
        return self._count("SELECT COUNT(*) FROM temp.todo")

    def next_unknown(self, size: int) -> Iterator[list[tuple[str, str]]]:
        """(path, stamp) of unknown files, `size` at a time."""
        last = 0
        query = "SELECT number, name, stamp FROM temp.todo WHERE number > ? ORDER BY number LIMIT ?"
        while rows := self._database.execute(query, (last, size)).fetchall():
            last = rows[-1][0]
            yield [(name, stamp) for _, name, stamp in rows]

    def put(self, rows: Sequence[Row]) -> None:
        own = ((self._root + row.path, *row[1:]) for row in rows)
        self._database.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?, ?)", own)

    def keep(self) -> None:
        """Make what was put so far lasting: an interrupted scan goes on from here."""
        self._database.commit()

    def expected(self) -> int:
        return self._count("SELECT COUNT(*) FROM temp.here")

    def of_format(self, format: str) -> Iterator[tuple[str, str, bytes]]:
        """(path, stamp, content) of the files of a format, in order of their path."""
        query = f"SELECT name, here.stamp, content {NOW} WHERE format = ? ORDER BY name"
        yield from self._rows(query, (format,))

    def by_series(self) -> Iterator[tuple[str, str, bytes]]:
        """(series, path, content) of DICOM files, series by series, without copies."""
        query = (
            f"SELECT series, name, content {NOW} WHERE format = 'dicom' AND NOT EXISTS (SELECT 1 FROM temp.copies "
            "WHERE copies.path = here.path) ORDER BY series, inside, name"
        )
        yield from self._rows(query, ())

    def copies(self) -> Iterator[tuple[str, str, bytes, bytes]]:
        """(path, path of the first, content, content of the first) of objects that are there more than once.

        The first is the one outside of archives, then the first by path.
        """
        self._database.executescript(
            "DROP TABLE IF EXISTS temp.objects; DROP TABLE IF EXISTS temp.copies;"
            f"CREATE TEMP TABLE objects AS SELECT sop, inside, name, here.path {NOW} WHERE format = 'dicom' AND sop != '' "
            f"AND sop IN (SELECT sop {NOW} WHERE format = 'dicom' GROUP BY sop HAVING COUNT(*) > 1);"
            "CREATE TEMP TABLE copies AS SELECT path, name, FIRST_VALUE(path) OVER same AS original, "
            "FIRST_VALUE(name) OVER same AS known FROM temp.objects WINDOW same AS (PARTITION BY sop ORDER BY inside, name);"
            "DELETE FROM temp.copies WHERE path = original;"
            "CREATE INDEX temp.copied ON copies (path);"
        )
        query = (
            "SELECT copies.name, known, one.content, other.content FROM temp.copies "
            "JOIN seen AS one ON one.path = copies.path JOIN seen AS other ON other.path = original ORDER BY copies.name"
        )
        yield from self._rows(query, ())

    def names(self, below: str) -> Iterator[str]:
        """Paths of all expected files below a folder ("" for all), relative to it."""
        start = f"{below}/" if below else ""
        query = "SELECT SUBSTR(name, ?) FROM temp.here WHERE SUBSTR(name, 1, ?) = ?"
        yield from (name for (name,) in self._rows(query, (len(start) + 1, len(start), start)))

    def forget_others(self) -> None:
        """Drop rows of files in this folder that are no longer there."""
        query = "DELETE FROM seen WHERE SUBSTR(path, 1, ?) = ? AND path NOT IN (SELECT path FROM temp.here)"
        self._database.execute(query, (len(self._root), self._root))

    def close(self) -> None:
        self._database.commit()
        self._database.close()

    def abandon(self, *, remove: bool) -> None:
        """Close without keeping; a file that proved to be damaged is removed."""
        self._database.close()
        if remove and self._path is not None:
            self._path.unlink(missing_ok=True)

    def _rows(self, query: str, values: Sequence[object]) -> Iterator[tuple[Any, ...]]:
        cursor = self._database.execute(query, values)
        cursor.arraysize = ROWS
        while rows := cursor.fetchmany():
            yield from rows

    def _count(self, query: str) -> int:
        return int(self._database.execute(query).fetchone()[0])


def _open(path: Path | None) -> sqlite3.Connection:
    """A connection with its tables; rows of another version of the reader, and of refused files, are dropped."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    database = sqlite3.connect(path or "", timeout=2)
    try:
        database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        database.execute("PRAGMA synchronous = OFF")  # a memory that a power cut may take
        database.execute("PRAGMA temp_store = FILE")
        database.executescript(TABLES)
        if database.execute("SELECT reader FROM about").fetchall() != [(_reader(),)]:
            database.executescript("DELETE FROM seen; DELETE FROM about")
            database.execute("INSERT INTO about VALUES (?)", (_reader(),))
        # A refusal may have gone though the file is the same: a permission, a file beside it.
        database.execute("DELETE FROM seen WHERE format IN ('refused', 'archive')")
        database.commit()
    except BaseException:
        database.close()
        raise
    return database


@lru_cache(maxsize=1)
def _reader() -> str:
    """Digest of the code that reads headers: what another version saw is not what this one would see."""
    digest = hashlib.sha256(f"{pydicom.__version__} {numpy.__version__}".encode())
    for source in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()
