"""Scores in the words of a paper: `92 % (46 of 50; 95 % CI 81 to 97)`, `0.93 (95 % CI 0.88 to 0.97)`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NARROW = 0.05
_COUNTED = ("Wilson", "Clopper", "exact")  # beginnings of the names of interval methods of so many of so many


def counted(score: Mapping[str, Any]) -> tuple[int, int] | None:
    """So many of so many, where the score is a share of cases; None where it is not, or has a unit (per 100 exams).

    The methods for shares rest on the cases that are the denominator, so the numerator follows.
    """
    interval = score["interval"]
    if interval["estimate"] is None or score.get("unit") or not interval["n_cases"]:
        return None
    if not str(interval["method"]).startswith(_COUNTED):
        return None
    hits = interval["estimate"] * interval["n_cases"]
    return (round(hits), int(interval["n_cases"])) if abs(hits - round(hits)) < 1e-3 else None


def percent(share: float, of: int) -> str:
    """A share as a percentage without its sign: whole below 100 cases, else with one decimal; never rounded to all or none."""
    places = 0 if of < 100 else 1
    while 0 < share < 1 and round(100 * share, places) in (0.0, 100.0) and places < 4:
        places += 1
    return f"{100 * share:.{places}f}"


def in_words(score: Mapping[str, Any]) -> str:
    """A score as it stands in a sentence, with its interval or the reason why there is none."""
    interval, unit = score["interval"], score.get("unit") or ""
    estimate, low, high = interval["estimate"], interval["low"], interval["high"]
    if estimate is None:
        return f"not defined ({interval.get('reason') or 'no reason recorded'})"
    level = f"{100 * interval.get('level', 0.95):g} % CI"
    if (found := counted(score)) is not None:
        hits, of = found
        bounds = f"{level} {percent(low, of)} to {percent(high, of)}" if low is not None and high is not None else "no interval"
        return f"{percent(estimate, of)} % ({hits} of {of}; {bounds})"
    places = _places(estimate, low, high, unit)
    shown = f"{estimate:z.{places}f}{f' {unit}' if unit else ''}"
    if low is None or high is None:
        return f"{shown} (no interval: {interval.get('reason') or 'no reason recorded'})"
    return f"{shown} ({level} {low:z.{places}f} to {high:z.{places}f})"


def _places(estimate: float, low: float | None, high: float | None, unit: str) -> int:
    """Two decimals without a unit, three where two would hide a narrow interval or a small number; fewer of large numbers."""
    if unit or abs(estimate) >= 10:
        return 1 if abs(estimate) < 100 else 0
    is_narrow = low is not None and high is not None and high - low < _NARROW
    return 3 if is_narrow or 0 < abs(estimate) < _NARROW else 2
