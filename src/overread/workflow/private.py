"""The last look before something is published: original ids, file names and paths are taken out of free text.

Nothing private should have come this far; events and settings hold pseudonyms. This is the second lock.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from overread.cohort.identity import Link, read_links
from overread.cohort.index import read_index

REMOVED = "[removed]"
IDENTIFYING = re.compile(
    r"name|birth|date|dob|mrn|accession|uid|path|file|folder|address|phone|\bid\b|_id$|^id_", re.IGNORECASE
)  # columns
_PATH = re.compile(r"(?<![\w.:/\\])(?:~|[A-Za-z]:)?[\\/](?:[\w.~@+ -]*[\w.~@+-][\\/])+[\w.~@+-]*")
_WORD = re.compile(r"[^\s,;:()\[\]{}\"'<>=|]+")
Plain = TypeVar("Plain")


def private_words(project_dir: Path, keep: Collection[str] = ()) -> frozenset[str]:
    """Everything behind the pseudonyms: original names and ids, the files' names with and without suffix,
    and what stands in columns of the sheet that are called like an identifier.

    keep  words that may be shown although an original is called so: the class names of folders

    Numbers of up to four digits are left out: they could not be told from counts.
    """
    words: set[str] = set()
    if (Path(project_dir) / "cohort" / "private" / "link.csv").exists():
        words |= {word.strip() for link in read_links(project_dir) for word in _behind(link)}
    for row in read_index(project_dir):
        words |= {str(v).strip() for name, v in row.case.covariates.items() if IDENTIFYING.search(name)}
    return frozenset(w for w in words if len(w) >= 3 and not (w.isdigit() and len(w) < 5) and w not in keep)


def _behind(link: Link) -> list[str]:
    files = [f for f in link.files.split("|") if f]
    names = [PurePosixPath(f).name for f in files]
    return [
        link.original_name,
        link.original_patient,
        link.original_exam,
        link.sheet_id,
        *files,
        *names,
        *(n.split(".")[0] for n in names if len(n.split(".")[0]) > 4),
    ]


class Cleaner:
    """Replaces private words and paths in every text of a plain value (dictionaries, lists, texts, numbers)."""

    def __init__(self, words: Collection[str]) -> None:
        self.words = frozenset(w for w in words if _WORD.fullmatch(w))
        self.phrases = tuple(sorted((w for w in words if not _WORD.fullmatch(w)), key=len, reverse=True))

    def __call__(self, value: Plain) -> Plain:
        cleaned: Plain = self._clean(value)
        return cleaned

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping):
            return {self._clean(k): self._clean(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self._clean(v) for v in value)
        return value

    def _text(self, text: str) -> str:
        for phrase in self.phrases:
            text = text.replace(phrase, REMOVED)
        text = _PATH.sub(REMOVED, text)
        return _WORD.sub(lambda found: self._word(found.group()), text)

    def _word(self, word: str) -> str:
        bare = word.rstrip(".!?")
        return REMOVED + word[len(bare) :] if bare in self.words else word
