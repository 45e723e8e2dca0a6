"""What a search goes through: for each line of [training] a range of numbers, or a list of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from overread.core.errors import OverreadError
from overread.workflow.learning.candidates import refuse_no_way, split_values
from overread.workflow.plan import with_overrides
from overread.workflow.settings import Settings

LOG = ":log"
NETWORK = "training.network."
EXAMPLE = "for example --over training.learning_rate=1e-4..1e-2:log, or --over training.loss=dice,dice_ce"


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, both among them.

    log       equal chances for equal factors: 0.001 to 0.01 as 0.01 to 0.1
    is_whole  whole numbers only
    """

    key: str
    low: float
    high: float
    log: bool = False
    is_whole: bool = False

    def __str__(self) -> str:
        return f"{self.key} = {self.low:g} to {self.high:g}{', by factors' if self.log else ''}"

    def as_text(self, value: float) -> str:
        """A number as it is written into the settings: three digits say enough, and none leaves the range."""
        if self.is_whole:
            return str(round(value))
        return repr(min(max(float(f"{value:.3g}"), self.low), self.high))


@dataclass(frozen=True)
class Choice:
    """Some values, as they would stand in project.toml."""

    key: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.key} = {', '.join(self.values)}"


Axis = Range | Choice
Space = tuple[Axis, ...]


def as_dicts(space: Space) -> list[dict[str, Any]]:
    """Plain values, for the record."""
    return [{**asdict(axis), "values": list(axis.values)} if isinstance(axis, Choice) else asdict(axis) for axis in space]


def from_dicts(rows: Sequence[Mapping[str, Any]]) -> Space:
    return tuple(Choice(row["key"], tuple(row["values"])) if "values" in row else Range(**row) for row in rows)


def space_of(settings: Settings, over: Sequence[str]) -> Space:
    """The space that was named on the command line; every value is checked before anything is trained.

    over  "training.learning_rate=1e-4..1e-2:log" or "training.loss=dice,dice_ce"
    """
    axes = [_axis(settings, text) for text in over]
    keys = [axis.key for axis in axes]
    twice = [key for key in keys if keys.count(key) > 1]
    if twice:
        raise OverreadError(f"--over {twice[0]}: named twice.", "name it once, with all its values")
    for axis in axes:
        ends = axis.values if isinstance(axis, Choice) else (axis.as_text(axis.low), axis.as_text(axis.high))
        for value in ends:
            with_overrides(settings, {axis.key: value})
    return tuple(axes)


def _axis(settings: Settings, text: str) -> Axis:
    key, equals, values = (word.strip() for word in text.partition("="))
    if not equals or not key or not values:
        raise OverreadError(f"--over '{text}': expected KEY=LOW..HIGH or KEY=VALUE,VALUE.", EXAMPLE)
    refuse_no_way(f"--over {key}", key)
    if ".." in values:
        return _range(settings, key, values)
    found = split_values(values)
    if not all(found) or len(set(found)) < len(found) or len(found) < 2:
        raise OverreadError(f"--over {key}: '{values}' are not two values or more, each once.", EXAMPLE)
    return Choice(key, tuple(found))


def _range(settings: Settings, key: str, text: str) -> Range:
    plain, log = text.removesuffix(LOG), text.endswith(LOG)
    ends = [word.strip() for word in plain.split("..")]
    try:
        low, high = (float(word) for word in ends)
    except ValueError:
        raise OverreadError(f"--over {key}: '{text}' is no range of numbers.", EXAMPLE) from None
    if not low < high:
        raise OverreadError(f"--over {key}: the range {plain} holds no number.", "write the lower number first")
    if log and low <= 0:
        raise OverreadError(f"--over {key}: a range by factors begins above 0, not at {low:g}.", f"leave {LOG} out, or raise it")
    is_whole = all(word.lstrip("+-").isdigit() for word in ends) and _takes_whole_numbers(settings, key)
    return Range(key, low, high, log, is_whole)


def _takes_whole_numbers(settings: Settings, key: str) -> bool:
    """Whether a line of [training] takes no part of a number; options of networks go by how their ends are written."""
    if key.startswith(NETWORK):
        return True
    try:
        with_overrides(settings, {key: "2.5"})
    except OverreadError:
        return True
    return False


def grid(space: Space) -> list[dict[str, str]]:
    """Every combination, the first key varying slowest; a range has no end of values and is refused."""
    for axis in space:
        if isinstance(axis, Range):
            raise OverreadError(
                f"--method grid tries every value, and {axis.key} has a range.", f"list its values: --over {axis.key}=A,B,C"
            )
    lists = [[(axis.key, value) for value in axis.values] for axis in space if isinstance(axis, Choice)]
    return [dict(chosen) for chosen in product(*lists)]
