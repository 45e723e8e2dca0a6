"""Several rows of a sheet about one image, such as its lesions, become one truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from overread.cohort.ask import Said
from overread.cohort.labels.values import classes_in, is_class, is_uncertain, is_yes, named
from overread.core.errors import OverreadError

IsPositive = Callable[[str], bool]


def positive_in(cells: Sequence[str | None], said: Said, *, finding: bool) -> IsPositive | None:
    """What says of a cell that it is positive; None where no class of the column counts as the disease.

    cells    the whole column
    finding  the column is a finding by itself, yes or no
    """

    def called(cell: str) -> str:
        return named(cell, said.names) or cell

    if finding:
        return lambda cell: is_yes(called(cell))
    positive = named(said.positive, said.names)
    if positive is None or len(classes_in([called(c) for c in cells if c is not None and not is_uncertain(c)])) != 2:
        return None
    return lambda cell: is_class(called(cell), positive)


def aggregate(column: str, cells: Sequence[str | None], rule: str, is_positive: IsPositive | None = None) -> str | None:
    """One cell of several rows: blank where all are blank.

    "any" and "max" take the highest grade; where one of two classes is the disease, that class if any row has it. An image is
    negative only where every row says so: a blank or uncertain row may be the positive one, so that without a positive beside
    it nothing is known.
    """
    known = [c for c in cells if c is not None]
    if rule in ("any", "max") and is_positive is not None:
        positive = [c for c in known if is_positive(c)]
        unsure = [c for c in known if is_uncertain(c, finding=True)]
        if positive or len(known) < len(cells):
            return positive[0] if positive else None
        if unsure:
            return unsure[0]
    if len(known) < 2:
        return known[0] if known else None
    if rule in ("any", "max") and all(c.removesuffix(".0").isdecimal() for c in known):
        return max(known, key=lambda c: int(c.removesuffix(".0")))
    if len({c.casefold() for c in known}) == 1:
        return known[0]
    different = f"Column '{column}' gives one image different classes ({', '.join(sorted(set(known)))})"
    if rule == "mean":
        raise OverreadError(
            f"{different}, and classes have no mean.",
            "say --aggregation any (positive where any row is), or give one row per image",
        )
    raise OverreadError(
        f"{different}, and the rule '{rule}' cannot order words.",
        "say with --positive which of two classes is the disease, write grades as numbers, or give one row per image",
    )


def aggregate_numbers(values: Sequence[float | None], rule: str) -> float | None:
    known = [v for v in values if v is not None]
    if not known:
        return None
    return sum(known) / len(known) if rule == "mean" else max(known) if rule in ("max", "any") else known[0]
