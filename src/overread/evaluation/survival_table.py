"""Answers about time put together: concordance, and a Kaplan-Meier curve per group of risk with its numbers at risk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from overread.evaluation.intervals.patients import Patients
from overread.evaluation.rules import Rules
from overread.evaluation.scored import number
from overread.evaluation.survival import (
    CONCORDANCE_INDEX,
    SurvivalCurve,
    concordance_interval,
    kaplan_meier,
    log_rank,
    risk_groups,
)

THIRDS = "thirds of the risk among these patients, so how far the groups lie apart says little of another cohort"
GIVEN = "cut at values of the risk that were given"
TICKS = 6  # times at which the numbers at risk are shown


def survival_table(
    risk: np.ndarray, time: np.ndarray, event: np.ndarray, patients: Patients, rules: Rules, edges: Sequence[float] | None = None
) -> dict[str, Any]:
    """Everything that a report of survival shows, plain values only.

    risk   (N,) higher is an earlier event; time (N,), event (N,) bool: see `survival`; one row per patient
    edges  where risk groups part, best chosen on training cases; None cuts these cases into thirds
    """
    cuts = np.unique(np.quantile(risk, [1 / 3, 2 / 3]) if edges is None else np.sort(np.asarray(edges, float)))
    group = risk_groups(risk, cuts)
    ticks = _ticks(float(time.max(initial=0.0)))
    difference = log_rank(time, event, group, patients)
    return {
        "n_cases": len(time),
        "n_patients": patients.count,
        "n_events": int(event.sum()),
        "concordance": {
            "metric": CONCORDANCE_INDEX.key,
            "name": CONCORDANCE_INDEX.name,
            "formula": CONCORDANCE_INDEX.formula,
            "definition": CONCORDANCE_INDEX.definition,
            "better": CONCORDANCE_INDEX.better,
            "interval": concordance_interval(risk, time, event, patients, rules).as_dict(),
        },
        "edges": [number(float(cut)) for cut in cuts],
        "grouping": THIRDS if edges is None else GIVEN,
        "groups": [
            _group(_name(k, cuts), time[group == k], event[group == k], patients.select(group == k), ticks, rules)
            for k in np.unique(group)
        ],
        "at_risk_times": ticks,
        "log_rank_p": None if difference is None else number(difference),
        "rules": {
            "curve": f"Kaplan-Meier; {rules.level:.0%} interval at each time by Greenwood's variance on the log(-log) scale",
            "difference": "log-rank test of all groups at once",
        },
    }


def _group(
    name: str, time: np.ndarray, event: np.ndarray, patients: Patients, ticks: Sequence[float], rules: Rules
) -> dict[str, Any]:
    curve = kaplan_meier(time, event, patients, rules.level)
    middle = dict(zip(("estimate", "low", "high"), curve.median, strict=True))
    return {
        "group": name,
        "n_patients": patients.count,
        "n_events": int(event.sum()),
        "median_time": middle,
        "curve": _points(curve),
        "at_risk": curve.number_at_risk(ticks),
    }


def _points(curve: SurvivalCurve) -> dict[str, list[Any]]:
    columns = {"time": curve.times, "survival": curve.survival, "low": curve.low, "high": curve.high}
    points = {name: [number(float(value)) for value in values] for name, values in columns.items()}
    return {**points, "at_risk": curve.at_risk.tolist(), "events": curve.events.tolist()}


def _name(k: int, cuts: np.ndarray) -> str:
    if not len(cuts):
        return "everybody"
    if k == 0:
        return f"risk up to {cuts[0]:.3g}"
    return f"risk above {cuts[k - 1]:.3g}" + (f" to {cuts[k]:.3g}" if k < len(cuts) else "")


def _ticks(longest: float) -> list[float]:
    """Round times from 0 to the longest, at most `TICKS` of them."""
    if longest <= 0:
        return [0.0]
    power = 10.0 ** np.floor(np.log10(longest / (TICKS - 1)))
    step = next(size * power for size in (1, 2, 5, 10) if size * power * (TICKS - 1) >= longest)
    return [float(f"{k * step:.6g}") for k in range(int(longest // step) + 1)]
