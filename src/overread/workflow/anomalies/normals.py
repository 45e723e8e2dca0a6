"""What is usual, and when to raise an alarm: from the tuning cases of the project of normal images, half for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from overread.cohort.index import Cohort
from overread.cohort.progress import Progress, counted
from overread.core.case import Case
from overread.core.errors import OverreadError
from overread.metrics.anomaly import Alarm, Usual, fit_alarm, usual_errors
from overread.workflow.anomalies.codes import UsualCode
from overread.workflow.anomalies.looking import Looked, Looker

MOST = 400  # normal cases that are read, spread evenly


@dataclass(frozen=True)
class Normal:
    """What was learned of the normal tuning cases.

    codes  None where the network makes none
    """

    usual: Usual
    alarm: Alarm
    codes: UsualCode | None


def learn_normal(cohort: Cohort, looker: Looker, rate: float, progress: Progress | None) -> Normal:
    """Half of the tuning patients say what is usual, the other half at which level alarms are raised.

    Not the same ones: errors of cases that said what is usual seem smaller than those of new ones.
    """
    first, second = halves([case for case in cohort.of("tuning") if case.origin != "generated"])
    if not first or not second:
        raise OverreadError(
            "There are too few normal tuning patients: one half says what is usual, the other when to raise an alarm.",
            "make the project of more patients, or with a larger --tuning",
        )
    looked = {
        case.case_id: _kept(looker.look_at(cohort, case))
        for case in counted([*first, *second], len(first) + len(second), "Looking at normal tuning cases", progress)
    }
    usual = usual_errors([looked[case.case_id][0] for case in first])
    beyond = [usual.standardised(looked[case.case_id][0]) for case in second]
    alarm = fit_alarm(beyond, [case.patient_id for case in second], rate)
    codes = [code for case in first if (code := looked[case.case_id][1]) is not None]
    return Normal(usual, alarm, UsualCode.of(codes) if codes else None)


def _kept(looked: Looked) -> tuple[np.ndarray, np.ndarray | None]:
    """Error and code; the images of many volumes would fill the memory."""
    return looked.error, looked.code


def halves(cases: Sequence[Case]) -> tuple[list[Case], list[Case]]:
    """Patients in turn, by their pseudonyms, whose order tells nothing; of many cases some, spread evenly."""
    chosen = [cases[int(k)] for k in np.unique(np.linspace(0, len(cases) - 1, min(MOST, len(cases))).round())]
    place = {patient: number for number, patient in enumerate(sorted({case.patient_id for case in chosen}))}
    return (
        [case for case in chosen if place[case.patient_id] % 2 == 0],
        [case for case in chosen if place[case.patient_id] % 2 == 1],
    )
