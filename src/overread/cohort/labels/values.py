"""Truths that are values: columns of a sheet, class folders, labels inside an archive."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from overread.core.case import TruthReference
from overread.core.errors import OverreadError

YES, NO = {"1", "1.0", "yes", "true", "present", "positive"}, {"0", "0.0", "no", "false", "absent", "negative"}
UNCERTAIN = {"uncertain", "unsure", "not sure", "?"}  # a value of its own: not known, unless the user says what it means
UNCERTAIN_FINDING = UNCERTAIN | {
    "-1",
    "unclear",
    "equivocal",
    "indeterminate",
    "u",
}  # beside yes and no nothing else they could be


@dataclass(frozen=True)
class How:
    """Who gave the reference standard, how, and when."""

    reader: str = "unknown"
    method: str = "unknown"
    date: str = ""


def classes_in(cells: Sequence[str | None]) -> tuple[str, ...]:
    """The classes of a column, numbers by size and words by alphabet, each in its commonest spelling."""
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    for cell in cells:
        if cell is not None:
            spellings[_same(cell)][cell] += 1
    words = [counter.most_common(1)[0][0] for counter in spellings.values()]
    if all(_same(w).lstrip("-").isdecimal() for w in words):
        return tuple(sorted((_same(w) for w in words), key=int))
    return tuple(sorted(words, key=str.casefold))


def _same(cell: str) -> str:
    """Cells that mean one class: 'Yes' and 'yes', '1' and '1.0'."""
    word = " ".join(cell.casefold().split())
    return word.removesuffix(".0") if word.removesuffix(".0").lstrip("-").isdecimal() else word


def is_class(cell: str, name: str) -> bool:
    """Does a cell mean this class, in whatever spelling?"""
    return _same(cell) == _same(name)


def is_yes(cell: str) -> bool:
    """Does a cell say that a finding is present?"""
    return _same(cell) in YES


def is_uncertain(cell: str | None, *, finding: bool = False) -> bool:
    """A reader's word for not knowing; -1 only beside 0 and 1, as CheXpert writes it."""
    return cell is not None and _same(cell) in (UNCERTAIN_FINDING if finding else UNCERTAIN)


def named(cell: str | None, names: Mapping[str, str]) -> str | None:
    """The class name that the user gave to a value."""
    if cell is None:
        return None
    return names.get(cell, names.get(cell.removesuffix(".0"), cell))


def without_uncertain(
    column: str, cells: Mapping[int, str | None], names: Mapping[str, str], *, finding: bool = False
) -> tuple[dict[int, str | None], list[str]]:
    """Cells with what the user calls them; an uncertain one that the user did not name is not known, and counted.

    names  value as written -> what it means, e.g. uncertain -> 1, or uncertain -> uncertain to keep it as a class
    """
    given = {_same(value): name for value, name in names.items()}
    told: Counter[str] = Counter()
    kept: dict[int, str | None] = {}
    for k, cell in cells.items():
        word = None if cell is None else _same(cell)
        if word is not None and word in given:
            kept[k] = given[word]
        elif is_uncertain(cell, finding=finding):
            told[str(cell)] += 1
            kept[k] = None
        else:
            kept[k] = cell
    meaning = "1 or 0" if finding else "CLASS"
    notes = [
        f"column '{column}': {n} cells '{word}' count as not known; say --name {word}={meaning} to give them a meaning"
        for word, n in told.items()
    ]
    return kept, notes


def spelling_notes(cells: Sequence[str | None], column: str) -> list[str]:
    """Which spellings were taken for one class."""
    spellings: dict[str, set[str]] = defaultdict(set)
    for cell in cells:
        if cell is not None:
            spellings[_same(cell)].add(cell)
    return [
        f"column '{column}': {' and '.join(map(repr, sorted(s)))} were taken for one class"
        for s in spellings.values()
        if len(s) > 1
    ]


def exclusive_truth(cell: str | None, classes: Sequence[str], how: How) -> TruthReference | None:
    """One class of several: every class has 0 or 1; None for a blank cell."""
    if cell is None:
        return None
    word = _same(cell)
    if word not in {_same(c) for c in classes}:
        raise OverreadError(
            f"The label '{cell}' is not among the classes {', '.join(classes)}.",
            "add it to question.classes, or correct the label",
        )
    return TruthReference({c: float(_same(c) == word) for c in classes}, reader=how.reader, method=how.method, date=how.date)


def findings_truth(cells: Mapping[str, str | None], how: How) -> TruthReference | None:
    """Any number of findings, each yes, no or not known; None where none is known."""
    values = {name: None if cell is None else _yes_no(name, cell) for name, cell in cells.items()}
    return (
        None
        if all(v is None for v in values.values())
        else TruthReference(values, reader=how.reader, method=how.method, date=how.date)
    )


def _yes_no(name: str, cell: str) -> float:
    word = _same(cell)
    if word not in YES | NO:
        raise OverreadError(
            f"Column '{name}' holds '{cell}'; a finding among several is 0 or 1, no or yes, or blank.",
            "write 0 for no, 1 for yes, nothing for unknown",
        )
    return float(word in YES)


def measured_truth(values: Mapping[str, float | None], how: How) -> TruthReference | None:
    return (
        None
        if all(v is None for v in values.values())
        else TruthReference(dict(values), reader=how.reader, method=how.method, date=how.date)
    )


def refuse_one_class(counts: Mapping[str, int], where: str) -> None:
    """Nothing can be learned, and nothing tested, from cases that are all alike."""
    present = {name: n for name, n in counts.items() if n}
    if len(present) < 2:
        only = next(iter(present), "none")
        raise OverreadError(
            f"All {sum(present.values())} cases {where} are of one class, '{only}'; two or more were expected.",
            "check that the right column was taken (--label), and that controls are in the folder",
        )
