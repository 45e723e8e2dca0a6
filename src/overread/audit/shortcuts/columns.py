"""What is known of each case in columns: numbers, or names of few levels; as a table of acquisition and for a small model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

from overread.audit.audited import AuditedCase
from overread.audit.shortcuts.targets import OTHER
from overread.cohort.numbers import as_number
from overread.cohort.sheet import as_date

FEWEST_NUMBERS = 6  # different numbers, from which a column is a measurement and not a setting
FEWEST_OF_LEVEL = 5  # cases; rarer levels are taken together
MOST_LEVELS = 8
NOT_KNOWN = "not known"
AXES = ("z", "y", "x")
NEVER = ("date", "time", "uid", "accession", "digest", "path", "file")  # endings of names that say who and when, not how


@dataclass(frozen=True)
class Column:
    """One thing that is known of cases.

    numbers  (N,) float, NaN where not known; None where the column holds names
    codes    (N,) level of each case; levels () where the column holds numbers
    """

    name: str
    numbers: np.ndarray | None
    codes: np.ndarray
    levels: tuple[str, ...] = ()


def columns_of(rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    """Columns of (N,) rows that differ between cases; dates, and names that are nearly as many as cases, are left out."""
    spread = [dict(_spread(row)) for row in rows]
    names = sorted({name for row in spread for name in row if not name.lower().endswith(NEVER)})
    made = (_column(name, [row.get(name) for row in spread]) for name in names)
    return [column for found in made for column in found]


def acquired(case: AuditedCase) -> dict[str, Any]:
    """How a case was acquired, with what the sheet says, its site and its scanner."""
    named = {name: value for name, value in (("site", case.site), ("scanner", case.scanner)) if value}
    return {**case.acquisition, **case.covariates, **named}


def encoded(columns: Iterable[Column]) -> tuple[np.ndarray, list[str]]:
    """(N, F) features and the column of each: ranks of numbers, 0 to 1; one indicator per level."""
    parts: list[np.ndarray] = []
    names: list[str] = []
    for column in columns:
        made = _ranks(column.numbers) if column.numbers is not None else column.codes[:, None] == np.arange(len(column.levels))
        parts.append(np.asarray(made, float))
        names += [column.name] * made.shape[1]
    return (np.hstack(parts) if parts else np.empty((0, 0))), names


def _spread(row: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Three numbers in one field become three fields."""
    for name, value in row.items():
        if isinstance(value, list | tuple | np.ndarray):
            ends = AXES if len(value) == 3 else AXES[1:] if len(value) == 2 else [str(k) for k in range(len(value))]
            yield from ((f"{name} {end}", part) for end, part in zip(ends, value, strict=True))
        else:
            yield name, value


def _column(name: str, values: Sequence[Any]) -> list[Column]:
    texts = [_text(value) for value in values]
    known = [t for t in texts if t]
    if known and all(_is_day(t) for t in known):
        return []  # a day of birth or of an exam says who and when, whatever its column is called
    different = set(known)
    numbers = [as_number(t) for t in known]
    if all(n is not None for n in numbers) and len(different) >= FEWEST_NUMBERS:
        places = iter(numbers)
        array = np.array([np.nan if not t else float(next(places) or 0.0) for t in texts])
        missing = _names(f"{name} is missing", [str(not t) for t in texts])
        return [Column(name, array, np.zeros(len(texts), int)), *missing]
    if len(different) > max(MOST_LEVELS, len(known) / 2):
        return []
    return _names(name, [t or NOT_KNOWN for t in texts])


def _is_day(text: str) -> bool:
    """A date, and no mere number that a spreadsheet could mean as one."""
    return as_date(text) is not None and (as_number(text) is None or len(text) == len("20241231"))


def _names(name: str, texts: Sequence[str]) -> list[Column]:
    counts = Counter(texts).most_common()
    kept = [t for t, n in counts[:MOST_LEVELS] if n >= FEWEST_OF_LEVEL]
    levels = (*sorted(kept), OTHER) if len(kept) < len(counts) else tuple(sorted(kept))
    if len(levels) < 2:
        return []
    place = {t: k for k, t in enumerate(levels)}
    return [Column(name, None, np.array([place.get(t, len(levels) - 1) for t in texts]), levels)]


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return ""
    return str(value).strip()


def _ranks(numbers: np.ndarray) -> np.ndarray:
    """(N, 1) ranks over the known numbers, 0.5 where not known; outliers count no more than their rank."""
    known = np.isfinite(numbers)
    ranks = np.full(len(numbers), 0.5)
    ranks[known] = (rankdata(numbers[known]) - 0.5) / max(int(known.sum()), 1)
    return ranks[:, None]
