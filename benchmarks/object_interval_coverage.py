"""How often a 95 % interval of a score of objects holds the true value: 10 to 100 patients, one case or four of each.

    python benchmarks/object_interval_coverage.py
    python benchmarks/object_interval_coverage.py --trials 50 --patients 20

Lesions, answers and false positives are drawn as a detector gives them (`simulated_objects.py`); patients differ in how easily
their lesions are seen and in how many false positives they have. The interval that an evaluation would print is asked whether
it holds the value of 30 000 cases of the same kind. What falls under 93 % is said beside such intervals: the table goes into
the package (`src/overread/evaluation/intervals/coverage_objects.json`).
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # small products: threads would only cost

import time
from typing import Any

import numpy as np
from common import Started, numbers, parser, run, say_result, table, write_result
from simulated_objects import NAME, SCORES, drawn_cases, true_values

from overread.evaluation.intervals import undercoverage
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.objects.evaluate import class_score
from overread.evaluation.rules import Rules
from overread.metrics.metric import Metric
from overread.record.files import write_json

CASES = 4  # of a patient, where patients have several
RULES = Rules()


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--trials", type=int, default=300, help="simulated test sets for each cell of the table")
    options.add_argument("--patients", type=numbers, default=[10, 20, 50, 100], help="numbers of patients, e.g. 20,50,100")
    asked, started = options.parse_args(), Started()
    true = {several: true_values(several) for several in (1, CASES)}
    cells = []
    for patients in asked.patients:
        for several in (1, CASES):
            for cell in one_column(patients, several, asked.trials, true[several]):
                cells.append(cell)
                print(line_of(cell), flush=True)
    settings = {"trials": asked.trials, "patients": asked.patients, "cases": CASES, "level": RULES.level}
    figures = {
        "true_values": {str(several): values for several, values in true.items()},
        "cells": cells,
        "under_93_percent": [line_of(cell) for cell in cells if cell["coverage"] < undercoverage.LEAST],
    }
    spread = {"standard error of a coverage of 95 %": round(float(np.sqrt(0.95 * 0.05 / asked.trials)), 4)}
    path = write_result("object_interval_coverage", started, settings=settings, figures=figures, spread=spread)
    write_json(undercoverage.OBJECT_TABLE, {"format": 1, "level": RULES.level, "trials": asked.trials, "cells": cells})
    say_result(path, lines_of(cells))


def one_column(patients: int, several: int, trials: int, true: dict[str, float]) -> list[dict[str, Any]]:
    """Every score on the same drawn test sets."""
    held: dict[str, list[bool]] = {metric.key: [] for metric in SCORES}
    width: dict[str, list[float]] = {metric.key: [] for metric in SCORES}
    seconds = dict.fromkeys(held, 0.0)
    for trial in range(trials):
        cases = drawn_cases(np.random.default_rng([7, patients, several, trial]), patients, several)
        who = Patients.of([case.patient_id for case in cases])
        for metric in SCORES:
            began = time.monotonic()
            found = class_score(metric, NAME, cases, who, RULES).interval
            seconds[metric.key] += time.monotonic() - began
            if found.low is not None and found.high is not None:
                held[metric.key].append(found.low <= true[metric.key] <= found.high)
                width[metric.key].append(found.high - found.low)
    return [_cell(metric, patients, several, trials, held, width, seconds) for metric in SCORES]


def _cell(
    metric: Metric,
    patients: int,
    several: int,
    trials: int,
    held: dict[str, list[bool]],
    width: dict[str, list[float]],
    seconds: dict[str, float],
) -> dict[str, Any]:
    own = held[metric.key]
    return {
        "score": metric.key,
        "shown": metric.name,
        "patients": patients,
        "cases": several,
        "coverage": round(float(np.mean(own)), 4) if own else None,
        "median_width": round(float(np.median(width[metric.key])), 4) if own else None,
        "without_interval": round(1 - len(own) / trials, 4),
        "trials": trials,
        "seconds": round(seconds[metric.key], 1),
    }


def line_of(cell: dict[str, Any]) -> str:
    held = "never an interval" if cell["coverage"] is None else f"{cell['coverage']:.1%}"
    return f"{cell['shown']}, {cell['patients']} patients with {cell['cases']} cases: {held}"


def lines_of(cells: list[dict[str, Any]]) -> list[str]:
    header = ["score", "cases of a patient", *(f"{p} patients" for p in sorted({c["patients"] for c in cells}))]
    rows = []
    for shown in dict.fromkeys(c["shown"] for c in cells):
        for several in (1, CASES):
            own = sorted((c for c in cells if (c["shown"], c["cases"]) == (shown, several)), key=lambda c: int(c["patients"]))
            rows.append([shown, several, *("" if c["coverage"] is None else f"{c['coverage']:.1%}" for c in own)])
    return table(header, rows)


if __name__ == "__main__":
    run(main)
