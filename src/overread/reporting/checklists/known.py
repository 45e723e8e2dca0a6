"""What the record knows of an item of CLAIM, and where it stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from overread.reporting.given import ReportInput


@dataclass(frozen=True)
class Known:
    """What is known of an item.

    text            in words; "" where nothing
    proof           where it stands
    is_whole        nothing is missing that only the author knows
    does_not_apply  the record shows that there is nothing to report
    """

    text: str = ""
    proof: tuple[str, ...] = ()
    is_whole: bool = False
    does_not_apply: bool = False


Maker = Callable[[ReportInput], Known]


def partly(text: str, *proof: str) -> Known:
    return Known(text, proof if text else ())


def whole(text: str, *proof: str) -> Known:
    return Known(text, proof if text else (), bool(text))


def run_file(given: ReportInput, name: str) -> str:
    return f"runs/{given.run}/{name}"


def member_file(given: ReportInput, name: str) -> str:
    """A file that every training has: in the run's folder, or in those of its folds."""
    return run_file(given, f"fold-*/{name}" if given.events and "" not in given.events else name)
