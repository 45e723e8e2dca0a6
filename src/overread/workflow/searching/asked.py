"""How long a search may take, and how it goes about it: as it was asked for, each number with its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from overread.core.errors import OverreadError
from overread.workflow.searching.proposals import METHODS

OF_MINUTES = 20  # a trial gets this part of the minutes of the search, where nothing is said
FINAL = 4  # times the budget of a trial: that of the training with the best settings at the end
FEWEST_TRIALS = 2  # that the time must allow, beside the training at the end


@dataclass(frozen=True)
class Asked:
    """The words of the command line; None is not said.

    over           what to search, see `space.space_of`; empty takes the usual space of the task
    minutes        of the whole search, the training at the end included
    trials         the most there may be, the first one, which is as project.toml says, included
    trial_minutes, trial_epochs  what each trial gets, one of them
    seed           of the proposals
    """

    over: tuple[str, ...] = ()
    minutes: float | None = None
    method: str | None = None
    trials: int | None = None
    trial_minutes: float | None = None
    trial_epochs: int | None = None
    range_test: bool = False
    seed: int | None = None


def ordered(asked: Asked, before: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked for as plain values; what is not said is taken from an earlier call.

    returns  "method", "seed", "minutes", "trials", "budget" of a trial, "final" budget
    """
    method = asked.method or before.get("method") or "tpe"
    if method not in METHODS:
        raise OverreadError(f"There is no method '{method}' to search by.", f"choose one of {', '.join(METHODS)}")
    minutes = asked.minutes if asked.minutes is not None else before.get("minutes")
    trials = asked.trials if asked.trials is not None else before.get("trials")
    if minutes is None and trials is None:
        raise OverreadError("Nothing ends this search.", "give --minutes N, or --trials N with --trial-epochs E")
    if asked.trial_minutes is not None and asked.trial_epochs is not None:
        raise OverreadError("A trial gets minutes or epochs, not both.", "keep one of --trial-minutes and --trial-epochs")
    budget = _budget(asked, minutes, before)
    seed = asked.seed if asked.seed is not None else before.get("seed", 0)
    final = {key: None if value is None else FINAL * value for key, value in budget.items()}
    if minutes is not None and budget["minutes"] is not None and minutes < (FINAL + FEWEST_TRIALS) * budget["minutes"]:
        raise OverreadError(
            f"{minutes:g} minutes are too few: with {budget['minutes']:g} minutes a trial, {FINAL * budget['minutes']:g} are "
            f"kept for the training with the best settings, and {FEWEST_TRIALS} trials are the least.",
            f"give --minutes {(FINAL + FEWEST_TRIALS) * budget['minutes']:g} or more, or a smaller --trial-minutes",
        )
    return {"method": method, "seed": seed, "minutes": minutes, "trials": trials, "budget": budget, "final": final}


def _budget(asked: Asked, minutes: float | None, before: Mapping[str, Any]) -> dict[str, Any]:
    if asked.trial_minutes is not None or asked.trial_epochs is not None:
        return {"minutes": asked.trial_minutes, "epochs": asked.trial_epochs}
    if before:
        return dict(before["budget"])
    if minutes is None:
        raise OverreadError("How long is a trial?", "give --trial-epochs E, or --trial-minutes M")
    return {"minutes": float(f"{minutes / OF_MINUTES:.3g}"), "epochs": None}
