"""`overread chart`: all models that were tried on one question, accuracy against what they cost.

Read are evaluations made before, frozen models, and one tuning case that every model reads; the internal test stays as it is.
Source: the chart is that of Bianco et al., Benchmark analysis of representative deep neural network architectures, IEEE Access
2018, arXiv:1810.00736, with the interval of every score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import torch

from overread.cohort.load import load_image
from overread.cohort.progress import Progress
from overread.cohort.some_cases import some_of
from overread.core.errors import OverreadError
from overread.core.image import Image
from overread.networks.device import best_device
from overread.record.files import write_json, write_text
from overread.record.provenance import machine
from overread.reporting.diagrams.chart_page import chart_page
from overread.workflow.charting.cost import cost_of
from overread.workflow.charting.tried import Tried, tried
from overread.workflow.frozen import model_of
from overread.workflow.project import Project

FORMAT = 1
FILE, PAGE = "chart.json", "chart.html"
REPEATS = 5
COSTS = ("parameters", "macs", "seconds")
OVERLAP = (
    "Intervals that overlap do not show that two models are alike, nor that they differ: the cases are the same, so compare them "
    "case by case with `{compare}`."
)
TUNING = "Tuning cases: settings and decisions were chosen by them, so scores flatter, of those most that were tuned most."
BEST_OF_MANY = "The best of {count} models looks better than it is, because it was picked by this very score."
OTHER_CASES = "Not all were scored on as many cases ({counts}): points of different cases cannot be compared."
INTERNAL = "Evaluations of the internal test that were made before; none was opened for this chart."


def chart(project: Project, on: str = "tuning", repeats: int = REPEATS, progress: Progress | None = None) -> dict[str, Any]:
    """Draw every evaluated run of a project; writes `chart.json` and `chart.html` when all is known.

    on       "tuning" or "internal", of which only what was evaluated before is read
    repeats  readings of the one case, of which the median counts
    """
    if repeats < 1:
        raise OverreadError(f"--repeats {repeats}: a time needs one reading or more.", "give 1 or more")
    runs, endpoint = tried(project, on)
    rows, read = _rows(project, runs, repeats, progress)
    first = runs[0].score
    result = {
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "project": project.name,
        "partition": on,
        "is_phantom": project.cohort(project.folds[0] if project.folds else None, check=False).is_phantom,
        "endpoint": endpoint,
        "endpoint_name": first["name"],
        "better": first["better"],
        "unit": first.get("unit", ""),
        "machine": machine(),
        "device": best_device(),
        "threads": torch.get_num_threads(),
        "repeats": repeats,
        "read": read,
        "runs": rows,
        "front": {cost: front(rows, cost, first["better"]) for cost in COSTS},
        "notes": _notes(project, on, rows),
    }
    write_json(project.path / FILE, result)
    write_text(project.path / PAGE, chart_page(result))
    return {**result, "page": str(project.path / PAGE)}


def front(rows: Sequence[Mapping[str, Any]], cost: str, better: str) -> list[str]:
    """Names of the runs that no other run beats: none is at least as good and as cheap, and in one of the two better.

    Of estimates alone; an interval may hold the others (Pareto's order).
    """
    sign = -1.0 if better == "lower" else 1.0
    known = [
        (row["run"], sign * row["estimate"], row[cost]) for row in rows if row[cost] is not None and row["estimate"] is not None
    ]
    return [
        name
        for name, value, price in known
        if not any(v >= value and p <= price and (v > value or p < price) for _, v, p in known)
    ]


def _rows(
    project: Project, runs: Sequence[Tried], repeats: int, progress: Progress | None
) -> tuple[list[dict[str, Any]], str | None]:
    """One row per run, and the pseudonym of the case that all read."""
    if progress is not None:
        progress.start(len(runs), "Every model reads one case")
    rows: list[dict[str, Any]] = []
    image, case = _image(project, runs)
    for one in runs:
        score, costs = one.score["interval"], dict.fromkeys(("networks", "members", *COSTS, "seconds_range"))
        if one.has_network and image is not None:
            costs = cost_of(model_of(project, one.run), image, repeats)
        kept = {key: score[key] for key in ("estimate", "low", "high", "level", "method", "n_cases", "n_patients", "reason")}
        rows.append({"run": one.name, "kind": one.kind, **costs, **kept})
        if progress is not None:
            progress.advance(1, one.name)
    if progress is not None:
        progress.finish()
    return rows, case


def _image(project: Project, runs: Sequence[Tried]) -> tuple[Image | None, str | None]:
    """One tuning case by rule, as every model of the project may see it."""
    if not any(one.has_network for one in runs):
        return None, None
    cohort = project.cohort(project.folds[0] if project.folds else None)
    cases = some_of(cohort.of("tuning"), project.question, 1)
    if not cases:
        raise OverreadError("There are no tuning cases in this project.", "look at cohort/splits.json")
    return load_image(cohort, cases[0]), cases[0].case_id


def _notes(project: Project, on: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    names = ",".join(row["run"] for row in rows[:2]) if len(rows) > 1 else "A,B"
    words = ("--runs", names, *(("--on", on) if on != "tuning" else ()))
    notes = [OVERLAP.format(compare=project.command("compare", *words)), TUNING if on == "tuning" else INTERNAL]
    if len(rows) > 2:
        notes.append(BEST_OF_MANY.format(count=len(rows)))
    counts = sorted({row["n_cases"] for row in rows})
    if len(counts) > 1:
        notes.append(OTHER_CASES.format(counts=", ".join(map(str, counts))))
    for row in rows:
        if row["estimate"] is None:
            notes.append(f"{row['run']} is not drawn: its score is not defined ({row['reason']}).")
    return notes
