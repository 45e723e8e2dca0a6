"""`overread compare`: models on the same cases, paired; from evaluation files, run folders, or runs of a project.

Nothing is opened here: only evaluations that were made before are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from overread.core.errors import OverreadError
from overread.evaluation.comparing.claims import claims, margin_of
from overread.evaluation.comparing.compared import Contender, Lined, line_up
from overread.evaluation.comparing.endpoints import AT_THRESHOLDS, Endpoint
from overread.evaluation.comparing.paired import difference
from overread.evaluation.comparing.spread import fold_values, run_values
from overread.metrics.table import default_endpoint
from overread.record.files import write_json
from overread.workflow.comparisons.contenders import find_contenders
from overread.workflow.external import PREFIX
from overread.workflow.learning.part_of import NOTE as PART

FORMAT = 1
TUNING = (
    "Tuning cases: settings and decisions may have been chosen by them, so this says which is better there, not on new cases."
)
MARGIN = "The margin counts only if it was set before anybody saw the answers; Overread records it and cannot know when that was."
MANY = "Each interval stands for itself; Holm's correction is in the p values, and the sentences go by those."
SAMPLING = "The intervals are about patients, for these runs; the spread over runs stands beside them and is not in them."


def compare(
    places: Sequence[str | Path],
    *,
    runs: Sequence[str] = (),
    on: str = "tuning",
    endpoints: Sequence[str] = (),
    margin: float | None = None,
    aim: str = "non-inferior",
    ranks: bool = False,
    level: float = 0.95,
    out: Path | None = None,
) -> dict[str, Any]:
    """Compare every contender with the first.

    places     evaluation files or run folders, `NAME=` before them where wanted, `+` between several runs of one recipe; or
               one project
    runs       of the project, likewise; all that were evaluated where none is named
    endpoints  "metric" or "metric/subject"; by default what was declared for the internal test, else the task's first score
    margin     size of the difference that would matter, with the aim "non-inferior", "superior" or "equivalent"
    ranks      Wilcoxon's signed rank test instead of the permutation of means
    out        file, or folder, to write `comparison.json` to
    """
    contenders, notes = find_contenders(places, runs, on)
    if len(contenders) < 2:
        raise OverreadError(
            f"There is one to compare only, {contenders[0].name}.", "name two or more: overread compare A.json B.json"
        )
    lined = line_up(contenders)
    asked = [
        Endpoint.of(lined.question, name) for name in endpoints or _declared(contenders) or [default_endpoint(lined.question)]
    ]
    _check_meanings(contenders, asked)
    found = [difference(lined, e, k, level=level, ranks=ranks) for e in asked for k in range(1, len(contenders))]
    said = claims(found, level, margin_of(margin, aim))
    spread = _spread(lined, asked)
    first = contenders[0].runs[0]
    result = {
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "task": lined.question.task,
        "partition": first["partition"],
        "question": lined.question.as_dict(),
        "is_phantom": any(run["is_phantom"] for c in contenders for run in c.runs),
        "n_cases": len(lined.patient_ids),
        "n_patients": lined.patients.count,
        "reference": lined.names[0],
        "models": [
            {"name": c.name, "models": [run.get("model") for run in c.runs], "starts": [run.get("start", "") for run in c.runs]}
            for c in contenders
        ],
        "comparisons": [claim.as_dict() for claim in said],
        "spread": spread,
        "notes": [*notes, *_notes(contenders, asked, margin, len(said), bool(spread))],
    }
    if out is not None:
        write_json(Path(out) / "comparison.json" if Path(out).suffix != ".json" else Path(out), result)
    return result


def _declared(contenders: Sequence[Contender]) -> list[str]:
    """The endpoints that were declared before the internal test was opened, where all say the same."""
    said = [run.get("opening") for c in contenders for run in c.runs]
    if not all(said):
        return []
    endpoints = [[s["primary_endpoint"], *s["declared"]] for s in said if s]
    return endpoints[0] if all(e == endpoints[0] for e in endpoints) else []


def _check_meanings(contenders: Sequence[Contender], asked: Sequence[Endpoint]) -> None:
    """One name, one formula: a surface Dice at 1 mm is not one at 2 mm. Objects are found by one criterion."""
    _check_alike("Objects", {c.name: run.get("rules", {}).get("matching", "") for c in contenders for run in c.runs})
    for endpoint in asked:
        meant: dict[str, str] = {}
        for contender in contenders:
            for run in contender.runs:
                for score in run.get("scores", ()):
                    if (score["metric"], score["subject"]) == (endpoint.metric.key, endpoint.subject):
                        meant.setdefault(f"{score['definition']}: {score['formula']}", contender.name)
        if len(meant) > 1:
            (one, first), (other, second) = list(meant.items())[:2]
            raise OverreadError(
                f"{endpoint.metric.name} was not measured alike: {first} has {one}; {second} has {other}.",
                "evaluate both with the same settings",
            )


def _check_alike(what: str, meant: Mapping[str, str]) -> None:
    others = [name for name, words in meant.items() if words != next(iter(meant.values()))]
    if others:
        first = next(iter(meant))
        raise OverreadError(
            f"{what} were not matched alike: by {first}, {meant[first]}; by {others[0]}, {meant[others[0]]}.",
            "evaluate both with the same settings",
        )


def _spread(lined: Lined, asked: Sequence[Endpoint]) -> list[dict[str, Any]]:
    """How far runs of one recipe, or folds, lie apart."""
    rows = []
    for endpoint in asked:
        for k, name in enumerate(lined.names):
            runs = run_values(lined, endpoint, k) if len(lined.rows[k]) > 1 else []
            for over, values in (("runs", runs), ("folds", fold_values(lined, endpoint, k))):
                known = [v for v in values if v is not None]
                if len(known) > 1:
                    sd, reach = float(np.std(known, ddof=1)), float(np.ptp(known))
                    rows.append(
                        {"endpoint": endpoint.key, "model": name, "over": over, "values": values, "sd": sd, "range": reach}
                    )
    return rows


def _notes(
    contenders: Sequence[Contender], asked: Sequence[Endpoint], margin: float | None, tests: int, has_spread: bool
) -> list[str]:
    runs = [run for c in contenders for run in c.runs]
    notes = [TUNING] if runs[0]["partition"] == "tuning" else []
    notes += [note for note in runs[0]["notes"] if note.startswith("No patients were named")]
    notes += [f"{c.name}: {note}" for c in contenders for run in c.runs for note in run.get("notes", ()) if note.startswith(PART)]
    models = [run["model"] for run in runs if run.get("model")]
    if len(set(models)) < len(models):
        notes.append("Two of these evaluations are of one and the same model.")
    if any(e.metric.key in AT_THRESHOLDS for e in asked) and runs[0].get("operating_points"):
        notes.append(
            "Calls are each one's own, at the threshold that was frozen in it; a difference in calls may lie in the threshold."
        )
    partition = runs[0]["partition"]
    sealed = {"internal": "the internal test"}.get(partition, f"the external cohort '{partition.removeprefix(PREFIX)}'")
    for endpoint in asked if partition == "internal" or partition.startswith(PREFIX) else ():
        if not all(_was_declared(run, endpoint) for run in runs):
            notes.append(f"{endpoint.key} was not declared before {sealed} was opened: this comparison is exploratory.")
    openings = [run["opening"]["number"] for run in runs if run.get("opening")]
    if openings:
        notes.append(f"These evaluations opened {sealed}; the last of them was opening number {max(openings)}.")
    return [
        *notes,
        *([MARGIN] if margin is not None else []),
        *([MANY] if tests > 1 else []),
        *([SAMPLING] if has_spread else []),
    ]


def _was_declared(run: Mapping[str, Any], endpoint: Endpoint) -> bool:
    said = {(score["metric"], score["subject"]): score["role"] for score in run.get("scores", ())}
    return said.get((endpoint.metric.key, endpoint.subject)) in ("primary", "declared")
