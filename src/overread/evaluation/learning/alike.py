"""Do two evaluations of the same cases come from one and the same training, done twice?

Two runs of the same training agree but for the last digits, which hang on the machine. Trainings of two kinds may have the same
score; that all their answers agree to a hundredth of their range is another matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from overread.evaluation.comparing.compared import Row

NEAR = 0.01  # of the range that a number has over the cases of both


def are_alike(first: Sequence[Row], second: Sequence[Row]) -> bool:
    """first, second  rows of the same cases in one order"""
    one, two = ([leaf for row in rows for leaf in _leaves(row)] for rows in (first, second))
    if [path for path, _ in one] != [path for path, _ in two]:
        return False
    ranges: dict[str, tuple[float, float]] = {}
    for path, value in (*one, *two):
        if _is_number(value):
            low, high = ranges.get(path, (value, value))
            ranges[path] = (min(low, value), max(high, value))
    return all(_near(a, b, ranges.get(path, (0.0, 0.0))) for (path, a), (_, b) in zip(one, two, strict=True))


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every plain value below a row, with the keys that lead to it; places in a list have one path."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}/{key}")
    elif isinstance(value, list | tuple):
        yield f"{path}[]", str(len(value))
        for inner in value:
            yield from _leaves(inner, f"{path}[]")
    else:
        yield path, value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def _near(one: Any, two: Any, span: tuple[float, float]) -> bool:
    if _is_number(one) and _is_number(two):
        return bool(abs(one - two) <= NEAR * (span[1] - span[0]))
    return bool(one == two or (one != one and two != two))
