"""Intervals that are known to be too narrow: what a simulation found, looked up by score and number of patients."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from overread.core.score import Interval
from overread.metrics.metric import Metric
from overread.metrics.objects.rows import RATE_OF
from overread.metrics.objects.rows import ROWS as OBJECT_ROWS

TABLE = Path(__file__).with_name("coverage.json")  # written by benchmarks/interval_coverage.py
OBJECT_TABLE = TABLE.with_name("coverage_objects.json")  # written by benchmarks/object_interval_coverage.py
LEAST = 0.93  # a 95 % interval that holds the true value less often is called too narrow
RANKED = ("average_precision", "partial_auc")
STANDS_FOR = {  # scores of objects that were not simulated themselves, and the simulated one most like them
    **dict.fromkeys(RATE_OF, "sensitivity_at_1fp"), "ap": "ap50", "sq": "pq", "rq": "pq", "merged": "lesion_sensitivity",
    "split": "lesion_sensitivity", "overlap": "pq", "count_error": "fp_per_case",
}  # fmt: skip
COUNTED = ("f1", "mcc", "balanced_accuracy")


def flag(metric: Metric, n_patients: int, is_clustered: bool) -> str:
    """What to say beside an interval that holds the true value too seldom; "" where it was found to do well.

    n_patients    that count for the score
    is_clustered  patients have several cases

    The largest simulated number of patients that is no larger than this one counts; below the smallest, the smallest.
    """
    score = simulated(metric)
    cells = [c for c in _cells() if c["score"] == score and (c["cases"] > 1) == is_clustered and c["coverage"] is not None]
    sizes = sorted({c["patients"] for c in cells})
    if not sizes:
        return ""
    size = max((s for s in sizes if s <= n_patients), default=sizes[0])
    coverage = min(c["coverage"] for c in cells if c["patients"] == size)
    if coverage >= LEAST:
        return ""
    several = " with several cases each" if is_clustered else ""
    return (
        f"expect this interval to be too narrow: in simulations of {size} patients{several}, 95 % intervals of such a score "
        f"held the true value in {100 * coverage:.0f} of 100 trials"
    )


def doubted(metric: Metric, interval: Interval) -> Interval:
    """The interval, with the doubt beside it where there is one that it does not say yet; none of an exact interval."""
    if interval.low is None or "too narrow" in interval.reason or "exact" in interval.method:
        return interval
    doubt = flag(metric, interval.n_patients, interval.n_patients < interval.n_cases)
    return replace(interval, reason="; ".join(filter(None, (interval.reason, doubt)))) if doubt else interval


def simulated(metric: Metric) -> str:
    """The simulated score that stands for this one; "" where none does."""
    key = metric.key.removeprefix("box_")
    if key in OBJECT_ROWS:
        return STANDS_FOR.get(key, key)
    if metric.interval == "delong":
        return "auc"
    if metric.interval == "wilson":
        return "sensitivity"
    if metric.interval != "bootstrap":
        return ""
    if metric.key in RANKED:
        return "average_precision"
    if metric.key in COUNTED:
        return "f1"
    return "distance" if metric.unit else "dice"


@cache
def _cells() -> list[dict[str, Any]]:
    return [cell for table in (TABLE, OBJECT_TABLE) if table.exists() for cell in json.loads(table.read_text())["cells"]]
