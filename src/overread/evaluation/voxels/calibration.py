"""Calibration of masks: do voxels with a probability of 0.7 have the structure in 7 of 10 litres?

Voxels of a patient are never independent, so what is resampled is the patient, with all its voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from overread.core.score import Interval
from overread.evaluation.answered import NO_MAPS, ScoredCase
from overread.evaluation.intervals.bootstrap import bootstrap_interval, of_sums
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.rules import Rules
from overread.evaluation.scored import Scored, by_sums, number
from overread.metrics import voxel_calibration as voxels
from overread.metrics.calibration import BINS
from overread.metrics.metric import Metric, ratio
from overread.metrics.voxel_table import NEAR, VoxelTable

BEFORE = "before the temperature"
NOWHERE = "no case has a voxel near the structure, by truth or by probability"
NOT_CALIBRATED = "not calibrated"
CURVE = "voxel_calibration"


def voxel_scores(names: Sequence[str], cases: Sequence[ScoredCase], rules: Rules) -> list[Scored]:
    """Every metric of voxel calibration of every structure; none where there are no probability maps."""
    return [scored for name in names if _mapped(cases) for scored in _scores_of(name, cases, rules)]


def voxel_rule(cases: Sequence[ScoredCase]) -> str:
    """How it was measured, or why not, in a sentence."""
    mapped = _mapped(cases)
    if not mapped:
        return f"{NOT_CALIBRATED}: {_why_not(cases)}"
    found = sorted({case_table.temperature for case in mapped for case_table in _all_tables(case)})
    said = (
        "no temperature was applied"
        if found == [1.0]
        else f"temperature {found[0]:.3g}{f' to {found[-1]:.3g} by fold' if len(found) > 1 else ''}, fitted on tuning cases and "
        "frozen; it changes no mask"
    )
    left = len(cases) - len(mapped)
    return f"probabilities of {NEAR}; weighed by volume, patients resampled whole; {said}" + (
        f"; {left} cases without an answer are left out" if left else ""
    )


def voxel_curves(names: Sequence[str], cases: Sequence[ScoredCase], rules: Rules) -> dict[str, Any]:
    """name -> the reliability diagram: unit of volume, temperatures, bins after and (where one was applied) before it.

    noise  the ECE that differences between patients alone would show
    """
    mapped = _mapped(cases)
    curves = {}
    for name in names if mapped else ():
        tables = _tables(name, mapped)
        patients = Patients.of([case.patient_id for case in mapped])
        temperatures = sorted({table.temperature for table in tables})
        after = _terms(tables, "after")
        curves[name] = {
            "unit": "ml" if _in_ml(tables) else "voxels",
            "temperatures": temperatures,
            "noise": number(voxels.noise_ece(patients.totals(after))),
            "after": _bins(after, patients, rules),
            "before": _bins(_terms(tables, "before"), patients, rules) if temperatures != [1.0] else [],
        }
    return curves


def _mapped(cases: Sequence[ScoredCase]) -> list[ScoredCase]:
    return [case for case in cases if not isinstance(case.voxels, str)]


def _why_not(cases: Sequence[ScoredCase]) -> str:
    return next((case.voxels for case in cases if isinstance(case.voxels, str) and case.voxels), NO_MAPS)


def _tables(name: str, cases: Sequence[ScoredCase]) -> list[VoxelTable]:
    return [case.voxels[name] for case in cases if not isinstance(case.voxels, str)]


def _all_tables(case: ScoredCase) -> list[VoxelTable]:
    return [] if isinstance(case.voxels, str) else list(case.voxels.values())


def _in_ml(tables: Sequence[VoxelTable]) -> bool:
    return all(table.voxel_ml is not None for table in tables)


def _terms(tables: Sequence[VoxelTable], which: str, *, everywhere: bool = False) -> np.ndarray:
    """(N, 256) volume by truth and code, near the structure or everywhere; in ml, or voxels where a volume is not known."""
    in_ml = _in_ml(tables)
    rows = []
    for table in tables:
        counts = getattr(table, which)
        chosen = counts.sum(0) if everywhere else counts[1]
        rows.append(chosen.reshape(-1) * (table.voxel_ml if in_ml else 1.0))
    return np.asarray(rows, float)


def _scores_of(name: str, cases: Sequence[ScoredCase], rules: Rules) -> list[Scored]:
    mapped = _mapped(cases)
    tables = _tables(name, mapped)
    after = _terms(tables, "after")
    known = after.sum(1) > 0
    if not known.any():
        empty = Interval(None, None, None, "none", 0, 0, rules.level, NOWHERE)
        return [Scored(metric, name, empty) for metric in (*voxels.NEAR_METRICS, voxels.ECE_WHOLE)]
    patients = Patients.of([case.patient_id for case in mapped])
    near = patients.select(known)
    scores = [_score(metric, name, after[known], near, rules) for metric in voxels.NEAR_METRICS]
    scores.append(_score(voxels.ECE_WHOLE, name, _terms(tables, "after", everywhere=True), patients, rules))
    if any(table.temperature != 1.0 for table in tables):
        before = _terms(tables, "before")[known]
        scores += [_score(_before(metric), name, before, near, rules) for metric in voxels.BEFORE_METRICS]
    return scores


def _score(metric: Metric, name: str, terms: np.ndarray, patients: Patients, rules: Rules) -> Scored:
    scored = by_sums(metric, name, terms, patients, rules)
    if scored.interval.low is None or metric.from_sums not in (voxels.ECE.from_sums, voxels.RELIABILITY.from_sums):
        return scored
    reason = "; ".join(filter(None, (scored.interval.reason, "biased upwards: differences between patients only add to it")))
    return replace(scored, interval=replace(scored.interval, reason=reason))


def _before(metric: Metric) -> Metric:
    return replace(metric, key=f"{metric.key}_raw", name=f"{metric.name} {BEFORE}", formula=f"{metric.formula}; {BEFORE}")


def _bins(terms: np.ndarray, patients: Patients, rules: Rules) -> list[dict[str, Any]]:
    """Bins that hold any volume; the rate is the share of the bin's volume that has the structure."""
    by_case = voxels.binned(terms)[:, :-1].reshape(len(terms), BINS, 3)
    bins = []
    for k in range(BINS):
        own = by_case[:, k]
        inside = own[:, 0] > 0
        if not inside.any():
            continue
        few = patients.select(inside)
        rate = bootstrap_interval(of_sums(few, own[inside][:, [2, 0]], _share), few, rules, "no voxel")
        volume, probability, present = own.sum(0)
        bins.append(
            {
                "low": k / BINS,
                "high": (k + 1) / BINS,
                "mean_probability": number(probability / volume),
                "rate": number(present / volume),
                "rate_low": rate.low,
                "rate_high": rate.high,
                "volume": number(volume),
                "n_patients": few.count,
            }
        )
    return bins


def _share(sums: np.ndarray) -> np.ndarray:
    return ratio(sums[..., 0], sums[..., 1])
