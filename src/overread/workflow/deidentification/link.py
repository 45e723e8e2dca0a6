"""The re-link table: the key and, for every original identifier, the new one. It must never travel with the output.

A CSV with the columns what, original, new: the first row holds the key from which all new identifiers follow, so that
the same table gives the same identifiers in the next run. Readable by its owner only.
"""

from __future__ import annotations

import csv
import io
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from overread.core.errors import OverreadError
from overread.imaging.deidentify.secret import Secret
from overread.imaging.deidentify.settings import Done

COLUMNS = ("what", "original", "new")
KEY = "key"
KEY_BYTES = 32


@dataclass
class LinkTable:
    """rows: (what, original) -> new."""

    secret: Secret
    rows: dict[tuple[str, str], str] = field(default_factory=dict)

    def take(self, done: Done) -> None:
        """Remember what became of one file."""
        self.rows["file", done.source] = done.written
        if done.identity is None:
            return
        who = done.identity
        self.rows["patient", who.patient] = done.patient
        if done.days:
            self.rows["days", who.patient] = str(done.days)
        if who.name:
            self.rows["name", who.name] = done.patient
        if who.accession:
            self.rows["accession", who.accession] = self.secret.code("accession", who.accession)
        parts = Path(done.written)
        for what, original, new in (
            ("study", who.study, parts.parts[1]),
            ("series", who.series, parts.parts[2]),
            ("instance", who.instance, parts.stem),
        ):
            if original:
                self.rows[what, original] = new

    def leave_out(self, files: Iterable[tuple[str, str]]) -> None:
        """(path, code) of files that were not copied."""
        self.rows.update({("left out", source): code for source, code in files})


def read_link(path: Path | None) -> LinkTable:
    """An earlier table, or a new one with a fresh key."""
    if path is None or not Path(path).exists():
        return LinkTable(Secret.fresh())
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = {(row["what"], row["original"]): row["new"] for row in csv.DictReader(file)}
        key = bytes.fromhex(next(original for what, original in rows if what == KEY))
    except (OSError, ValueError, KeyError, TypeError, StopIteration, UnicodeDecodeError, csv.Error) as error:
        raise OverreadError(
            f"{path} is no re-link table of Overread.", "name the table of the earlier run, or a new file"
        ) from error
    if len(key) != KEY_BYTES:
        raise OverreadError(f"{path}: the key is damaged.", "restore the table from a copy")
    return LinkTable(Secret(key), {name: new for name, new in rows.items() if name[0] != KEY})


def write_link(path: Path, link: LinkTable) -> None:
    """Written beside and renamed; from its first byte on it is readable by its owner only (mkstemp)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerow((KEY, link.secret.key.hex(), ""))
    writer.writerows((what, original, new) for (what, original), new in link.rows.items())
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text.getvalue())
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        Path(beside).unlink(missing_ok=True)
