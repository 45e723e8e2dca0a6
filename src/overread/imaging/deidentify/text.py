"""Free text made safe: only words that identify nobody are kept, and known identifiers are taken out of what stays.

Removing "everything that looks like a name" misses names; keeping only what is known to be harmless does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

REMOVED = "REMOVED"
TOKEN = re.compile(r"[^\s,;:()\[\]{}<>=+*\"'|\\]+")
PART = re.compile(r"[^_/\-.&]+")
MEASURE = re.compile(
    r"\d{1,4}(\.\d{1,3})?(mm|cm|ml|mg|kv|kvp|kev|ma|mas|ms|msec|s|sec|min|t|hz|hu|d|x|%)|b\d{1,4}|[tlcs]\d{1,2}|[bdhtiuq][rvf]?\d{2}[a-z]?|\d[dt]",
    re.IGNORECASE,
)
NUMBER = re.compile(r"\d{1,3}|\d{1,2}\.\d{1,2}")
SHORTEST_WORD, SHORTEST_CODE = 3, 4  # letters of a name, characters of an identifier


@cache
def harmless_words() -> frozenset[str]:
    return frozenset(files(__package__).joinpath("words.txt").read_text(encoding="utf-8").split())


def cleaned(text: str) -> str:
    """The words of radiology and the measures in `text`, in their order; everything else is dropped.

    A lone number of up to three digits stays ("Lesion 2"); numbers beside numbers do not, since they may be a date.
    """
    kept = [" ".join(_harmless_parts(token)) for token in TOKEN.findall(text)]
    is_number = [bool(NUMBER.fullmatch(token)) for token in TOKEN.findall(text)]
    words = []
    for k, word in enumerate(kept):
        beside_a_number = any(is_number[n] for n in (k - 1, k + 1) if 0 <= n < len(kept))
        if word and not (is_number[k] and beside_a_number):
            words.append(word)
    return " ".join(words)


def _harmless_parts(token: str) -> list[str]:
    """``T2_tse_Miller`` -> ``["T2", "tse"]``; a number is kept only where it stands alone or carries a unit."""
    if NUMBER.fullmatch(token) or MEASURE.fullmatch(token):
        return [token]
    return [part for part in PART.findall(token) if part.lower() in harmless_words() or MEASURE.fullmatch(part)]


class Known:
    """Identifiers of one patient and exam, to be found wherever else they stand."""

    def __init__(self, names: Iterable[str], codes: Iterable[str]) -> None:
        words = {word for name in names for word in re.split(r"[\^=\s,.]+", name) if len(word) >= SHORTEST_WORD}
        words = {word for word in words if word.lower() not in harmless_words() and not word.isdigit()}
        words |= {code.strip() for code in codes if len(code.strip()) >= SHORTEST_CODE}
        ordered = sorted(words, key=len, reverse=True)
        pattern = "|".join(re.escape(word) for word in ordered)
        self._pattern = re.compile(rf"(?<![^\W_])(?:{pattern})(?![^\W_])", re.IGNORECASE) if ordered else None

    def taken_out(self, text: str) -> str:
        """`text` with every known identifier replaced."""
        return self._pattern.sub(REMOVED, text) if self._pattern else text
