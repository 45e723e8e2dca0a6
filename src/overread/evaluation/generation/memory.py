"""Were training images repeated? The record of the test, with the made images that are suspected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from overread.core.score import Interval
from overread.evaluation.generation.judge import ALL, Real, share_of_made
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.pictures.plain import plain
from overread.evaluation.rules import Rules
from overread.evaluation.scored import Scored, number
from overread.metrics.generation import rows
from overread.metrics.generation.memorisation import COPY, Memorised, median_ratio, memorised

SUSPECTS = 20  # made images that are listed
SAME = 1e-6  # of the usual distance of a held-out image to training: nearer than that, the cohort holds one image twice
ALARM = 0.01  # p below which so many made images near to training are more than chance
RULE = (
    f"A made image is called a copy where its nearest training image is nearer than {100 * COPY:.0f} % of the distance that the "
    "nearest held-out real image of another patient keeps. Distances are of features, so a copy that is turned or recoloured may "
    "pass, and two images that look alike to the network may be called one: look at the pairs."
)


def memory(
    training: np.ndarray, training_ids: Sequence[str], made: np.ndarray, held_out: Real, rules: Rules, *, network: str
) -> dict[str, Any]:
    """Nearest training image of each made one, against those of held-out real images.

    training, made   (T, F), (M, F) features
    training_ids     (T,) case of each training image
    held_out         real images of other patients that were never shown
    network          what the features come from, in words

    returns {"fires", "sentence", "scores", "nearest": a row per made image, "suspects": their numbers, nearest first ...}
    """
    found = memorised(training, made, held_out.features)
    is_twin = found.held_out <= SAME * float(np.median(found.held_out))
    is_blind = bool(is_twin.all())
    if is_twin.any() and not is_blind:
        held_out = _only(held_out, ~is_twin)
        found = memorised(training, made, held_out.features)
    order = np.argsort(found.distance, kind="stable")
    suspects = [int(k) for k in order if found.nearer[k]][:SUSPECTS]
    fires = bool(found.copies.any()) or (bool(found.nearer.any()) and found.p < ALARM)
    scored = [
        Scored(rows.NEAREST_RATIO, ALL, _ratio_interval(found, held_out.patients, rules)),
        Scored(rows.NEARER, ALL, share_of_made(found.nearer, rules.level)),
    ]
    return {
        "network": network,
        "n_training": len(training),
        "n_made": len(made),
        "n_held_out": len(found.held_out),
        "n_twins": int(is_twin.sum()),
        "fires": fires,
        "is_blind": is_blind,
        "sentence": _sentence(found, fires, is_blind, int(is_twin.sum())),
        "rule": RULE,
        "p": number(found.p),
        "copies": [int(k) for k in np.flatnonzero(found.copies)],
        "suspects": suspects,
        "scores": [plain(score) for score in scored],
        "nearest": [
            {"made": k, "case_id": training_ids[int(found.nearest[k])], "distance": number(float(found.distance[k]))}
            for k in range(len(made))
        ],
        "held_out": [number(float(v)) for v in np.sort(found.held_out)],
    }


def _only(real: Real, which: np.ndarray) -> Real:
    """which (N,) bool"""
    return Real(real.features[which], tuple(name for name, stays in zip(real.patient_ids, which, strict=True) if stays))


def _sentence(found: Memorised, fires: bool, is_blind: bool, twins: int) -> str:
    if is_blind:
        return (
            "Every held-out image equals a training image, so this test cannot tell a copy from an image of the same kind: the "
            "cohort holds its images twice, and its audit says where."
        )
    made, nearer, copies = len(found.distance), int(found.nearer.sum()), int(found.copies.sum())
    said = f"{copies} of {made} made images are copies of training images, and {nearer} are nearer to one than any held-out image"
    equal = "1 held-out image that equals" if twins == 1 else f"{twins} held-out images that equal"
    less = f" Left out: {equal} a training image; the audit says where the cohort holds an image twice." if twins else ""
    if fires:
        return f"Training images are repeated: {said} (p = {found.p:.2g}). Do not hand out these images nor the model.{less}"
    return f"No sign that training images are repeated: {said} (p = {found.p:.2g}).{less}"


def _ratio_interval(found: Memorised, patients: Patients, rules: Rules) -> Interval:
    """Percentiles over drawings of made images and of patients."""
    held, made = found.held_out, found.distance
    estimate = median_ratio(made, held)
    method = f"percentiles of {rules.resamples} drawings of made images and of patients"
    if not np.isfinite(estimate):
        return Interval(None, None, None, method, len(held), patients.count, rules.level, rows.NEAREST_RATIO.undefined)
    if patients.count < 5:
        few = f"{patients.count} patients are too few to resample"
        return Interval(estimate, None, None, method, len(held), patients.count, rules.level, few)
    random = np.random.default_rng(rules.seed)
    members = [np.flatnonzero(patients.number == k) for k in range(patients.count)]
    drawn = []
    for _ in range(rules.resamples):
        chosen = np.concatenate([members[k] for k in random.integers(0, patients.count, patients.count)])
        drawn.append(median_ratio(made[random.integers(0, len(made), len(made))], held[chosen]))
    low, high = np.nanquantile(drawn, [0.5 - rules.level / 2, 0.5 + rules.level / 2])
    return Interval(estimate, float(low), float(high), method, len(held), patients.count, rules.level)
