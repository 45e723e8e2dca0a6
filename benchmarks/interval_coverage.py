"""How often a 95 % interval holds the true value: 10 to 100 patients, one case or four of each, by simulation.

    python benchmarks/interval_coverage.py
    python benchmarks/interval_coverage.py --trials 200 --patients 20

Scores whose true value is known are drawn again and again, and the interval that an evaluation would print is asked whether
it holds that value. Four cases of one patient are alike: intraclass correlation 0.4. Beside it stands the naive interval,
which takes every case for a patient of its own; with four cases each it has to fail. What falls under 93 % is written
into the package (`src/overread/evaluation/intervals/coverage.json`), and evaluations say so beside such intervals.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # small products: threads would only cost

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from common import Started, numbers, parser, run, say_result, table, write_result
from scipy import integrate, stats

from overread.core.score import Interval
from overread.evaluation.intervals import undercoverage
from overread.evaluation.intervals.areas import rank_interval
from overread.evaluation.intervals.bootstrap import bootstrap_interval, of_sums
from overread.evaluation.intervals.delong import area, area_interval
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.intervals.wilson import proportion_interval
from overread.evaluation.rules import Rules
from overread.metrics import decided
from overread.metrics.metric import mean_from_sums, mean_terms
from overread.metrics.ranking import Ranking
from overread.record.files import write_json

CORRELATION = 0.4
CASES = 4  # of a patient, where patients have several
RULES = Rules()
AREA = 0.85
SHIFT = np.sqrt(2) * stats.norm.ppf(AREA)  # between two normal curves of variance 1
DISEASED = 1 / 3
SENSITIVITY, SPECIFICITY = 0.8, 0.85  # of the calls behind F1
Draw = Callable[[np.random.Generator, int, int], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Scenario:
    """truth: the value to be held; draw: (generator, patients, cases of each) -> two arrays over cases; interval: of these.

    share  of the trials that are run: formulas are quick, resampling a ranking takes long
    """

    name: str
    shown: str
    truth: float
    draw: Draw
    interval: Callable[[np.ndarray, np.ndarray, Patients], Interval]
    share: float = 1.0


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--trials", type=int, default=1000, help="simulated test sets for each cell of the table")
    options.add_argument("--patients", type=numbers, default=[10, 20, 50, 100], help="numbers of patients, e.g. 20,50,100")
    asked, started = options.parse_args(), Started()
    cells = []
    for scenario in SCENARIOS:
        for patients in asked.patients:
            for cases in (1, CASES):
                cells.append(one_cell(scenario, patients, cases, max(20, round(asked.trials * scenario.share))))
                print(line_of(cells[-1]), flush=True)
    undercovered = [cell for cell in cells if cell["coverage"] < undercoverage.LEAST]
    settings = {"trials": asked.trials, "patients": asked.patients, "cases": CASES, "correlation": CORRELATION, "level": 0.95}
    aims = [c for c in cells if c["score"] in ("auc", "sensitivity", "dice") and c["patients"] >= 20]
    figures = {
        "cells": cells,
        "under_93_percent": [line_of(cell) for cell in undercovered],
        "aims_within_93_to_97": sum(0.93 <= c["coverage"] <= 0.97 for c in aims),
        "aims": len(aims),
        "naive_under_93_where_clustered": sum(c["naive"] < 0.93 for c in cells if c["cases"] > 1),
        "clustered": sum(c["cases"] > 1 for c in cells),
    }
    spread = {"standard error of a coverage of 95 %": round(float(np.sqrt(0.95 * 0.05 / asked.trials)), 4)}
    path = write_result("interval_coverage", started, settings=settings, figures=figures, spread=spread)
    write_json(undercoverage.TABLE, {"format": 1, "level": 0.95, "trials": asked.trials, "cells": cells})
    say_result(path, lines_of(cells))


def one_cell(scenario: Scenario, patients: int, cases: int, trials: int) -> dict[str, Any]:
    who = Patients.of(np.repeat(np.arange(patients), cases))
    alone = Patients.of(np.arange(patients * cases))
    seed = [SCENARIOS.index(scenario), patients, cases]
    began = time.monotonic()
    held, without, naive, width = [], 0, [], []
    for trial in range(trials):
        one, other = scenario.draw(np.random.default_rng([*seed, trial]), patients, cases)
        found = scenario.interval(one, other, who)
        if found.low is None or found.high is None:
            without += 1
            continue
        held.append(found.low <= scenario.truth <= found.high)
        width.append(found.high - found.low)
        if cases > 1 and trial < trials // 2:
            found = scenario.interval(one, other, alone)
            naive += [] if found.low is None or found.high is None else [found.low <= scenario.truth <= found.high]
    return {
        "score": scenario.name,
        "shown": scenario.shown,
        "patients": patients,
        "cases": cases,
        "coverage": round(float(np.mean(held)), 4),
        "naive": round(float(np.mean(naive)), 4) if naive else None,
        "median_width": round(float(np.median(width)), 4),
        "without_interval": round(without / trials, 4),
        "trials": trials,
        "seconds": round(time.monotonic() - began, 1),
    }


def line_of(cell: dict[str, Any]) -> str:
    naive = "" if cell["naive"] is None else f", naive {cell['naive']:.1%}"
    return f"{cell['shown']}, {cell['patients']} patients with {cell['cases']} cases: {cell['coverage']:.1%}{naive}"


def lines_of(cells: list[dict[str, Any]]) -> list[str]:
    header = ["score", "cases of a patient", *(f"{p} patients" for p in sorted({c["patients"] for c in cells}))]
    rows = []
    for shown in dict.fromkeys(c["shown"] for c in cells):
        for cases in (1, CASES):
            own = sorted((c for c in cells if (c["shown"], c["cases"]) == (shown, cases)), key=lambda c: int(c["patients"]))
            rows.append([shown, cases, *(f"{c['coverage']:.1%}" for c in own)])
            if cases > 1:
                rows.append([f"{shown}, naive", cases, *("" if c["naive"] is None else f"{c['naive']:.1%}" for c in own)])
    return table(header, rows)


def alike(random: np.random.Generator, patients: int, cases: int) -> np.ndarray:
    """(patients * cases,) standard normal numbers with the correlation within a patient."""
    own = random.normal(size=(patients, 1)) * np.sqrt(CORRELATION)
    return (own + random.normal(size=(patients, cases)) * np.sqrt(1 - CORRELATION)).ravel()


def hits(random: np.random.Generator, share: float, patients: int, cases: int) -> np.ndarray:
    """(patients * cases,) 0 or 1 with this share; a beta-binomial has its correlation between the hits themselves."""
    odds = (1 - CORRELATION) / CORRELATION
    own = random.beta(share * odds, (1 - share) * odds, size=(patients, 1))
    return (random.random((patients, cases)) < own).astype(float).ravel()


def diseased(patients: int, cases: int) -> np.ndarray:
    return np.repeat(np.arange(patients) % round(1 / DISEASED) == 0, cases)


def draw_scores(random: np.random.Generator, patients: int, cases: int) -> tuple[np.ndarray, np.ndarray]:
    truth = diseased(patients, cases)
    return truth, alike(random, patients, cases) + truth * SHIFT


def draw_calls(random: np.random.Generator, patients: int, cases: int) -> tuple[np.ndarray, np.ndarray]:
    truth = diseased(patients, cases)
    found, alarm = hits(random, SENSITIVITY, patients, cases), hits(random, 1 - SPECIFICITY, patients, cases)
    return truth, np.where(truth, found, alarm)


def draw_hits(share: float) -> Draw:
    return lambda random, patients, cases: (hits(random, share, patients, cases), np.ones(patients * cases))


def draw_values(law: Any) -> Draw:
    """Numbers of a law, alike within a patient on the scale of normal numbers."""
    return lambda random, patients, cases: (law.ppf(stats.norm.cdf(alike(random, patients, cases))), np.ones(patients * cases))


def of_area(truth: np.ndarray, score: np.ndarray, patients: Patients) -> Interval:
    return area_interval(area(truth, score, patients), patients, RULES.level)


def of_precision(truth: np.ndarray, score: np.ndarray, patients: Patients) -> Interval:
    fold = np.zeros(len(truth), int)
    return rank_interval(Ranking.average_precision, [(truth, score)], patients, [fold], RULES, "one class")


def of_hits(hit: np.ndarray, of: np.ndarray, patients: Patients) -> Interval:
    return proportion_interval(hit, of, patients, RULES.level, "no case")


def of_mean(values: np.ndarray, _: np.ndarray, patients: Patients) -> Interval:
    return bootstrap_interval(of_sums(patients, mean_terms(values), mean_from_sums), patients, RULES, "no case")


def of_f1(truth: np.ndarray, call: np.ndarray, patients: Patients) -> Interval:
    terms = decided.confusion_terms(truth, call)
    return bootstrap_interval(of_sums(patients, terms, decided.f1_from_sums), patients, RULES, "no case")


def true_precision(share: float) -> float:
    """Average precision of the two normal curves at a share of diseased cases."""

    def at(score: float) -> float:
        found, alarm = share * stats.norm.sf(score - SHIFT), (1 - share) * stats.norm.sf(score)
        return float(stats.norm.pdf(score - SHIFT) * found / (found + alarm))

    return float(integrate.quad(at, -8, 8 + SHIFT)[0])


TRUE_F1 = 2 * DISEASED * SENSITIVITY / (DISEASED * SENSITIVITY + (1 - DISEASED) * (1 - SPECIFICITY) + DISEASED)
DICE, DISTANCE = stats.beta(8, 1.2), stats.lognorm(0.8, scale=3)
SCENARIOS = [
    Scenario("auc", f"AUC {AREA}", AREA, draw_scores, of_area, 4.0),
    Scenario("sensitivity", "Sensitivity 0.8", 0.8, draw_hits(0.8), of_hits, 4.0),
    Scenario("sensitivity", "Sensitivity 0.95", 0.95, draw_hits(0.95), of_hits, 4.0),
    Scenario("dice", "Mean Dice 0.87", float(DICE.mean()), draw_values(DICE), of_mean),
    Scenario("distance", "Mean HD95 4.1 mm, skewed", float(DISTANCE.mean()), draw_values(DISTANCE), of_mean),
    Scenario("f1", "F1 0.76", TRUE_F1, draw_calls, of_f1),
    Scenario("average_precision", "Average precision", true_precision(DISEASED), draw_scores, of_precision, 0.3),
]


if __name__ == "__main__":
    run(main)
