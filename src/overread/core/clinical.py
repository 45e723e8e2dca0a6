"""Clinical variables that a network reads beside an image: age, sex, a laboratory value.

What is kept of each was fitted on training cases and travels in the preparation. How a row of a sheet becomes numbers is said
in `overread.batches.clinical`, nowhere else.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

NUMBER, CATEGORY = "number", "category"


@dataclass(frozen=True)
class Variable:
    """One column.

    name        of the column
    kind        "number" or "category"
    mean, sd    numbers: of the training cases with a value, in the column's own unit
    low, high   numbers: the smallest and the largest of them
    levels      categories: the words that several training cases held, in order; any other word is "other"
    known       training cases that had a value
    """

    name: str
    kind: str
    mean: float = 0.0
    sd: float = 1.0
    low: float = 0.0
    high: float = 0.0
    levels: tuple[str, ...] = ()
    known: int = 0

    @property
    def width(self) -> int:
        """Numbers that the network reads: the value and "missing", or one per level, "other" and "missing"."""
        return 2 if self.kind == NUMBER else len(self.levels) + 2

    def as_dict(self) -> dict[str, Any]:
        values = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        kept = (
            ("name", "kind", "mean", "sd", "low", "high", "known") if self.kind == NUMBER else ("name", "kind", "levels", "known")
        )
        return {k: values[k] for k in kept}


@dataclass(frozen=True)
class Clinical:
    """The columns, in the order in which their numbers stand."""

    variables: tuple[Variable, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(variable.name for variable in self.variables)

    @property
    def width(self) -> int:
        """Numbers per case."""
        return sum(variable.width for variable in self.variables)

    @property
    def spans(self) -> tuple[slice, ...]:
        """Where the numbers of each variable stand."""
        first, spans = 0, []
        for variable in self.variables:
            spans.append(slice(first, first + variable.width))
            first += variable.width
        return tuple(spans)

    def as_dict(self) -> dict[str, Any]:
        return {"variables": [variable.as_dict() for variable in self.variables]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Clinical:
        rows: list[dict[str, Any]] = [
            {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()} for row in values["variables"]
        ]
        return cls(tuple(Variable(**row) for row in rows))
