"""When a trial is ended before its time: where its tuning loss is worse than that of most others at the same share of the way.

Source: the median stopping rule, Golovin et al., Google Vizier, KDD 2017 (doi:10.1145/3097983.3098043).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from overread.record.events import read_events, settled
from overread.record.run import RunFolder
from overread.tasks.losses.objects import NETWORKS_OWN
from overread.workflow.learning.plan_file import read_plan
from overread.workflow.learning.series import Budget
from overread.workflow.searching.trials import DONE, Trial

FEWEST = 4  # done trials with the same kind of loss before any is ended
WARM = 0.25  # share of its budget that every trial gets
Looks = tuple[tuple[float, float], ...]


class EndedEarly(Exception):
    """A trial that is not worth its time; never shown to the user."""


def looks_of(events: Iterable[Mapping[str, Any]], budget: Budget) -> Looks:
    """(share of the budget, lowest tuning loss so far) at each look of a training; events as `settled` gives them."""
    looks: list[tuple[float, float]] = []
    lowest = math.inf
    for event in events:
        if event["event"] != "epoch" or event.get("tuning_loss") is None:
            continue
        share = event["epoch"] / budget.epochs if budget.epochs is not None else event["minutes"] / (budget.minutes or 1.0)
        lowest = min(lowest, float(event["tuning_loss"]))
        looks.append((round(min(share, 1.0), 4), lowest))
    return tuple(looks)


def judged_by(path: Path) -> dict[str, Any]:
    """What the tuning loss of a planned training is made of: losses mean the same only where all of it is the same.

    path     of its plan
    returns  plain values; empty where there is no plan
    """
    if not path.exists():
        return {}
    plan = read_plan(path)
    prepared = plan.preparation.as_dict()
    return {
        "loss": plan.loss,
        "of_network": str(plan.network["name"]) if plan.loss == NETWORKS_OWN else "",
        "class_weights": list(plan.class_weights),
        "deep_supervision": plan.deep_supervision,
        "route": str(plan.network["serves"]),
        "dimensions": plan.preparation.dimensions,
        **{key: None if prepared[key] is None else list(prepared[key]) for key in ("patch", "shape", "spacing")},
    }


def watch(run: RunFolder, budget: Budget, before: Sequence[Trial]) -> Callable[[dict[str, Any]], None]:
    """A listener to one training that ends it where it falls behind; it goes by the record, so a resumed one is judged alike.

    run     of this training; its plan is written when the first event comes
    before  trials that have ended
    """

    def hear(event: dict[str, Any]) -> None:
        if event["event"] != "epoch" or event.get("tuning_loss") is None:
            return
        rivals = rivals_of(judged_by(run.plan), before)
        if len(rivals) < FEWEST:
            return
        share, lowest = looks_of(settled(read_events(run.events_path)), budget)[-1]
        if WARM <= share < 1.0 and is_behind(share, lowest, rivals):
            raise EndedEarly

    return hear


def rivals_of(judged: Mapping[str, Any], before: Sequence[Trial]) -> list[Trial]:
    """The done trials whose tuning loss is made of the same."""
    return [trial for trial in before if judged and trial.state == DONE and trial.looks and trial.judged == judged]


def is_behind(share: float, lowest: float, rivals: Sequence[Trial]) -> bool:
    """Whether the lowest loss so far lies above the median of what the others had reached by then."""
    reached = [reached_by(trial, share) for trial in rivals]
    known = [loss for loss in reached if math.isfinite(loss)]
    return len(known) >= FEWEST and lowest > median(known)


def reached_by(trial: Trial, share: float) -> float:
    """The lowest tuning loss that a trial had by a share of its budget; infinite before its first look."""
    return min((loss for at, loss in trial.looks if at <= share + 1e-9), default=math.inf)
