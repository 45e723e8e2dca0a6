"""The members beside their ensemble: each one's score on the tuning cases, and what it adds to answer together, paired."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from overread.cohort.progress import Progress
from overread.core.errors import OverreadError
from overread.evaluation.comparing.compared import Contender, line_up
from overread.evaluation.comparing.paired import difference
from overread.record.files import read_json, write_json
from overread.record.run import RunFolder
from overread.workflow.ensembles.record import FILE
from overread.workflow.learning.objective import objective
from overread.workflow.learning.series import evaluated
from overread.workflow.project import Project

JOINT = "ensemble"
FLATTERED = (
    "Tuning cases: the decisions of all of them were fitted there. What is reported comes from the internal test, opened once."
)


def refuse_over_folds_scores(over: str | None) -> None:
    """One model over all folds has no tuning cases that no member learned from."""
    if over is not None:
        raise OverreadError(
            "--score needs tuning cases that no member learned from, and an ensemble --over folds has none.",
            "leave --score out, and evaluate the folds",
        )


def score_members(
    project: Project, name: str, fold: int | None, runs: Sequence[str], progress: Progress | None = None
) -> dict[str, Any]:
    """Score the ensemble and every member on the same tuning cases, and write it into `ensemble.json` as "beside".

    name, runs  of the ensemble and of its members
    """
    endpoint = objective(project)
    places = {JOINT: name, **{run: run for run in runs}}
    found = {title: evaluated(project, run, fold, project.run(run, fold), progress) for title, run in places.items()}
    level = project.settings.evaluation.interval_level
    rows = []
    for run in runs:
        lined = line_up([Contender(run, (found[run],)), Contender(JOINT, (found[JOINT],))])
        one = difference(lined, endpoint, 1, level=level)
        rows.append({"run": run, "value": one.values[0], "gain": one.interval.as_dict(), "p": one.p, "remark": one.remark})
        joint = one.values[1]
    beside = {"endpoint": endpoint.as_dict(), "ensemble": joint, "members": rows, "notes": [FLATTERED]}
    _keep(project.run(name, fold), beside)
    return beside


def _keep(run: RunFolder, beside: dict[str, Any]) -> None:
    write_json(run.path / FILE, {**read_json(run.path / FILE), "beside": beside})
