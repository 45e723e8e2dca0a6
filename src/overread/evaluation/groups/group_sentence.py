"""What a table of groups says, in a few plain sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LEAST = "are the least"  # how the reason ends where a group has too few patients


def sentence(row: Mapping[str, Any], level: float, tests: int) -> str:
    """Worst group, clearest difference, and of which groups nothing can be said.

    row    a row of `subgroups.subgroups`
    level  of the intervals
    tests  number of columns for which p was corrected
    """
    if row["refusal"]:
        return f"{row['column']}: no groups, because {row['refusal']}."
    parts = [*_worst(row, level), *_difference(row, level, tests), *_calibration(row), *_too_few(row)]
    return f"{row['column']}: " + " ".join(parts)


def _worst(row: Mapping[str, Any], level: float) -> list[str]:
    compared = [found for found in row["levels"] if found["too_few"] is None]
    if not compared:
        return ["nothing can be said, as no group is large enough."]
    if len(compared) == 1:
        return [f"only {_scored(row, compared[0], level)} is large enough, so there is nothing to compare."]
    if row["worst"] is None:
        return [f"{row['name']} in {'; '.join(_scored(row, found, level) for found in compared)}."]
    worst = next(found for found in compared if found["level"] == row["worst"])
    return [f"{_what(row)} is worst in {_scored(row, worst, level)}."]


def _scored(row: Mapping[str, Any], found: Mapping[str, Any], level: float) -> str:
    interval = found["interval"]
    ends = f"{level:.0%} interval {_number(interval['low'])} to {_number(interval['high'])}".replace("%", " %", 1)
    return (
        f"'{found['level']}', {_number(interval['estimate'])}{_unit(row)} ({ends}; "
        f"{interval['n_cases']} cases of {interval['n_patients']} patients)"
    )


def _difference(row: Mapping[str, Any], level: float, tests: int) -> list[str]:
    gap = row["gap"]
    if gap["p"] is None:
        return [] if gap["groups"] < 2 else [f"No difference is tested: {gap['reason']}."]
    corrected = f", {_p(row['p_adjusted'])} after correction for {tests} columns" if tests > 1 else ""
    pair = f"between '{gap['higher']}' and '{gap['lower']}'"
    which = f"The difference {pair}" if gap["groups"] == 2 else f"The clearest difference of {gap['groups']} groups, {pair},"
    said = (
        f"{which} is {_number(gap['difference'])}{_unit(row)} "
        f"({_number(gap['low'])} to {_number(gap['high'])}), p {_equals(gap['p'])}{corrected}."
    )
    if row["p_adjusted"] < 1 - level:
        return [said, "That is more than chance explains."]
    return [said, "Chance may explain it; that does not show that the groups are alike."]


def _calibration(row: Mapping[str, Any]) -> list[str]:
    """Groups whose calibration in the large has an interval without 0."""
    off: dict[tuple[str, str], list[str]] = {}
    for found in row["levels"]:
        for name, values in (found["calibration"] or {}).items():
            low, high = values["in_the_large"]["low"], values["in_the_large"]["high"]
            if low is not None and not low <= 0 <= high:
                expected = f"{100 * values['mean_probability']:.1f} % expected, {100 * values['rate']:.1f} % found"
                off.setdefault((name, "too high" if high < 0 else "too low"), []).append(f"'{found['level']}' ({expected})")
    return [f"Probabilities of {name} are {way} in {', '.join(groups)}." for (name, way), groups in off.items()]


def _too_few(row: Mapping[str, Any]) -> list[str]:
    left_out = [(f"'{found['level']}' ({found['too_few']})", found["too_few"]) for found in row["levels"] if found["too_few"]]
    few = [said for said, why in left_out if why.endswith(LEAST)]
    others = [said for said, why in left_out if not why.endswith(LEAST)]
    parts = [f"Too few to say: {', '.join(few)}."] if few else []
    return parts + ([f"Not compared: {', '.join(others)}."] if others else [])


def _what(row: Mapping[str, Any]) -> str:
    return row["name"] if row["subject"] in ("all", "mean") else f"{row['name']} of {row['subject']}"


def _unit(row: Mapping[str, Any]) -> str:
    return f" {row['unit']}" if row["unit"] else ""


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _equals(value: float) -> str:
    return _p(value) if value < 0.001 else f"= {_p(value)}"
