"""Who is in which partition: counts of cases, patients, classes and covariates for the report's table."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from overread.cohort.index import read_index, read_splits
from overread.cohort.seal import read_summary
from overread.core.case import PARTITIONS, Case
from overread.workflow.private import IDENTIFYING

_MOST_LEVELS = 12  # a column with more different values is a name, a number or a date, not a group
_DATE = re.compile(r"^\D*(\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{2,4}|(19|20)\d{6})\D*")


def partition_summaries(project_dir: Path) -> list[dict[str, Any]]:
    """One summary per partition, or per fold; the truths under seal are counted from the seal's own summary."""
    cases = [row.case for row in read_index(project_dir)]
    splits = read_splits(project_dir)
    place = splits.get("partition") or {c: f"fold-{k}" for c, k in splits["fold"].items()}
    place = {**place, **dict.fromkeys(splits.get("training_only", {}), "training")}
    known = [p for p in PARTITIONS if p in set(place.values())]
    known += sorted(p for p in set(place.values()) if p not in PARTITIONS)
    counts = read_summary(project_dir)["parts"]
    numeric = {name for name, values in _columns(cases).items() if _is_numeric(values)}  # by all cases, so that parts agree
    return [_summary(name, [c for c in cases if place.get(c.case_id) == name], counts.get(name, {}), numeric) for name in known]


def _columns(cases: Sequence[Case]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {"Site": [c.site for c in cases], "Scanner": [c.scanner for c in cases]}
    for name in dict.fromkeys(name for case in cases for name in case.covariates):
        if not IDENTIFYING.search(name):
            columns[name] = [case.covariates.get(name) for case in cases]
    return columns


def _summary(partition: str, cases: Sequence[Case], counted: Mapping[str, Any], numeric: set[str]) -> dict[str, Any]:
    numbers, levels = {}, {}
    held = counted.get("classes") or {}
    for name, values in _columns(cases).items():
        if name in numeric:
            numbers[name] = _moments(values)
        elif found := _levels(values):
            levels[name] = found
    return {
        "partition": partition.replace("-", " "),
        "cases": len(cases),
        "patients": len({c.patient_id for c in cases if not c.is_made}),
        "classes": {name: n for name, n in held.items() if isinstance(n, int)},
        "quantities": {name: n for name, n in held.items() if isinstance(n, dict)},
        "numbers": numbers,
        "levels": levels,
    }


def _numbers(values: Sequence[Any]) -> list[float]:
    return [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool) and np.isfinite(v)]


def _is_numeric(values: Sequence[Any]) -> bool:
    """Whether a column is a measurement: more than two different numbers, and no identifier or date written as one."""
    numbers, present = _numbers(values), sum(v not in (None, "") for v in values)
    return bool(numbers) and len(numbers) == present and len(set(numbers)) > 2 and max(map(abs, numbers)) < 1e5


def _moments(values: Sequence[Any]) -> dict[str, Any] | None:
    """Mean, standard deviation and range; None where no value is known."""
    numbers = _numbers(values)
    if not numbers:
        return None
    return {
        "mean": float(np.mean(numbers)),
        "sd": float(np.std(numbers, ddof=1)) if len(numbers) > 1 else 0.0,
        "low": min(numbers),
        "high": max(numbers),
        "missing": len(values) - len(numbers),
    }


def _levels(values: Iterable[Any]) -> dict[str, int]:
    """How often each value of a group occurs; nothing where the column holds names, numbers or dates rather than groups."""
    words = ["not known" if v in (None, "") else f"{v:g}" if isinstance(v, float) else str(v) for v in values]
    counts = Counter(words)
    named = [w for w in counts if w != "not known"]
    if not named or len(named) > _MOST_LEVELS or any(_DATE.match(w) or len(w) > 60 for w in named):
        return {}
    if len(named) > 3 and len(named) > 0.5 * sum(counts[w] for w in named):  # nearly every case has its own
        return {}
    return dict(sorted(counts.items()))
