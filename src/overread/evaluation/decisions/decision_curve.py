"""Net benefit over thresholds: would acting on the answer do more good than treating all, or none?

Source: Vickers and Elkin, Med Decis Making 2006;26:565.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from overread.evaluation.finding import Finding
from overread.evaluation.rules import Rules

THRESHOLDS = np.arange(1, 100) / 100


def decision_curve(finding: Finding, rules: Rules, share: float | None = None) -> dict[str, Any]:
    """Net benefit of calling every case at or above each threshold t, and of treating all; treating none has 0.

    share  stated prevalence; None takes that of the cases

    sensitivity x prevalence - (1 - specificity) x (1 - prevalence) x t / (1 - t). The interval at each threshold is Student's,
    with standard errors by patient; without one where no case, or every case, is called alike and nothing can be seen.
    """
    truth, patients = finding.truth, finding.patients
    harm = THRESHOLDS / (1 - THRESHOLDS)
    called = (finding.answer[:, None] >= THRESHOLDS).astype(float)
    rate = float(truth.mean())
    prevalence = rate if share is None else share
    weight = np.where(truth, prevalence / rate, (1 - prevalence) / (1 - rate))[:, None] / len(truth)
    gain = np.where(truth[:, None], 1.0, -harm)
    benefit = (weight * gain * called).sum(0)
    if share is None:
        beyond = weight * (gain * called - benefit)
    else:  # the prevalence is given, not seen: what varies is the share called among the positive and among the negative cases
        shares = np.stack([called[~truth].mean(0), called[truth].mean(0)])[truth.astype(int)]
        beyond = weight * gain * (called - shares)
    totals = patients.totals(beyond)
    error = np.sqrt(patients.count / max(patients.count - 1, 1) * (totals**2).sum(0))
    half = stats.t.ppf(0.5 + rules.level / 2, max(patients.count - 1, 1)) * error
    seen = (error > 1e-12) & (patients.count > 2)
    return {
        "threshold": THRESHOLDS.tolist(),
        "net_benefit": [_plain(v) for v in benefit],
        "low": [_plain(v - h) if s else None for v, h, s in zip(benefit, half, seen, strict=True)],
        "high": [_plain(v + h) if s else None for v, h, s in zip(benefit, half, seen, strict=True)],
        "treat_all": [_plain(v) for v in prevalence - (1 - prevalence) * harm],
        "prevalence": _plain(prevalence),
        "is_stated_prevalence": share is not None,
        "level": rules.level,
        "method": "Student's interval at each threshold, standard error by patient",
        "n_cases": patients.cases,
        "n_patients": patients.count,
    }


def _plain(value: float) -> float:
    return float(f"{value:.6g}")
