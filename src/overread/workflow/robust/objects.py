"""Objects under degradation: what can be tried on them, how answers are scored, and whether they are those of the freezing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from overread.cohort.index import Cohort
from overread.cohort.load import load_truth
from overread.core.case import Case
from overread.core.question import Decisions
from overread.evaluation.objects.found_case import FoundCase, Objects, found_case
from overread.evaluation.sources.predictions import Predictions
from overread.metrics.objects.decide import apply_decisions
from overread.workflow.robust.suite import ADVERSARIAL, Condition

SAME = 0.5  # voxels by which the corners of one object may differ between two readings
TURNED = "it turns the patient, and an upright box cannot be turned back onto the image"
STEPPED = "its step is taken against an answer per image or voxel, and this model answers with a list of objects"


def fitting(tried: Sequence[Condition], route: str) -> tuple[list[Condition], list[dict[str, str]]]:
    """What can be tried on a model that answers objects, and what cannot, with the reason.

    route  of the model: "objects" answers a list, "dense" and "centres" answer voxel by voxel first
    """
    kept: list[Condition] = []
    left: dict[str, dict[str, str]] = {}
    for condition in tried:
        turns = condition.degradation is not None and condition.degradation.turn_back is not None
        why = TURNED if turns else STEPPED if condition.name == ADVERSARIAL and route != "dense" else ""
        if why:
            left[condition.name] = {"degradation": condition.name, "title": condition.title, "reason": why}
        else:
            kept.append(condition)
    return kept, list(left.values())


def found_cases(
    cohort: Cohort, cases: Sequence[Case], answers: Mapping[str, object], decisions: Decisions, matching: str
) -> list[FoundCase]:
    """Answers against the truths of the tuning cases, by the decisions frozen in the model."""
    return [
        found_case(
            cohort.question,
            case.case_id,
            case.patient_id,
            cast(Objects, load_truth(cohort, case)),
            cast(Objects, answers[case.case_id]),
            decisions,
            matching,
        )
        for case in cases
    ]


def answered_otherwise(
    cohort: Cohort, cases: Sequence[Case], answers: Mapping[str, object], decisions: Decisions, folder: Path
) -> int:
    """How many cases have other called objects now than when the model was frozen."""
    before = Predictions(folder, cohort.question).objects({case.case_id: cohort.grids[case.case_id] for case in cases})
    pairs = ((before[case.case_id], cast(Objects, answers[case.case_id])) for case in cases)
    classes = cohort.question.classes
    return sum(_is_other(*(apply_decisions(answer, decisions, classes) for answer in pair)) for pair in pairs)


def _is_other(then: Objects, now: Objects) -> bool:
    if sorted(then.classes) != sorted(now.classes):
        return True
    for corners, name in zip(then.corners, then.classes, strict=True):
        own = [c for c, other in zip(now.corners, now.classes, strict=True) if other == name]
        if min(float(np.abs(corners - c).max()) for c in own) > SAME:
            return True
    return False
