"""How often the paired tests cry wolf, and how often their intervals hold the truth, on simulated studies.

    python benchmarks/comparisons.py                # 2000 studies per line, about half an hour on one core
    python benchmarks/comparisons.py --trials 300   # a quick look

Every line is a kind of score, a number of patients, and cases per patient (correlated by 0.6). "wrong" is the share of
studies without any difference in which one was found (5 % is right); "plain" the same for the test that takes cases as
independent; "held" the share of studies with a difference whose 95 % interval holds it. Reader studies are simulated after
Roe and Metz (Acad Radiol 1997;4:298); there, "plain" takes the readers as fixed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from common import Started, parser, run, say_result, table, write_result
from scipy import stats

from overread.evaluation.comparing import mrmc
from overread.evaluation.comparing.difference import Test, students_test
from overread.evaluation.comparing.flips import FlipTest
from overread.evaluation.comparing.mcnemar import McNemarTest
from overread.evaluation.comparing.placements import areas
from overread.evaluation.intervals.patients import Patients

CORRELATION = 0.6  # of the cases of a patient
SHARED = 0.5  # of two models on one case
READER_SD, OTHERWISE_SD = 0.3, 0.15  # of the readers' skill, and of what a condition changes in it
NOISE = (0.6, 0.4, 0.4, 0.5)  # of the patient, patient x condition, patient x reader, and the rest
Study = tuple[Test, Test]  # our test, and the plain one


def alike(random: np.random.Generator, patients: int, cases: int) -> np.ndarray:
    """(2, patients, cases) standard normal numbers of two models, alike within a patient and between the models."""

    def one(*shape: int) -> np.ndarray:
        own = random.normal(size=(*shape, patients, 1)) * np.sqrt(CORRELATION)
        return own + random.normal(size=(*shape, patients, cases)) * np.sqrt(1 - CORRELATION)

    return np.sqrt(SHARED) * one(1) + np.sqrt(1 - SHARED) * one(2)


def area_study(random: np.random.Generator, patients: int, cases: int, gain: float) -> Study:
    truth = np.repeat(np.arange(patients) % 3 == 0, cases)
    scores = alike(random, patients, cases).reshape(2, -1) + truth * np.sqrt(2) * stats.norm.ppf([[0.8], [0.8 + gain]])
    made = []
    for ids in (np.repeat(np.arange(patients), cases), np.arange(patients * cases)):
        found = areas(truth, scores, Patients.of(ids))
        assert found is not None
        assert found.covariance is not None
        error = float(np.sqrt(max(np.array([-1, 1]) @ found.covariance @ [-1, 1], 0)))
        made.append(students_test(float(found.values[1] - found.values[0]), error, "", why_none="alike"))
    return made[0], made[1]


def hit_study(random: np.random.Generator, patients: int, cases: int, gain: float) -> Study:
    called = alike(random, patients, cases) < stats.norm.ppf([[[0.8]], [[0.8 + gain]]])
    won = called[1].astype(float) - called[0]
    return McNemarTest(won.sum(1), np.full(patients, float(cases))), McNemarTest(won.ravel(), np.ones(won.size))


def dice_study(random: np.random.Generator, patients: int, cases: int, gain: float) -> Study:
    """Dice is beta distributed with mean 0.85, or 0.85 + gain."""
    mean = np.array([0.85, 0.85 + gain])[:, None, None]
    dice = stats.beta.ppf(stats.norm.cdf(alike(random, patients, cases)), 9 * mean, 9 * (1 - mean))
    won = dice[1] - dice[0]
    plain = students_test(float(won.mean()), float(won.std(ddof=1) / np.sqrt(won.size)), "", won.size - 1, why_none="alike")
    return FlipTest(won.sum(1) / won.size, np.full(patients, 1 / patients)), plain


def readers_study(random: np.random.Generator, patients: int, readers: int, gain: float) -> Study:
    """Readers in two conditions; a mean area of 0.8, and 0.8 + gain."""
    truth, noise = np.arange(patients) % 2 == 1, reader_noise(random, patients, readers)
    skill = READER_SD * random.normal(size=(1, readers, 1)) + OTHERWISE_SD * random.normal(size=(2, readers, 1))
    scores = noise + truth * (shift(np.array([[[0.8]], [[0.8 + gain]]]), np.hypot(READER_SD, OTHERWISE_SD)) + skill)
    found = areas(truth, scores.reshape(2 * readers, -1), Patients.of(np.arange(patients)))
    assert found is not None
    assert found.covariance is not None
    parts = mrmc.components(found.covariance.reshape(2, readers, 2, readers))
    ours = mrmc.two_conditions(found.values.reshape(2, readers), parts)
    return ours, fixed_readers(found.values, found.covariance, np.repeat([-1.0, 1.0], readers) / readers)


def model_study(random: np.random.Generator, patients: int, readers: int, gain: float) -> Study:
    """Readers of a mean area of 0.8, and a model of 0.8 + gain."""
    truth, noise = np.arange(patients) % 2 == 1, reader_noise(random, patients, readers)
    scores = noise[0] + truth * (shift(0.8, READER_SD) + READER_SD * random.normal(size=(readers, 1)))
    model = noise[1, 0] + truth * shift(0.8 + gain, 0.0)
    found = areas(truth, np.vstack([scores, model]), Patients.of(np.arange(patients)))
    assert found is not None
    assert found.covariance is not None
    ours = mrmc.model_less_readers(found.values[:-1], float(found.values[-1]), found.covariance)
    return ours, fixed_readers(found.values, found.covariance, np.r_[np.full(readers, -1 / readers), 1.0])


def reader_noise(random: np.random.Generator, patients: int, readers: int) -> np.ndarray:
    """(2, readers, patients): what the patient looks like, in this condition, to this reader, and what comes on top."""
    sizes = [(1, 1, patients), (2, 1, patients), (1, readers, patients), (2, readers, patients)]
    parts = [sd * random.normal(size=size) for sd, size in zip(NOISE, sizes, strict=True)]
    return np.asarray(sum(np.broadcast_to(part, (2, readers, patients)) for part in parts))


def shift(area: Any, reader_sd: float) -> Any:
    """How far diseased patients lie above the others, for a mean area over readers whose skill varies."""
    return np.sqrt(2 * (np.array(NOISE) ** 2).sum() + reader_sd**2) * stats.norm.ppf(area)


def fixed_readers(values: np.ndarray, covariance: np.ndarray, turn: np.ndarray) -> Test:
    return students_test(float(turn @ values), float(np.sqrt(turn @ covariance @ turn)), "", why_none="alike")


LINES: list[tuple[str, Callable[[np.random.Generator, int, int, float], Study], str, float]] = [
    ("area under the ROC curve", area_study, "cases", 0.08),
    ("sensitivity", hit_study, "cases", 0.1),
    ("Dice", dice_study, "cases", 0.03),
    ("readers with and without", readers_study, "readers", 0.08),
    ("model against readers", model_study, "readers", 0.08),
]
SIZES = {"cases": [(20, 1), (50, 1), (100, 1), (20, 4), (50, 4), (100, 4)], "readers": [(60, 3), (60, 5), (120, 5)]}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--trials", type=int, default=2000, help="simulated studies per line")
    asked, started = options.parse_args(), Started()
    rows = [
        line(name, study, unit, gain, patients, many, asked.trials)
        for name, study, unit, gain in LINES
        for patients, many in SIZES[unit]
    ]
    noise = float(np.sqrt(0.05 * 0.95 / asked.trials))
    path = write_result(
        "comparisons", started, settings={"trials": asked.trials}, figures={"lines": rows},
        spread={"standard_error_of_5_percent": round(noise, 4)},
        notes=["wrong, plain: share of studies without a difference in which one was found; held: share of 95 % intervals "
               "that hold the difference of studies with one"],
    )  # fmt: skip
    header = ["score", "patients", "each", "wrong", "plain", "held"]
    cells = [[r["score"], r["patients"], r["each"], *(f"{r[k]:.1%}" for k in ("wrong", "plain", "held"))] for r in rows]
    say_result(path, [*table(header, cells), "", f"The noise of 5 % over {asked.trials} studies is {noise:.1%}."])


def line(
    name: str, study: Callable[[np.random.Generator, int, int, float], Study], unit: str, gain: float, patients: int, many: int,
    trials: int,
) -> dict[str, Any]:  # fmt: skip
    counts = dict.fromkeys(("wrong", "plain", "held"), 0)
    for seed in range(trials):
        ours, plain = study(np.random.default_rng(seed), patients, many, 0.0)
        counts["wrong"] += not ours.reason and ours.p() < 0.05
        counts["plain"] += not plain.reason and plain.p() < 0.05
        other, _ = study(np.random.default_rng([seed, 1]), patients, many, gain)
        low, high = other.interval(0.95)
        counts["held"] += low <= gain <= high
    shares = {key: round(count / trials, 4) for key, count in counts.items()}
    return {"score": name, "patients": patients, "each": f"{many} {unit}", "difference": gain, **shares}


if __name__ == "__main__":
    run(main)
