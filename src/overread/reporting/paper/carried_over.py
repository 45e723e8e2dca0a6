"""What held on tuning cases, or was stated, and did not hold on the internal test: the first thing a reviewer asks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from overread.evaluation.afterwards.shift import drop_table
from overread.reporting.proportions import in_words
from overread.reporting.sections.results import named
from overread.reporting.words import listed

Record = Mapping[str, Any]
_TOLD = ("sensitivity", "specificity")  # at the frozen threshold: told of every test, declared or not
_STATED = re.compile(r"stated share (\d+) %")
_IDEAL = {"calibration_slope": "ideal 1", "observed_expected": "ideal 1"}


def fallen(evaluations: Mapping[str, Record]) -> str:
    """Scores that are shown to be worse on the internal test than on tuning cases; "" where none is.

    Not of folds, whose tuning cases are test cases of other folds.
    """
    internal, tuning = evaluations.get("internal"), evaluations.get("tuning")
    if internal is None or tuning is None or internal.get("folds"):
        return ""
    rows = [
        f"{named(row)} {in_words({'interval': row['reference'], 'unit': row['unit']})} on tuning cases, "
        f"{in_words({'interval': row['external'], 'unit': row['unit']})} on the internal test"
        for row in drop_table(internal, tuning)
        if row["moved"] == "worse" and (row["role"] in ("primary", "declared") or row["metric"] in _TOLD)
    ]
    return "; ".join(rows)


def uncalibrated(evaluation: Record) -> str:
    """Calibration slopes, and observed to expected numbers, whose whole interval lies beside the ideal; "" where none does."""
    return "; ".join(
        f"{named(score)} {in_words(score)}, {_IDEAL[score['metric']]}"
        for score in evaluation["scores"]
        if score["metric"] in _IDEAL and _excludes(score["interval"], 1.0)
    )


def uncovered(evaluation: Record) -> str:
    """Stated sets and intervals that held the truth less often than stated; "" where all did, or too few cases can say."""
    missed = []
    for score in evaluation["scores"]:
        stated = _STATED.search(score["name"]) if score["metric"] == "conformal_coverage" else None
        high = score["interval"]["high"]
        if stated is not None and high is not None and high < float(stated[1]) / 100:
            of = "" if score["subject"] in ("all", "") else f" for {score['subject']}"
            missed.append(f"{in_words(score)}{of} where {stated[1]} % was stated")
    return listed(missed) if missed else ""


def _excludes(interval: Record, value: float) -> bool:
    low, high = interval["low"], interval["high"]
    return low is not None and high is not None and not low <= value <= high
