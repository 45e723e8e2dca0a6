"""A run as the base of an ablation: its settings, and whether they still make the same training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from overread.cohort.index import Cohort
from overread.cohort.progress import Progress
from overread.core.errors import OverreadError
from overread.networks.weights import weights_digest
from overread.record.events import read_events
from overread.training.plan import NOT_THE_CURVE
from overread.workflow.learning.plan_file import read_plan
from overread.workflow.project import Project
from overread.workflow.searching.planned import Decided, decided_of
from overread.workflow.starts.decided import begun

SEED = "training.seed"


def settings_of_run(project: Project, run_name: str, fold: int | None) -> dict[str, str]:
    """What a run was trained with beside project.toml; a file of weights is not in its record, and has to be said again."""
    return {key: value for key, value in _started(project, run_name, fold)["overrides"].items() if key != SEED}


def refuse_another_base(
    project: Project, run_name: str, cohort: Cohort, fold: int | None, own: Mapping[str, str], progress: Progress | None
) -> None:
    """Refuse settings that would not train the run again: the base of an ablation of a run is that run, but for its seed.

    own  settings of the base, beside those of project.toml
    """
    written = read_plan(project.run(run_name, fold).plan)
    today = decided_of(project, cohort, {**own, SEED: str(written.seed)}, progress, fold)
    if today.plan.identity != written.identity:
        before, after = written.as_dict(), today.plan.as_dict()
        changed = [key for key in after if key not in NOT_THE_CURVE and before.get(key) != after[key]]
    else:
        changed = [] if _begins_alike(today, _started(project, run_name, fold)) else ["values of the weights"]
    if changed:
        raise OverreadError(
            f"The base would be another training than run '{run_name}'; what differs: {', '.join(changed)}.",
            "undo the change in project.toml, or say by --set what the record does not hold, e.g. --set training.weights=FILE; "
            "or leave --run out, and project.toml is the base",
        )


def _begins_alike(today: Decided, started: Mapping[str, Any]) -> bool:
    """Whether loaded weights are those that the run began with: a file of one name may hold others today."""
    if today.start.is_random or today.start.told == "hub" or "initial" not in started:
        return True
    torch.manual_seed(today.plan.seed)
    return bool(weights_digest(begun(today.plan, today.start).network) == started["initial"])


def _started(project: Project, run_name: str, fold: int | None) -> dict[str, Any]:
    run = project.run(run_name, fold)
    started = [event for event in read_events(run.events_path) if event["event"] == "started"]
    if not started:
        known = ", ".join(project.runs()) or "none yet"
        raise OverreadError(f"Run '{run_name}' was not trained here (runs: {known}).", "name another with --run, or leave it out")
    return dict(started[-1])
