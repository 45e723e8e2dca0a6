"""Reading by overlapping windows beside one pass over the whole image, with models that were trained.

    python benchmarks/hippocampus.py
    python benchmarks/windows.py

Takes the five models of that project (hippocampus MR, one model per fold) and reads each image three times: in one
pass, by the windows of the plan, and by windows of half the edge, which no model was trained with. Images are those
of the fold that the model has not seen, and its tuning cases. Two answers are compared with each other, for which no
truth is needed, so that no seal is opened; with the truth only in the tuning cases, whose truth is open. The project
is only read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from common import WORK, Started, numbers, parser, run, say_result, table, write_result

from overread.batches.prepare import Prepared, prepare_image
from overread.batches.windows import Merger, Shape
from overread.cohort.index import Cohort
from overread.cohort.load import load_image, load_truth
from overread.core.case import Case
from overread.core.kinds import LabelMap
from overread.evaluation.intervals.bootstrap import bootstrap_interval, of_sums
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.rules import Rules
from overread.metrics.metric import mean_from_sums, mean_terms
from overread.metrics.overlap import count, dice
from overread.reading.model import load_model
from overread.reading.predictor import Predictor
from overread.workflow.project import Project

WHOLE, PLANNED, HALF = "one pass", "windows of the plan", "windows of half the edge"


@dataclass(frozen=True)
class Row:
    """One case read by windows, beside one pass.

    windows      how many were read
    probability  largest and mean difference of a probability; the mean over the voxels that either answer calls a structure
    between      Dice of the two answers, by structure; NaN where both are empty
    gain         Dice against the truth, by windows less in one pass, by structure; NaN where sealed or not defined
    """

    patient: str
    windows: int
    probability: tuple[float, float]
    between: dict[str, float]
    gain: dict[str, float]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--project", type=Path, default=WORK / "hippocampus-15min", help="as benchmarks/hippocampus.py makes it")
    options.add_argument("--run", default="first", help="name of the run in it")
    options.add_argument("--folds", type=numbers, default=[0, 1, 2, 3, 4], help="which models, e.g. 0,1")
    options.add_argument("--cases", type=int, help="so many of each part of a fold; all where not given")
    asked, started = options.parse_args(), Started()
    project = Project.open(asked.project)
    rows: dict[str, list[Row]] = {PLANNED: [], HALF: []}
    seconds = dict.fromkeys((WHOLE, *rows), 0.0)
    shapes: dict[str, Shape] = {}
    for fold in asked.folds:
        predictor = load_model(project.run(asked.run, fold).model, precision="float32").predictor
        shapes |= {PLANNED: predictor.preparation.patch, HALF: half(predictor)}
        cohort = project.cohort(fold)
        cases = [case for part in ("internal", "tuning") for case in islice(cohort.of(part), asked.cases)]
        for case, prepared in opened(predictor, cohort, cases):
            raw, seconds[WHOLE] = timed(sized(predictor, whole(predictor, prepared)), prepared, seconds[WHOLE])
            for way in rows:
                reader = sized(predictor, shapes[way])
                other, seconds[way] = timed(reader, prepared, seconds[way])
                rows[way].append(compared(reader, cohort, case, prepared, raw, other))
        print(f"fold {fold}: {len(cases)} cases read", flush=True)
    read = len(rows[PLANNED])
    figures = {way: figures_of(rows[way], shapes[way], project.question.classes) for way in rows}
    figures["seconds_per_case"] = {way: round(total / read, 3) for way, total in seconds.items()}
    settings = {"folds": asked.folds, "cases": asked.cases, "precision": "float32", "overlap": predictor.overlap}
    spread = {way: {"dice_between_by_case": extremes(rows[way], project.question.classes)} for way in rows}
    path = write_result("windows", started, settings=settings, figures=figures, spread=spread)
    say_result(path, lines_of(figures, project.question.classes))


def opened(predictor: Predictor, cohort: Cohort, cases: list[Case]) -> Iterator[tuple[Case, Prepared]]:
    for case in cases:
        yield case, prepare_image(load_image(cohort, case), predictor.preparation)


def sized(predictor: Predictor, patch: Shape) -> Predictor:
    return replace(predictor, preparation=replace(predictor.preparation, patch=patch))


def whole(predictor: Predictor, prepared: Prepared) -> Shape:
    """The image itself, up to the next size that the strides of the network divide."""
    return tuple(-(-n // by) * by for n, by in zip(prepared.array.shape[1:], predictor.network.divisor, strict=True))  # type: ignore[arg-type]


def half(predictor: Predictor) -> Shape:
    """Half the edge of the plan's windows, up to the next size that the strides of the network divide."""
    edges = zip(predictor.preparation.patch, predictor.network.divisor, strict=True)  # type: ignore[arg-type]
    return tuple(-(-n // (2 * by)) * by for n, by in edges)


def timed(reader: Predictor, prepared: Prepared, before: float) -> tuple[np.ndarray, float]:
    began = time.perf_counter()
    return reader.raw(prepared.array), before + time.perf_counter() - began


def compared(
    reader: Predictor, cohort: Cohort, case: Case, prepared: Prepared, in_one: np.ndarray, by_windows: np.ndarray
) -> Row:
    first, second = reader.answer_from(in_one, prepared), reader.answer_from(by_windows, prepared)
    assert isinstance(first, LabelMap)
    assert isinstance(second, LabelMap)
    names = reader.task.question.classes
    change = np.abs(by_windows - in_one)
    called = (in_one.argmax(0) > 0) | (by_windows.argmax(0) > 0)
    merger = Merger(1, prepared.array.shape[1:], reader.preparation.patch)
    truth = load_truth(cohort, case) if case.truth is not None else None
    return Row(
        case.patient_id,
        len(list(merger.starts(reader.overlap))),
        (float(change.max()), float(change[:, called].mean())),
        {name: overlap(first, second, name) for name in names},
        {
            name: overlap(truth, second, name) - overlap(truth, first, name) if isinstance(truth, LabelMap) else np.nan
            for name in names
        },
    )


def overlap(truth: LabelMap, answer: LabelMap, name: str) -> float:
    """Dice of one structure; NaN where both masks are empty."""
    value = dice(count(truth.mask(name), answer.mask(name))).value
    return np.nan if value is None else value


def figures_of(rows: list[Row], patch: Shape, names: tuple[str, ...]) -> dict[str, Any]:
    """Of the cases that took several windows; with one window there is nothing to merge."""
    some = [row for row in rows if row.windows > 1]
    return {
        "window": list(patch),
        "cases": len(rows),
        "cases_of_several_windows": len(some),
        "largest_difference_of_a_probability": mean(some, [row.probability[0] for row in some]),
        "mean_difference_of_probability_in_structures": mean(some, [row.probability[1] for row in some]),
        "dice_between": {name: mean(some, [row.between[name] for row in some]) for name in names},
        "dice_against_truth_gained": {name: mean(some, [row.gain[name] for row in some]) for name in names},
    }


def mean(rows: list[Row], values: list[float]) -> dict[str, Any]:
    """The mean over cases with its interval by patient; cases without a value are left out."""
    known = np.isfinite(values)
    patients = Patients.of([row.patient for row in rows]).select(known)
    terms = mean_terms(np.asarray(values)[known])
    return bootstrap_interval(of_sums(patients, terms, mean_from_sums), patients, Rules(), "no case has a value").as_dict()


def extremes(rows: list[Row], names: tuple[str, ...]) -> dict[str, Any]:
    """Quantiles over the cases that took several windows."""
    found = {}
    for name in names:
        values = np.array([row.between[name] for row in rows if row.windows > 1])
        values = values[np.isfinite(values)]
        shares = (0.0, 0.05, 0.5, 0.95, 1.0) if len(values) else ()
        found[name] = {f"{share:.0%}": round(float(np.quantile(values, share)), 4) for share in shares}
    return found


def lines_of(figures: dict[str, Any], names: tuple[str, ...]) -> list[str]:
    ways = [figures[PLANNED], figures[HALF]]
    shown: dict[str, list[str]] = {
        "window": [" x ".join(map(str, way["window"])) for way in ways],
        "cases of several windows": [f"{way['cases_of_several_windows']} of {way['cases']}" for way in ways],
    }
    for key in ("largest_difference_of_a_probability", "mean_difference_of_probability_in_structures"):
        shown[key.replace("_", " ")] = [interval(way[key]) for way in ways]
    for key, words in (("dice_between", "Dice of the two answers"), ("dice_against_truth_gained", "Dice against truth, gained")):
        shown |= {f"{words}, {name}": [interval(way[key][name]) for way in ways] for name in names}
    speed = ", ".join(f"{way} {value:.2f} s" for way, value in figures["seconds_per_case"].items())
    rows = [[name, *cells] for name, cells in shown.items()]
    return [*table(["beside one pass", PLANNED, HALF], rows), "", f"Seconds per case: {speed}"]


def interval(found: dict[str, Any]) -> str:
    counts = f"{found['n_cases']} cases, {found['n_patients']} patients"
    if found["estimate"] is None:
        return f"none: {found['reason']}"
    if found["low"] is None:
        return f"{found['estimate']:.4f} ({found['reason']}; {counts})"
    return f"{found['estimate']:.4f} ({found['low']:.4f} to {found['high']:.4f}; {counts})"


if __name__ == "__main__":
    run(main)
