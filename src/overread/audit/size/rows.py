"""What an interval or a comparison would be at the given size, as rows of plain numbers.

Only counts are used, so sealed partitions are looked at like any other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from overread.audit.audited import Audited, AuditedCase
from overread.audit.size.expected import (
    area_limits,
    cases_needed,
    design_effect,
    detectable_difference,
    half,
    mean_half_width,
    power_of_difference,
    power_of_non_inferiority,
    share_limits,
)
from overread.core.question import Question
from overread.core.score import Interval

ASSUMED_AREA = 0.85
ASSUMED_SHARE = 0.9  # sensitivity and specificity
ASSUMED_DICE, DICE_SD = 0.85, 0.08  # mean over cases, and the spread between them
MAE_SPREAD = float(np.sqrt(np.pi / 2 - 1))  # standard deviation of an absolute error over its mean, for normal errors
WITHIN_PATIENT = 0.5  # correlation between cases of one patient
BETWEEN_AREAS = 0.5  # correlation between two areas on the same cases
GAIN, MARGIN = 0.05, 0.05
WANTED = 0.05  # half width that is asked for
TEST_SHARE = 0.2  # of the patients, where nothing is divided yet
ASSUMPTIONS = {
    "auc": f"a true area of {ASSUMED_AREA}",
    "sensitivity": f"a true sensitivity of {ASSUMED_SHARE}",
    "specificity": f"a true specificity of {ASSUMED_SHARE}",
    "dice": f"a mean Dice of {ASSUMED_DICE} with a standard deviation of {DICE_SD} between cases",
    "mae": "normal errors; widths are shares of the error itself",
    "design effect": f"a correlation of {WITHIN_PATIENT} between cases of one patient",
    "comparison": f"a correlation of {BETWEEN_AREAS} between two areas on the same cases, and a two-sided level of 5 %",
}
Limits = Callable[[float], tuple[float, float]]


@dataclass(frozen=True)
class Part:
    """Cases that will be scored together, as counts.

    cases_per_patient  one number per patient
    counts             class, finding or structure -> cases that have it
    is_counted         False where truths lie under seal without counts: then the share of the open cases is assumed
    """

    name: str
    cases_per_patient: tuple[int, ...]
    counts: Mapping[str, int]
    is_counted: bool = True

    @property
    def cases(self) -> int:
        return sum(self.cases_per_patient)

    @property
    def patients(self) -> int:
        return len(self.cases_per_patient)

    @property
    def inflation(self) -> float:
        return design_effect(self.cases_per_patient, WITHIN_PATIENT)


def parts_to_score(audited: Audited) -> list[Part]:
    """The internal test and the tuning cases; all folds together; or a fifth of the patients where nothing is divided."""
    cases, named = audited.cases, set(audited.partitions)
    if not cases:
        return []
    if not named:
        whole = _part("a fifth of the patients", cases, audited)
        kept = max(1, round(TEST_SHARE * whole.patients))
        sizes = sorted(whole.cases_per_patient)
        chosen = tuple(sizes[int((k + 0.5) * whole.patients / kept)] for k in range(kept))  # few and many alike
        share = sum(chosen) / whole.cases
        return [Part(whole.name, chosen, {name: round(n * share) for name, n in whole.counts.items()}, False)]
    folds = [name for name in audited.partitions if name.startswith("fold-")]
    if folds:
        return [_part("all folds together", [case for case in cases if case.partition in folds], audited)]
    return [_part(p, [case for case in cases if case.partition == p], audited) for p in ("internal", "tuning") if p in named]


def _part(name: str, cases: Sequence[AuditedCase], audited: Audited) -> Part:
    sizes = tuple(Counter(case.patient_id for case in cases).values())
    classes = audited.question.classes if audited.question is not None else ()
    counts, is_counted = dict.fromkeys(classes, 0), True
    for partition in {case.partition for case in cases}:
        inside = [case for case in cases if case.partition == partition]
        told = audited.truth_counts.get(partition) or {}
        for key in classes:
            if isinstance(told.get(key), int):
                counts[key] += told[key]
            elif any(case.is_sealed for case in inside) or not any(case.truth for case in inside):
                counts[key] += round(_share(audited.open_cases, key) * len(inside))
                is_counted = False
            else:
                counts[key] += sum(_has(case, key) for case in inside)
    return Part(name, sizes, counts, is_counted)


def _share(cases: Sequence[AuditedCase], key: str) -> float:
    known = [case for case in cases if case.truth is not None and case.truth.get(key) is not None]
    return sum(_has(case, key) for case in known) / len(known) if known else 0.0


def _has(case: AuditedCase, key: str) -> bool:
    return case.truth is not None and (case.truth.get(key) or 0) > 0.5


def interval_rows(question: Question, part: Part) -> list[dict[str, Any]]:
    """One row per metric and subject: the interval to expect and the patients that +-0.05 would take.

    "interval" is an `Interval` whose estimate is what was assumed; "half_width" None where nothing can be estimated.
    """
    effective = part.cases / part.inflation
    if question.task == "segmentation":
        return [_dice_row(part, name) for name in question.classes]
    if question.task == "regression":

        def around(n: float) -> tuple[float, float]:
            return 1 - mean_half_width(MAE_SPREAD, n), 1 + mean_half_width(MAE_SPREAD, n)

        return [_row(part, "mae", name, 1.0, around, effective, 1.0, "Student") for name in question.classes]
    return [row for name in subjects_of(question) for row in _class_rows(part, name)]


def subjects_of(question: Question) -> tuple[str, ...]:
    """The positive class of two; every class or finding otherwise."""
    if not question.is_binary:
        return question.classes
    return (question.positive if question.positive in question.classes else question.classes[-1],)


def _dice_row(part: Part, name: str) -> dict[str, Any]:
    """The mean Dice over the cases that hold the structure."""

    def around(n: float) -> tuple[float, float]:
        width = mean_half_width(DICE_SD, n)
        return ASSUMED_DICE - width, min(1.0, ASSUMED_DICE + width)

    held = part.counts.get(name) or part.cases
    return _row(part, "dice", name, ASSUMED_DICE, around, held / part.inflation, held / part.cases, "Student")


def _class_rows(part: Part, name: str) -> list[dict[str, Any]]:
    positives = part.counts.get(name, 0)
    share = positives / part.cases
    effective = part.cases / part.inflation

    def area(n: float) -> tuple[float, float]:
        return area_limits(ASSUMED_AREA, max(n * share, 1.0), max(n * (1 - share), 1.0))

    def found(n: float) -> tuple[float, float]:
        return share_limits(ASSUMED_SHARE, n)

    return [
        _row(part, "auc", name, ASSUMED_AREA, area, effective if 0 < share < 1 else 0, 1.0, "Hanley and McNeil, logit scale"),
        _row(part, "sensitivity", name, ASSUMED_SHARE, found, share * effective, share, "Wilson"),
        _row(part, "specificity", name, ASSUMED_SHARE, found, (1 - share) * effective, 1 - share, "Wilson"),
    ]


def _row(
    part: Part, metric: str, subject: str, assumed: float, limits: Limits, effective: float, share: float, method: str
) -> dict[str, Any]:
    """effective  independent cases that the metric rests on;  share  of all cases that it rests on"""
    counted = round(share * part.cases)
    how = f"{method}, expected" + (f", design effect {part.inflation:.2f}" if part.inflation > 1 else "")
    possible = effective >= 2
    low, high = limits(effective) if possible else (None, None)
    reason = "" if possible else "fewer than two independent cases to rest on"
    needed = cases_needed(lambda n: half(limits(n)), WANTED) if share > 0 and effective > 0 else None
    per_patient = part.cases / part.patients
    return {
        "part": part.name,
        "metric": metric,
        "subject": subject,
        "interval": Interval(assumed, low, high, how, counted, part.patients, reason=reason).as_dict(),
        "half_width": None if low is None or high is None else half((low, high)),
        "design_effect": part.inflation,
        "patients_needed": None if needed is None else int(np.ceil(needed * part.inflation / share / per_patient)),
        "wanted_half_width": WANTED,
    }


def comparison_rows(question: Question, part: Part) -> list[dict[str, Any]]:
    """Power of comparing two models on the same cases, one row per class; nothing for other tasks."""
    if question.task != "classification":
        return []
    rows = []
    for name in subjects_of(question):
        positives = part.counts.get(name, 0) / part.inflation
        negatives = (part.cases - part.counts.get(name, 0)) / part.inflation
        if min(positives, negatives) < 2:
            continue
        rows.append(
            {
                "part": part.name,
                "subject": name,
                "area": ASSUMED_AREA,
                "correlation": BETWEEN_AREAS,
                "gain": GAIN,
                "power_of_gain": power_of_difference(ASSUMED_AREA, GAIN, positives, negatives, BETWEEN_AREAS),
                "smallest_gain": detectable_difference(ASSUMED_AREA, positives, negatives, BETWEEN_AREAS),
                "margin": MARGIN,
                "power_of_non_inferiority": power_of_non_inferiority(ASSUMED_AREA, MARGIN, positives, negatives, BETWEEN_AREAS),
                "n_cases": part.cases,
                "n_patients": part.patients,
                "design_effect": part.inflation,
            }
        )
    return rows
