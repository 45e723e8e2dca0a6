"""Detection and instances: the objects of a run's answers, matched case by case with those of the truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from overread.cohort.index import Cohort
from overread.cohort.load import load_truth
from overread.cohort.progress import Progress, counted
from overread.core.case import Case, TruthReference
from overread.core.question import Decisions
from overread.evaluation.objects.decisions import fit_object_decisions
from overread.evaluation.objects.found_case import FoundCase, Objects, found_case, refused_case
from overread.evaluation.rules import Rules
from overread.evaluation.sources.predictions import Predictions


def found_cases(
    cohort: Cohort,
    cases: tuple[Case, ...],
    predictions: Predictions,
    truths: Mapping[str, TruthReference],
    decisions: Decisions,
    rules: Rules,
    fold: int,
    progress: Progress | None,
) -> list[FoundCase]:
    """Every case in the given order; a refused one has missed everything."""
    question = cohort.question
    answers = predictions.objects({case.case_id: cohort.grids[case.case_id] for case in cases})

    def one(case: Case) -> FoundCase:
        truth = true_objects(cohort, case, truths[case.case_id])
        if case.case_id in predictions.refused:
            return refused_case(question, case.case_id, case.patient_id, truth, rules.matching, fold=fold)
        answer = answers.pop(case.case_id)
        return found_case(question, case.case_id, case.patient_id, truth, answer, decisions, rules.matching, fold=fold)

    return list(counted(map(one, cases), len(cases), "matching objects", progress))


def fitted_on_tuning(cohort: Cohort, tuning: Predictions, rules: Rules) -> Decisions:
    """The decisions of answers that come without a frozen model, from their tuning cases."""
    cases = tuple(case for case in cohort.of("tuning") if case.case_id not in tuning.refused)
    answers = tuning.objects({case.case_id: cohort.grids[case.case_id] for case in cases})
    return fit_object_decisions(
        cohort.question,
        [true_objects(cohort, case) for case in cases],
        [answers[case.case_id] for case in cases],
        [case.patient_id for case in cases],
        matching=rules.matching,
        false_positives=rules.false_positives,
    )


def true_objects(cohort: Cohort, case: Case, reference: TruthReference | None = None) -> Objects:
    return cast(Objects, load_truth(cohort, case, reference))
