"""Splits that ask for another place or another time: leave one site out, and test on the newest patients.

Whoever tests a fold must be new to it in both ways: neither the patient nor the site (or the period) may be known from
training. A patient who was examined at two sites, or before and after the date, cannot be on both sides; the cases that
would be are left out, and counted in the data flow.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from datetime import date

from overread.core.errors import OverreadError

MOST_LEVELS = 50  # a column with more is a name or a number, not a site

OTHER_LEVEL = "examined elsewhere too: another {column} than the rest of the patient"
OTHER_TIME = "after the date of the split, of a patient from before"


def by_level(groups: Sequence[str], levels: Sequence[str | None], column: str) -> tuple[list[int | None], tuple[str, ...]]:
    """One fold per level of a column.

    groups   per case, its patient; cases of one patient stay together
    levels   per case, what the column says
    returns  per case its fold, None for a case at another level than most of its patient's; and the levels in the order
             of their folds
    """
    blank = sum(level is None for level in levels)
    if blank:
        raise OverreadError(
            f"{blank} of {len(levels)} cases have nothing in '{column}', so they belong to no fold.",
            f"fill the column '{column}', or take these cases out",
        )
    names = sorted({str(level) for level in levels})
    if len(names) < 2:
        raise OverreadError(
            f"All cases have the same '{column}' ({', '.join(names)}); leaving one out leaves none.",
            "name a column with two or more values with --split-by, or use --folds",
        )
    if len(names) > MOST_LEVELS:
        raise OverreadError(
            f"The column '{column}' holds {len(names)} different values; each would be a fold, and {MOST_LEVELS} are the most.",
            "name a column of sites, scanners or periods with --split-by",
        )
    of_group: dict[str, Counter[str]] = defaultdict(Counter)
    for group, level in zip(groups, levels, strict=True):
        of_group[group][str(level)] += 1
    home = {g: sorted(counts.items(), key=lambda item: (-item[1], item[0]))[0][0] for g, counts in of_group.items()}
    place = [names.index(home[g]) if home[g] == level else None for g, level in zip(groups, levels, strict=True)]
    empty = [name for k, name in enumerate(names) if k not in place]
    if empty:
        raise OverreadError(
            f"All patients of {column} '{empty[0]}' were examined more often elsewhere, so its fold would be empty.",
            "join it with another one in the sheet, or take its cases out",
        )
    return place, tuple(names)


def newest(
    groups: Sequence[str], dates: Sequence[date | None], after: date | None, share: float
) -> tuple[list[bool | None], date]:
    """Which cases are the test: those of the newest patients. A patient is as old as its first case.

    after    patients whose first case is of this day or later are the test; None takes the newest `share` of patients
    returns  per case True (test), False, or None: a case of the later period whose patient is from before; and the day
             from which patients are new
    """
    unknown = sum(day is None for day in dates)
    if unknown:
        raise OverreadError(
            f"{unknown} of {len(dates)} cases have no date, so they are neither old nor new.",
            "name the column with the date of the exam with --date, and fill it",
        )
    first: dict[str, date] = {}
    for group, day in zip(groups, dates, strict=True):
        assert day is not None
        first[group] = min(first.get(group, day), day)
    if after is None:
        ordered = sorted(first.values(), reverse=True)
        after = ordered[max(1, round(share * len(ordered))) - 1]
    new = {g for g, day in first.items() if day >= after}
    if not new or len(new) == len(first):
        raise OverreadError(
            f"{len(new)} of {len(first)} patients have their first case on {after.isoformat()} or later, "
            f"{len(first) - len(new)} before; both sides need some.",
            f"choose a day between {min(first.values()).isoformat()} and {max(first.values()).isoformat()} with --split-after",
        )
    test = [
        True if g in new else None if day is not None and day >= after else False for g, day in zip(groups, dates, strict=True)
    ]
    return test, after


def one_sided(names: Sequence[str], place: Sequence[int | None], strata: Sequence[Sequence[Hashable]]) -> list[str]:
    """Folds whose cases are all alike, in words: scores that need two kinds are not defined there."""
    notes = []
    for k, name in enumerate(names):
        kinds = Counter(tuple(map(str, s)) for s, p in zip(strata, place, strict=True) if p == k)
        if len(kinds) == 1:
            only = ", ".join(next(iter(kinds))) or "none of them"
            notes.append(
                f"WARNING: all {sum(kinds.values())} cases of '{name}' are alike ({only}), so what needs two kinds, such as AUC, "
                "is not defined there"
            )
    return notes
