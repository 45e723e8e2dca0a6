"""From which uncertainty on should a person look first? A limit fitted on tuning cases, and what it does on others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from overread.evaluation.intervals.patients import Patients
from overread.evaluation.intervals.wilson import proportion_interval
from overread.evaluation.rules import Rules
from overread.evaluation.uncertainty.relation import Judged

SHARE = 0.95  # of the patients who stay below the limit


def fit_limit(judged: Sequence[Judged], measure: str) -> dict[str, Any]:
    """The uncertainty that `SHARE` of patients stay below: those with right answers alone, where answers are right or wrong.

    A patient counts once, with the least sure of his answers. One patient more is counted than there is, as in split conformal
    prediction (Vovk, Gammerman, Shafer 2005), so that the share holds for the next patient too.
    """
    own = [one for one in judged if one.unsure.get(measure) is not None and not one.is_wrong]
    highest: dict[str, float] = {}
    for one in own:
        value = one.unsure[measure]
        assert value is not None
        highest[one.patient_id] = max(value, highest.get(one.patient_id, -np.inf))
    ranked = sorted(highest.values())
    place = int(np.ceil(SHARE * (len(ranked) + 1) - 1e-9)) - 1
    return {
        "measure": measure,
        "share": SHARE,
        "limit": ranked[place] if place < len(ranked) else None,
        "of": "right answers" if any(one.is_wrong is not None for one in judged) else "answers",
        "fitted_on": "tuning",
        "n_patients": len(ranked),
    }


def apply_limit(limit: dict[str, Any], judged: Sequence[Judged], rules: Rules) -> dict[str, Any] | None:
    """What lies above the limit: shares with intervals, and the mean error on both sides; None where there is no limit."""
    known = [one for one in judged if one.unsure.get(limit["measure"]) is not None]
    if limit["limit"] is None or not known:
        return None
    above = np.array([float(one.unsure[limit["measure"]] or 0.0) > limit["limit"] for one in known], dtype=bool)
    error = np.array([one.error for one in known], dtype=float)
    patients = Patients.of([one.patient_id for one in known])
    groups = {"all": np.ones(len(known), dtype=bool)}
    if all(one.is_wrong is not None for one in known):
        wrong = np.array([bool(one.is_wrong) for one in known], dtype=bool)
        groups |= {"wrong": wrong, "right": ~wrong}
    return {
        "above": {name: _share(above[which], patients.select(which), rules) for name, which in groups.items()},
        "error_above": float(error[above].mean()) if above.any() else None,
        "error_below": float(error[~above].mean()) if not above.all() else None,
    }


def _share(above: np.ndarray, patients: Patients, rules: Rules) -> dict[str, Any]:
    return proportion_interval(above.astype(float), np.ones(len(above)), patients, rules.level, "no such answer").as_dict()
