"""Everything that features of real and made images can tell, as one table for the record of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from overread.core.errors import OverreadError
from overread.core.score import Interval
from overread.evaluation.generation.jackknife import Jackknifed, OfBoth, jackknifed
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.intervals.wilson import proportion_interval
from overread.evaluation.pictures.plain import plain
from overread.evaluation.rules import Rules
from overread.evaluation.scored import Scored, by_sums, number
from overread.metrics.generation import rows
from overread.metrics.generation.diversity import Spreads
from overread.metrics.generation.features import checked
from overread.metrics.generation.frechet import frechet_distance
from overread.metrics.generation.kernels import (
    Kernels,
    cubic_kernels,
    gaussian_kernels,
    kernel_distance_of_subsets,
)
from overread.metrics.generation.manifold import Manifolds, manifolds
from overread.metrics.metric import Metric, mean_terms

ALL = "all"


@dataclass(frozen=True)
class Real:
    """Real images: (N, F) features and the patient of each."""

    features: np.ndarray
    patient_ids: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.features) != len(self.patient_ids):
            raise OverreadError(
                f"{len(self.features)} real images and {len(self.patient_ids)} patients were given.", "name the patient of each"
            )

    @property
    def patients(self) -> Patients:
        return Patients.of(self.patient_ids)


def judge(real: Real, made: np.ndarray, rules: Rules, *, network: str, floor: Real | None = None) -> dict[str, Any]:
    """FID, KID, MMD, precision and recall, density and coverage, diversity.

    real     images that were not used to choose the model; the same for all models that are to be compared
    made     (M, F) features of made images
    network  what the features come from, in words
    floor    other real images: what a perfect maker would get, as real images are never quite alike
    """
    features, made = checked(real.features, made)
    real = replace(real, features=features)
    cubic = cubic_kernels(features, made, real.patients.number)
    frechet = _distances(real, made, cubic, rules)
    found = manifolds(features, made, real.patients.number)
    scored = [*(score for score, _ in frechet), *_shares(found, real, len(made), rules)]
    mean, spread, size = kernel_distance_of_subsets(cubic, np.random.default_rng(rules.seed))
    return {
        "network": network,
        "n_real": len(features),
        "n_real_patients": real.patients.count,
        "n_made": len(made),
        "n_features": features.shape[1],
        "scores": [plain(score) for score in scored],
        "bias": {score.metric.key: number(each.bias) for score, each in frechet if each.bias is not None},
        "kid_of_subsets": {"mean": number(mean), "sd": number(spread), "images": size, "subsets": 100},
        "floor": None if floor is None else _floor(real, floor),
        "notes": _notes(features, made, frechet, network),
    }


def _distances(real: Real, made: np.ndarray, cubic: Kernels, rules: Rules) -> list[tuple[Scored, Jackknifed]]:
    gaussian = gaussian_kernels(real.features, made, real.patients.number)
    functions: dict[Metric, tuple[OfBoth, float | None]] = {
        rows.FID: (lambda r, m: frechet_distance(real.features[r], made[m]), 0.0),
        rows.KID: (cubic.discrepancy, None),
        rows.MMD: ((lambda r, m: float("nan")) if gaussian is None else gaussian.discrepancy, None),
        rows.DIVERSITY: (Spreads.of(real.features, made, real.patients.number).diversity, 0.0),
    }
    found = []
    for metric, (function, lowest) in functions.items():
        own = jackknifed(function, real.patients, len(made), rules.level, "all real images have the same features", lowest)
        found.append((Scored(metric, ALL, own.interval), own))
    return found


def _shares(found: Manifolds, real: Real, made: int, rules: Rules) -> list[Scored]:
    """Shares of made images hold for these real ones, shares of real images for these made ones."""
    return [
        Scored(rows.PRECISION, ALL, share_of_made(found.precision, rules.level)),
        _share_of_real(rows.RECALL, found.recall, real, rules),
        _of_made(rows.DENSITY, found.density, made, rules),
        _share_of_real(rows.COVERAGE, found.coverage, real, rules),
    ]


def share_of_made(hit: np.ndarray, level: float) -> Interval:
    """So many of so many made images, each its own draw; no patient stands behind them."""
    alone = Patients(np.arange(len(hit)), len(hit))
    return replace(proportion_interval(hit.astype(float), np.ones(len(hit)), alone, level, "no made image"), n_patients=0)


def _share_of_real(metric: Metric, hit: np.ndarray, real: Real, rules: Rules) -> Scored:
    interval = proportion_interval(hit.astype(float), np.ones(len(hit)), real.patients, rules.level, metric.undefined)
    return Scored(metric, ALL, interval)


def _of_made(metric: Metric, values: np.ndarray, made: int, rules: Rules) -> Scored:
    scored = by_sums(metric, ALL, mean_terms(values), Patients(np.arange(made), made), rules)
    method = scored.interval.method.replace("by patient", "by made image")
    return replace(scored, interval=replace(scored.interval, n_patients=0, method=method))


def _floor(real: Real, floor: Real) -> dict[str, Any]:
    """The same distances between two sets of real images."""
    (other,) = checked(floor.features)
    whose = real.patients.number
    gaussian = gaussian_kernels(real.features, other, whose)
    values = {
        "fid": frechet_distance(real.features, other),
        "kid": cubic_kernels(real.features, other, whose).discrepancy(),
        "mmd": float("nan") if gaussian is None else gaussian.discrepancy(),
        "diversity": Spreads.of(real.features, other, whose).diversity(),
    }
    return {"n_images": len(other), "n_patients": floor.patients.count, **{key: number(value) for key, value in values.items()}}


def _notes(real: np.ndarray, made: np.ndarray, frechet: Sequence[tuple[Scored, Jackknifed]], network: str) -> list[str]:
    notes = [f"Features come from {network}. Numbers from features of another network cannot be compared with these."]
    bias, estimate = frechet[0][1].bias, frechet[0][0].interval.estimate
    fewer = min(len(real), len(made))
    if bias is not None and estimate:
        notes.append(
            f"A Frechet distance is too high where images are few: of {len(real)} real and {len(made)} made images by about "
            f"{max(bias, 0.0):.3g} of {estimate:.3g}, by the jackknife. Its interval is that of as many images; compare no "
            "others. KID and MMD do not drift; pairs of images of one patient are left out of them."
        )
    if fewer <= real.shape[1]:
        notes.append(
            f"There are fewer images ({fewer}) than features ({real.shape[1]}): covariances are only known in part, so trust KID "
            "more than the Frechet distance."
        )
    notes.append(
        "Precision, density: intervals hold for these real images; recall, coverage: for these made ones. All of these say "
        "what a network sees in images, not whether a radiologist would be deceived, nor whether a finding is true."
    )
    return notes
