"""Weights before and after training, of a run: the first ones are made again as its training made them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from overread.core.errors import OverreadError
from overread.explanation.inside.weights import WeightsRow, compare_weights, initial_network
from overread.record.events import read_events
from overread.record.run import RunFolder
from overread.workflow.learning.plan_file import read_plan
from overread.workflow.project import Project
from overread.workflow.starts.start import begin, start_of

FROM = {
    "random": "random ones, drawn from the seed of the plan",
    "hub": "published ones, and a random last layer",
}


def weights_part(project: Project, run: RunFolder, trained: nn.Module) -> dict[str, Any]:
    """What each layer was and is; refused where the beginning cannot be made again exactly."""
    if not run.plan.exists():
        raise OverreadError(
            f"Run '{run.name}' was not trained by a plan of its own, so nothing is known of its first weights.",
            "look at a run that was trained",
        )
    plan = read_plan(run.plan)
    started = next((event for event in read_events(run.events_path) if event["event"] == "started"), {})
    start = start_of(project, _source(project, plan.weights), project.cohort_of(run, run.fold, check=False), run.fold)
    first = initial_network(lambda: begin(plan.network, start)[0], plan.seed, started.get("initial"))
    rows = compare_weights(first, trained)
    told = FROM.get(plan.weights, f"those of the {plan.weights}")
    how = (
        f"Before: {told}; made again here, and the same to the last bit as the training recorded. After: the frozen model, the "
        "moving average of the training. Biases and scales of normalisations are left out."
    )
    return {"rows": [_plain(row) for row in rows], "how": how, "weights": plan.weights, "seed": plan.seed}


def _source(project: Project, weights: str) -> str:
    """The weights as they were asked for; a file is named in full by the settings alone."""
    if not weights.startswith("file "):
        return weights
    given = project.settings.training.weights
    if Path(given).name != weights.removeprefix("file "):
        raise OverreadError(
            f"Training began from the {weights}, and project.toml names no such file any more.",
            "set [training] weights to its path",
        )
    return given


def _plain(row: WeightsRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "count": row.count,
        "sd_before": row.sd_before,
        "sd_after": row.sd_after,
        "change": row.change if np.isfinite(row.change) else None,
        "edges": row.edges.tolist(),
        "histogram_before": row.histogram_before.tolist(),
        "histogram_after": row.histogram_after.tolist(),
    }
