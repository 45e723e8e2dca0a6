"""Two kinds of images without pairs: which cases are read, and which show what is wanted.

Each case is of one kind, and its truth says of which. The cohort of one kind goes through everything else as any cohort does.
"""

from __future__ import annotations

from dataclasses import replace

from overread.cohort.index import Cohort
from overread.core.case import Case
from overread.core.errors import OverreadError

FEWEST_PATIENTS = 2  # of a kind in training: from one patient nothing is learned of what patients have in common


def as_read(cohort: Cohort) -> Cohort:
    """The cases that a model reads: all of them; without pairs those of the first kind.

    Of which kind a case of the internal test is, lies under seal, so none of them is here.
    """
    return _of_kind(cohort, 0)


def as_wanted(cohort: Cohort) -> Cohort:
    """The cases whose images show what is to be answered: all of them; without pairs those of the second kind."""
    return _of_kind(cohort, 1)


def is_wanted(cohort: Cohort, case: Case) -> bool:
    """Whether a case is of the second of two kinds without pairs."""
    return cohort.question.is_unpaired and _is_of(case, cohort.question.conditions[1])


def _of_kind(cohort: Cohort, number: int) -> Cohort:
    if not cohort.question.is_unpaired:
        return cohort
    kind = cohort.question.conditions[number]
    return replace(cohort, cases=tuple(c for c in cohort.cases if _is_of(c, kind)))


def _is_of(case: Case, kind: str) -> bool:
    return case.truth is not None and case.truth.values.get(kind) == 1


def refuse_one_heap(cohort: Cohort) -> None:
    """Without pairs both kinds must be there: in training of some patients, in tuning to compare with."""
    if not cohort.question.is_unpaired:
        return
    for kind, own in zip(cohort.question.conditions, (as_read(cohort), as_wanted(cohort)), strict=True):
        patients = len({case.patient_id for case in own.of("training") if not case.is_made})
        if patients < FEWEST_PATIENTS:
            raise OverreadError(
                f"The training partition holds images of kind '{kind}' of {patients} patient{'s' * (patients != 1)}; "
                f"{FEWEST_PATIENTS} are the least.",
                "add patients with `overread update`, or make a new project with other shares",
            )
        if not own.of("tuning"):
            raise OverreadError(
                f"The tuning partition holds no image of kind '{kind}', so nothing could be compared.",
                "add patients with `overread update`, or make a new project with a larger --tuning",
            )
