"""Patterns of the rules that choose images: text with * and ?, alternatives, comparisons of numbers.

thin*           text, whatever the case; * stands for any text, ? for one letter
B30*|B31*       one of several
!*lung*         anything but
<= 2            a number; several comparisons are joined by a comma: >= 1, <= 3
lowest, highest of the series that fit all other lines, those with the smallest or largest number
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from functools import lru_cache

from overread.cohort.numbers import as_number
from overread.core.errors import OverreadError

COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}
COMPARISON = re.compile(r"\s*(<=|>=|<|>|=)\s*(-?\d+(?:[.]\d+)?)\s*")
RANKS = {"lowest": min, "highest": max}


def fits(value: str, pattern: str) -> bool:
    """Whether a value, as text, fits a pattern. A value that is not there ("") fits only * and !."""
    text = " ".join(value.split()).casefold()
    if pattern.lstrip().startswith("!"):
        return not fits(value, pattern.lstrip()[1:])
    limits = comparisons(pattern)
    if limits is not None:
        number = as_number(text)
        return number is not None and all(COMPARE[sign](number, limit) for sign, limit in limits)
    return any(_fits_text(text, choice) for choice in pattern.split("|"))


def _fits_text(text: str, choice: str) -> bool:
    wanted = " ".join(choice.split()).casefold()
    number, value = as_number(wanted), as_number(text)
    if number is not None and value is not None:
        return abs(number - value) < 1e-6
    return bool(glob(wanted).fullmatch(text))


@lru_cache(maxsize=256)
def glob(pattern: str) -> re.Pattern[str]:
    """A pattern with * and ? as a regular expression; each * is a group, every other letter stands for itself."""
    parts = {"*": "(.*)", "?": "."}
    return re.compile("".join(parts.get(letter, re.escape(letter)) for letter in pattern), re.DOTALL)


def comparisons(pattern: str) -> list[tuple[str, float]] | None:
    """The comparisons of a pattern such as ">= 1, <= 3"; None where it is text."""
    if pattern.lstrip()[:1] not in ("<", ">", "="):
        return None
    found = [COMPARISON.fullmatch(part) for part in pattern.split(",")]
    if any(f is None for f in found):
        raise OverreadError(
            f"The pattern '{pattern}' is no comparison that is understood.",
            'write a number after the sign, for example "<= 2" or ">= 1, <= 3"',
        )
    return [(f[1], float(f[2])) for f in found if f is not None]


def literal(value: str) -> str:
    """A pattern that fits this value: letters with a meaning in patterns become ?."""
    text = re.sub(r"[*|]", "?", value)
    return re.sub(r"^(\s*)[!<>=]", r"\1?", text)
