"""Sets of classes and intervals of numbers that hold the truth in a stated share of patients (split conformal prediction).

The promise holds for patients drawn like the tuning patients. Temperature, threshold and the choice of the network saw the same
tuning patients, so it holds about, not exactly; the coverage on other cases, with its interval, is the proof.

Sources: Vovk, Gammerman, Shafer 2005 (one limit per class: "label-conditional"); Lei et al., JASA 2018;113:1094 (intervals);
Lee, Barber, Willett, "Distribution-free inference with hierarchical data", 2023 (several cases per patient).
"""

from __future__ import annotations

import numpy as np

from overread.core.question import ConformalLimit, Decisions, Question

COVERAGE = 0.9


def fit_limits(question: Question, truth: np.ndarray, answer: np.ndarray, patients: np.ndarray) -> tuple[ConformalLimit, ...]:
    """One limit per class, so that a rare class is not paid for by a common one; or one per quantity.

    truth, answer  (N, K), calibrated; NaN where not known
    patients       (N,) of each case
    """
    limits = []
    for k, name in enumerate(question.classes):
        known = np.isfinite(truth[:, k]) & np.isfinite(answer[:, k])
        if question.task == "regression":
            limits.append(_limit(name, np.abs(answer[known, k] - truth[known, k]), patients[known]))
            continue
        for is_present in (True,) if question.exclusive else (True, False):
            own = known & ((truth[:, k] > 0.5) == is_present)
            probability = answer[own, k] if is_present else 1 - answer[own, k]
            limits.append(_limit(name, 1 - probability, patients[own], is_present))
    return tuple(limits)


def _limit(name: str, strangeness: np.ndarray, patients: np.ndarray, is_present: bool = True) -> ConformalLimit:
    """The smallest limit that holds `COVERAGE` of patients and one more; each patient counts once, whatever the cases."""
    _, number, sizes = np.unique(patients, return_inverse=True, return_counts=True)
    order = np.argsort(strangeness, kind="stable")
    held = np.cumsum(1 / sizes[number.reshape(-1)[order]]) if len(order) else np.zeros(0)
    place = int(np.searchsorted(held, COVERAGE * (len(sizes) + 1) - 1e-9))
    limit = float(strangeness[order[place]]) if place < len(order) else None
    return ConformalLimit(name, COVERAGE, limit, len(sizes), is_present)


def region(question: Question, answer: np.ndarray, decisions: Decisions) -> np.ndarray | None:
    """What the limits make of answers; None where the model has none.

    answer   (N, K) calibrated
    returns  (N, K, 2). Classes: 1 where "absent", and "present", belongs to the set, else 0; exclusive classes use "present"
             alone. Quantities: lower and upper end. NaN without an answer; everything belongs where a limit does not exist
    """
    if not decisions.conformal:
        return None
    out = np.full((*answer.shape, 2), np.nan)
    for each in decisions.conformal:
        k = question.classes.index(each.name)
        limit = np.inf if each.limit is None else each.limit
        if question.task == "regression":
            out[:, k, 0], out[:, k, 1] = answer[:, k] - limit, answer[:, k] + limit
            continue
        strangeness = 1 - answer[:, k] if each.is_present else answer[:, k]
        inside = np.where(np.isfinite(strangeness), strangeness <= limit + 1e-12, np.nan)
        out[:, k, int(each.is_present)] = inside
    return out
