"""Readers who tell real images from made ones: how often they are right, against chance, and in the mean.

Source of the idea: the visual Turing test, as in Chuquicusma et al., ISBI 2018 (arXiv:1710.09762).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from overread.evaluation.comparing import mrmc
from overread.evaluation.comparing.difference import difference_interval
from overread.evaluation.comparing.placements import Areas, areas, shares
from overread.evaluation.intervals.delong import area, area_interval
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.intervals.wilson import proportion_interval
from overread.evaluation.reading_room.chance import p_chance, verdict
from overread.evaluation.reading_room.parts import agreement, by_confidence, by_image, by_time
from overread.evaluation.reading_room.reads import NONE_READ, Reads, joined
from overread.evaluation.rules import Rules
from overread.metrics.curves import roc_curve


def score_reads(is_made: np.ndarray, units: Sequence[str], reads: Sequence[Reads], rules: Rules) -> dict[str, Any]:
    """is_made (N,) bool in the order of the room; units (N,) the patient of a real image, a name of its own for each made one."""
    named = np.asarray(units, dtype=str)
    each = [{"reader": one.reader, **_scores(is_made, named, [one], rules)} for one in reads]
    return {
        "items": len(is_made),
        "made": int(is_made.sum()),
        "readers": each,
        "pooled": _scores(is_made, named, reads, rules),
        "mean": _mean_of_readers(is_made, named, reads, rules),
        "roc": {one.reader: curve for one in reads if (curve := _curve(is_made, one)) is not None},
        "agreement": agreement(named, reads, rules),
        "by_confidence": by_confidence(is_made, named, reads, rules),
        "by_time": by_time(is_made, named, reads, rules),
        "images": by_image(is_made, reads),
    }


def _scores(is_made: np.ndarray, units: np.ndarray, reads: Sequence[Reads], rules: Rules) -> dict[str, Any]:
    """Of one reader, or of all answers together."""
    made, fake, suspicion, seconds, unit = joined(is_made, units, reads)
    right, patients = (fake > 0) == made, Patients.of(unit)
    of = partial(proportion_interval, patients=patients, level=rules.level, undefined=NONE_READ)
    accuracy = of(right, np.ones(len(made)))
    return {
        "read": len(made),
        "accuracy": accuracy.as_dict(),
        "p_chance": p_chance(right, patients),
        "against_chance": verdict(accuracy),
        "sensitivity": of(right, made.astype(float)).as_dict(),
        "specificity": of(right, (~made).astype(float)).as_dict(),
        "called_fake": of(fake, np.ones(len(made))).as_dict(),
        "auc": area_interval(area(made, suspicion, patients) if len(made) else None, patients, rules.level).as_dict(),
        "seconds": float(np.median(seconds)) if len(made) else None,
        "seconds_right": float(np.median(seconds[right])) if right.any() else None,
        "seconds_wrong": float(np.median(seconds[~right])) if (~right).any() else None,
    }


def _mean_of_readers(is_made: np.ndarray, units: np.ndarray, reads: Sequence[Reads], rules: Rules) -> dict[str, Any] | None:
    """Means with intervals for other readers and other images; None unless two readers or more read all images."""
    whole = [one for one in reads if one.is_read.all()]
    if len(whole) < 2:
        return None
    patients = Patients.of(units)
    right = np.stack([(one.fake > 0) == is_made for one in whole])
    by_area = areas(is_made, np.stack([one.suspicion for one in whole]), patients)
    found = {"accuracy": shares(right, patients), "auc": by_area}
    return {"readers": len(whole), **{name: _one_condition(values, patients, rules) for name, values in found.items()}}


def _one_condition(found: Areas | None, patients: Patients, rules: Rules) -> dict[str, Any] | None:
    if found is None or found.covariance is None:
        return None
    interval = difference_interval(
        mrmc.one_condition(found.values, found.covariance), patients.cases, patients.count, rules.level
    )
    if interval.low is not None and interval.high is not None:
        interval = replace(interval, low=max(0.0, interval.low), high=min(1.0, interval.high))
    return interval.as_dict()


def _curve(is_made: np.ndarray, one: Reads) -> dict[str, Any] | None:
    made = is_made[one.is_read]
    return roc_curve(made, one.suspicion[one.is_read]) if 0 < made.sum() < len(made) else None
