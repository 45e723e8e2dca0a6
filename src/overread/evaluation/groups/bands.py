"""From the columns of a table to groups of cases: sexes and sites as they are, ages in bands, other numbers in thirds.

Where groups end depends on the column alone, never on truths or answers, the size of the truth excepted, which is meant to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from overread.core.question import Question
from overread.evaluation.answered import ScoredCase

AGES = (0, 18, 40, 60, 80)  # first year of each band
AGE_NAMES = ("age", "patient age", "patientage", "age years")
AGE_UNITS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}  # DICOM age string (PS3.5 6.2): 063Y, 006M
FEW_VALUES = 6  # a column of numbers with no more different values keeps each as a group
MOST_GROUPS = 10  # of a column of words; rarer words are put together
UNKNOWN = "not known"
NO_SIZE = "none in the truth"
MOST_WORDS = 50  # a column of words with more is free text or a list of names, not groups
OTHERS = "all others"
DATE = re.compile(
    r"\d{4}[-/](0[1-9]|1[0-2])"  # a month
    r"|\d{4}[-/.]?(0[1-9]|1[0-2])[-/.]?(0[1-9]|[12]\d|3[01])([T ].*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}"
)


@dataclass(frozen=True)
class Bands:
    """A column as groups.

    level    group of each case, in the order of the cases; `blank` where the column says nothing
    order    the groups in the order in which they are shown
    rule     how values became groups
    refusal  why the column makes no groups; "" where it does
    """

    level: tuple[str, ...]
    order: tuple[str, ...]
    rule: str
    blank: str = UNKNOWN
    refusal: str = ""


def bands(name: str, cells: Sequence[Any], patients: Sequence[str], blank: str = UNKNOWN) -> Bands:
    """Groups of one column.

    cells     (N,) value of each case: a word, a number, an age such as "063Y"; None or "" where not known
    patients  (N,) patient of each case
    blank     what a case without a value is called
    """
    words = [_word(cell) for cell in cells]
    known = [word for word in words if word is not None]
    refusal = _refusal(known, words, patients, name)
    if refusal:
        return Bands((blank,) * len(words), (), "", blank, refusal)
    if _plain(name) in AGE_NAMES and (years := _all(_years, words)) is not None:
        level, order, rule = _by_age(years)
    elif (numbers := _all(_number, words)) is None:
        level, order, rule = _by_words(words, patients)
    elif len(set(known)) > FEW_VALUES:
        level, order, rule = _in_thirds(numbers)
    else:
        level = [None if v is None else f"{v:g}" for v in numbers]
        order, rule = [f"{v:g}" for v in sorted({v for v in numbers if v is not None})], "each value is a group"
    named = tuple(blank if group is None else group for group in level)
    return Bands(named, tuple(group for group in (*order, blank) if group in set(named)), rule, blank)


def size_column(question: Question, cases: Sequence[ScoredCase], subject: str) -> tuple[str, dict[str, float]] | None:
    """Name and volume in ml of the truth of each case that has one; None where there are no volumes (2D, spacing unknown)."""
    names = (subject,) if subject in question.classes else question.classes
    volumes = {}
    for case in cases:
        found = [case.structures[name].truth_ml for name in names]
        known = [ml for ml in found if ml is not None]
        if known and sum(known) > 0:
            volumes[case.case_id] = float(sum(known))
    what = subject if subject in question.classes else "all structures together"
    return (f"size of {what} in the truth (ml)", volumes) if volumes else None


def cells_of(column: Mapping[str, Any], case_ids: Sequence[str]) -> list[Any]:
    return [column.get(case_id) for case_id in case_ids]


Groups = tuple[list[str | None], list[str], str]  # group of each case, the groups in order, the rule


def _refusal(known: Sequence[str], words: Sequence[str | None], patients: Sequence[str], name: str) -> str:
    if not known:
        return "it is empty"
    if all(DATE.fullmatch(word) for word in known):
        return "it holds dates, which no report may show"
    if _all(_number, words) is not None or (_plain(name) in AGE_NAMES and _all(_years, words) is not None):
        return ""
    if len(set(known)) > MOST_WORDS:
        return f"it holds {len(set(known))} different words, more than make groups"
    alone = sum(len(who) == 1 for who in _holders(words, patients).values())
    if len(set(known)) > FEW_VALUES and alone > len(set(known)) / 2:
        return f"most of its {len(set(known))} values belong to one patient each, so it makes no groups"
    return ""


def _by_age(years: Sequence[float | None]) -> Groups:
    ends = [*(str(first - 1) for first in AGES[1:]), ""]
    names = [f"{first} to {end}" if end else f"{first} and over" for first, end in zip(AGES, ends, strict=True)]
    level = [None if y is None else names[int(np.searchsorted(AGES, y, "right")) - 1] for y in years]
    return level, names, "years of age, in bands that are the same for every project"


def _in_thirds(numbers: Sequence[float | None]) -> Groups:
    """Thirds of these cases by the column; cut at values with three digits."""
    known = np.array([v for v in numbers if v is not None])
    low, high = (float(f"{edge:.3g}") for edge in np.quantile(known, [1 / 3, 2 / 3]))
    if low >= high:
        names = [f"up to {low:g}", f"above {low:g}"]
    else:
        names = [f"up to {low:g}", f"above {low:g} to {high:g}", f"above {high:g}"]
    level = [None if v is None else names[min(int(v > low) + int(v > high), len(names) - 1)] for v in numbers]
    return level, names, "cut into thirds of these cases by the column alone"


def _by_words(words: Sequence[str | None], patients: Sequence[str]) -> Groups:
    holders = _holders(words, patients)
    kept = sorted(sorted(holders), key=lambda word: -len(holders[word]))[:MOST_GROUPS]
    if len(kept) == len(holders):
        return list(words), sorted(kept), "each value is a group"
    level = [None if w is None else w if w in kept else OTHERS for w in words]
    return level, [*sorted(kept), OTHERS], f"the {MOST_GROUPS} commonest of {len(holders)} values; the others are put together"


def _holders(words: Sequence[str | None], patients: Sequence[str]) -> dict[str, set[str]]:
    """The patients that each value belongs to."""
    holders: dict[str, set[str]] = {}
    for word, patient in zip(words, patients, strict=True):
        if word is not None:
            holders.setdefault(word, set()).add(patient)
    return holders


def _word(cell: Any) -> str | None:
    if cell is None or (isinstance(cell, float | np.floating) and not np.isfinite(cell)):
        return None
    text = f"{cell:.12g}" if isinstance(cell, float | np.floating) else str(cell).strip()
    return text or None


def _all(read: Any, words: Sequence[str | None]) -> list[float | None] | None:
    """Every word read, None where blank; None where one of them cannot be."""
    found = [None if word is None else read(word) for word in words]
    return None if any(v is None for v, w in zip(found, words, strict=True) if w is not None) else found


def _number(word: str) -> float | None:
    try:
        value = float(word)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _years(word: str) -> float | None:
    match = re.fullmatch(r"(\d{1,3})([YMWD])", word.upper())
    value = int(match[1]) * AGE_UNITS[match[2]] if match else _number(word)
    return value if value is not None and value >= 0 else None


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-]+", " ", name).strip().casefold()
