"""An evaluation in words, for the terminal."""

from __future__ import annotations

from typing import Any

from overread.evaluation.result import Result

PARTITIONS = {"tuning": "tuning cases", "internal": "the internal test", "answers": "the given answers"}
VERDICTS = {True: "met", False: "not met", None: "no margin was set, so it is neither met nor missed"}


def describe(result: Result) -> str:
    """What was scored, what was declared before, the scores with their intervals, and the operating points."""
    counts = f"{result['n_cases']} cases, {result['n_patients']} patients"
    head = [f"{result['task'].capitalize()} on {PARTITIONS[result['partition']]}: {counts}.", *_opening(result["opening"])]
    points = [_point(point) for point in result["operating_points"]]
    return "\n".join([*head, "", result.text(), *points])


def _opening(opening: dict[str, Any] | None) -> list[str]:
    if opening is None:
        return []
    return [
        f"Opening number {opening['number']} of this internal test; in the ledger as {opening['hash'][:19]}...",
        f"Hypothesis: {opening['hypothesis']}",
        f"Primary endpoint: {opening['primary_endpoint']}, {VERDICTS[opening['endpoint_met']]}.",
    ]


def _point(point: dict[str, Any]) -> str:
    reached = [f"{name} {point[name]:.3f}" for name in ("sensitivity", "specificity") if point.get(name) is not None]
    words = f" ({', '.join(reached)} there)" if reached else ""
    return (
        f"Operating point for {point['class_name']}: {point['threshold']:.3f} by {point['rule']} on {point['fitted_on']}{words}"
    )
