"""What the planner would choose with some settings, without a run being planned; and a range test of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from overread.cohort.fingerprint import fingerprint
from overread.cohort.index import Cohort
from overread.cohort.progress import Progress, in_shares
from overread.core.errors import OverreadError
from overread.networks.device import best_device
from overread.tasks.generative.turns import TakesTurns
from overread.training.plan import Plan
from overread.training.range_test import range_test
from overread.training.recipe import recipe_of
from overread.workflow.first_model import first_model_of, with_regions
from overread.workflow.plan import batches_of, prepared, task_of, wishes_of, with_overrides
from overread.workflow.project import Project
from overread.workflow.starts.decided import begun, decided
from overread.workflow.starts.start import Start, start_of


@dataclass(frozen=True)
class Decided:
    """A plan, what its training begins with, and the cohort with the boxes of a first model, where one reads before it."""

    plan: Plan
    start: Start
    cohort: Cohort


def plan_of(
    project: Project, cohort: Cohort, overrides: Mapping[str, str], progress: Progress | None, fold: int | None = None
) -> Plan:
    """The plan of a training with these settings."""
    return decided_of(project, cohort, overrides, progress, fold).plan


def decided_of(
    project: Project, cohort: Cohort, overrides: Mapping[str, str], progress: Progress | None, fold: int | None = None
) -> Decided:
    """The plan of a training with these settings, as `overread plan` decides it."""
    settings = with_overrides(project.settings, overrides)
    first = first_model_of(project, settings)
    cohort = with_regions(project, cohort, first, progress)
    facts = fingerprint(cohort, progress, settings.training.clinical, None if first is None else first.region)
    start = start_of(project, settings.training.weights, cohort, fold)
    return Decided(decided(project.question, facts, wishes_of(settings), start, best_device()), start, cohort)


def range_test_of(
    project: Project, cohort: Cohort, overrides: Mapping[str, str], progress: Progress | None, fold: int | None = None
) -> dict[str, Any]:
    """A learning-rate range test of the network that these settings lead to, on training cases, as plain values."""
    began = time.monotonic()
    found = decided_of(project, cohort, overrides, progress, fold)
    plan, cohort = found.plan, found.cohort
    task = task_of(plan)
    if isinstance(task, TakesTurns) and len(task.phases(0, 0.5)) > 1:
        raise OverreadError(
            f"A range test follows one falling loss, and {plan.network['name']} is taught in turns.",
            "leave --range-test out",
        )
    cache = prepared(project, cohort, plan, task, progress)
    torch.manual_seed(plan.seed)
    network = begun(plan, found.start).network
    recipe = replace(recipe_of(plan), schedule="constant", warmup_steps=0, precision="float32", channels_last=False)
    with in_shares(progress, "Learning-rate range test") as tell:
        tested = range_test(task, network, batches_of(plan, cache, cohort, best_device()), recipe, tell=tell)
    low, high = tested.worth_searching
    return {
        "minutes": round((time.monotonic() - began) / 60, 3),
        "network": plan.network["name"],
        "optimizer": plan.optimizer,
        "rates": [float(f"{rate:.4g}") for rate in tested.rates],
        "losses": [round(loss, 5) for loss in tested.losses],
        "steepest": float(f"{tested.steepest:.3g}"),
        "highest": float(f"{tested.highest:.3g}"),
        "planned": plan.learning_rate,
        "worth_searching": [low, high],
        "words": f"Learning-rate range test of {plan.network['name']} with {plan.optimizer}: the training loss fell fastest at "
        f"{tested.steepest:.2g} and was lowest at {tested.highest:.2g}; the plan would take {plan.learning_rate:g}. Rates from "
        f"{low:g} to {high:g} are worth a search.",
    }
