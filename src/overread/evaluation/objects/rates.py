"""Two things that resampling and Wilson's interval cannot see: a rate of which nothing was seen, and objects of one patient."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from overread.core.score import Interval
from overread.evaluation.intervals.patients import Patients

MOST_OF_ONE = 0.5  # share of the objects beyond which those of one patient make the interval


def none_seen(patients: Patients, level: float) -> Interval:
    """No false positive in any case: from 0 to the exact upper end of a Poisson rate, ln(2 / (1 - level)) / patients.

    All cases of a patient count as one. Source: Garwood, Biometrika 1936;28:437 ("rule of three").
    """
    high = math.log(2 / (1 - level)) / patients.count
    return Interval(0.0, 0.0, high, "exact Poisson interval of none seen, by patient", patients.cases, patients.count, level)


def of_one_patient(interval: Interval, objects: Patients) -> Interval:
    """An interval of a share of objects, doubted where most of them are of one patient: how patients differ is not seen then.

    objects  the patient of each
    """
    if interval.low is None or objects.count < 2:
        return interval
    most = int(np.bincount(objects.number).max())
    if most <= MOST_OF_ONE * objects.cases:
        return interval
    reason = f"{most} of {objects.cases} are of one patient: expect this interval to be too narrow"
    return replace(interval, reason="; ".join(filter(None, (interval.reason, reason))))
