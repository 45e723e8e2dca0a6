"""A frozen model among other patients: how its scores moved, and how the patients differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from overread.core.score import Interval
from overread.evaluation.intervals.independent import difference, mean, share, standardised

Record = Mapping[str, Any]
LARGE = 0.2  # standardised difference from which groups are called unlike (small effect; Cohen 1988)


def drop_table(external: Record, reference: Record) -> list[dict[str, Any]]:
    """Every score that both evaluations have: there, here, and external minus reference with its interval.

    `moved` is "worse" or "better" where the whole interval of the difference says so, else "not shown": neither that it
    moved, nor that it did not. Scores without a better end have "".
    """
    before = {(s["metric"], s["subject"]): s for s in reference["scores"]}
    rows = []
    for score in external["scores"]:
        old = before.get((score["metric"], score["subject"]))
        if old is None:
            continue
        there, here = Interval.from_dict(old["interval"]), Interval.from_dict(score["interval"])
        gap = difference(here, there)
        rows.append(
            {
                **{name: score[name] for name in ("metric", "name", "subject", "unit", "better", "role")},
                "reference": there.as_dict(),
                "external": here.as_dict(),
                "difference": gap.as_dict(),
                "moved": _moved(score["better"], gap),
            }
        )
    return rows


def _moved(better: str, gap: Interval) -> str:
    if better not in ("higher", "lower") or gap.estimate is None:
        return ""
    if gap.low is None or gap.high is None or gap.low <= 0 <= gap.high:
        return "not shown"
    return "better" if (gap.low > 0) == (better == "higher") else "worse"


def shift_table(external: Record, reference: Record, training: Record | None = None) -> list[dict[str, Any]]:
    """How the patients differ: shares of classes and of groups, means of measured covariates.

    external, reference, training  summaries of partitions: cases, patients, classes, numbers, levels
    returns rows of {"what", "of", "kind": "share" | "mean", "external", "reference", "training", "difference",
            "standardised", "unlike"}; `unlike` is True where the standardised difference is 0.2 or more
    """
    rows = [
        _share_row("class", name, "classes", (name,), external, reference, training)
        for name in external.get("classes", {})
        if name in reference.get("classes", {})
    ]
    for column, found in external.get("numbers", {}).items():
        if found and reference.get("numbers", {}).get(column):
            rows.append(_mean_row(column, external, reference, training))
    for column in external.get("levels", {}):
        if column not in reference.get("levels", {}):
            continue
        for level in dict.fromkeys([*external["levels"][column], *reference["levels"][column]]):
            rows.append(_share_row(column, level, "levels", (column, level), external, reference, training))
    return rows


def _share_row(
    what: str, of: str, where: str, path: Sequence[str], external: Record, reference: Record, training: Record | None
) -> dict[str, Any]:
    here, there = _share(external, where, path), _share(reference, where, path)
    spreads = tuple(math.sqrt(v * (1 - v)) for v in (here.estimate or 0.0, there.estimate or 0.0))
    before = None if training is None else _share(training, where, path)
    return _row(what, of, "share", here, there, before, (spreads[0], spreads[1]))


def _share(summary: Record, where: str, path: Sequence[str]) -> Interval:
    count: Any = summary.get(where, {})
    for name in path:
        count = count.get(name, {}) if isinstance(count, Mapping) else 0
    return share(int(count) if isinstance(count, int | float) else 0, summary["cases"], summary["patients"])


def _mean_row(column: str, external: Record, reference: Record, training: Record | None) -> dict[str, Any]:
    here, there = _mean(external, column), _mean(reference, column)
    assert here is not None
    assert there is not None
    spreads = (float(external["numbers"][column]["sd"]), float(reference["numbers"][column]["sd"]))
    return _row(column, "", "mean", here, there, None if training is None else _mean(training, column), spreads)


def _mean(summary: Record, column: str) -> Interval | None:
    found = summary.get("numbers", {}).get(column)
    if not found:
        return None
    cases = summary["cases"] - found["missing"]
    return mean(found["mean"], found["sd"], cases, min(cases, summary["patients"]))


def _row(
    what: str, of: str, kind: str, here: Interval, there: Interval, before: Interval | None, spreads: tuple[float, float]
) -> dict[str, Any]:
    gap = difference(here, there)
    relative = standardised(gap.estimate or 0.0, spreads, here, there)
    return {
        "what": what,
        "of": of,
        "kind": kind,
        "external": here.as_dict(),
        "reference": there.as_dict(),
        "training": None if before is None else before.as_dict(),
        "difference": gap.as_dict(),
        "standardised": relative.as_dict(),
        "unlike": _is_unlike(gap, relative),
    }


def _is_unlike(gap: Interval, relative: Interval) -> bool:
    """A group of one kind only against one of the other has no spread, and is as unlike as can be."""
    if relative.estimate is None:
        return bool(gap.estimate)
    return abs(relative.estimate) >= LARGE
