"""What a search found, as `search.json` and as a page: every trial, the best against project.toml, and what mattered."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from overread.cohort.index import Cohort
from overread.core.errors import OverreadError
from overread.evaluation.comparing.compared import Contender, line_up
from overread.evaluation.comparing.paired import difference
from overread.record.files import write_json, write_text
from overread.record.run import RunFolder
from overread.reporting.searches.search_page import search_page
from overread.workflow.learning.series import Budget, told_overrides
from overread.workflow.searching.conduct import Conduct
from overread.workflow.searching.proposals import importances
from overread.workflow.searching.space import from_dicts
from overread.workflow.searching.trials import DONE, EARLY, FAILED, Trial, best_of

FILE = "search.json"
PAGE = "search.html"
FORMAT = 1
AS_IT_IS = "as in project.toml"
OPTIMISTIC = (
    "These are tuning scores, and every trial was judged by them: the best of many is too good, and so is its lead. The "
    "threshold and calibration of each trial were fitted on these cases, too. Only the internal test says what the settings are "
    "worth."
)
SEALED = "The internal test had no part in this: its truths stayed under seal and its images were not read."
ONE_SEED = "All trials were trained from one seed, so part of what they differ by is luck; it is not in the intervals."
BY_MINUTES = (
    "Trials were given minutes, so another machine, or a busier hour, would give other numbers; give epochs to repeat it."
)


def write_found(
    home: RunFolder, conduct: Conduct, order: Mapping[str, Any], trials: Sequence[Trial], ended: str, cohort: Cohort
) -> dict[str, Any]:
    """Write both, and return what was written; ended says why there was no further trial."""
    endpoint, space = conduct.endpoint, from_dicts(order["space"])
    best = best_of(trials, endpoint.metric.better)
    if best is None:
        raise OverreadError(
            f"No trial has a {endpoint.metric.name}: {trials[0].reason or 'none was done'}.",
            "give the trials more time, under another --name",
        )
    evaluations = {trial.number: conduct.evaluation(trial.number) for trial in trials if trial.state == DONE}
    found = {
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "name": conduct.name,
        "is_phantom": cohort.is_phantom,
        **{key: order[key] for key in ("cohort", "fold", "method", "seed", "minutes", "budget", "final", "space", "range_test")},
        "training_seed": conduct.seed,
        "overrides": told_overrides(order["overrides"]),
        "endpoint": endpoint.as_dict(),
        "n_cases": len(conduct.subdivision.tuning),
        "n_patients": len({case.patient_id for case in cohort.of("tuning")}),
        "ended": ended,
        "spent_minutes": round(sum(trial.minutes for trial in trials), 2),  # of trials; a range test has its own
        "trials": [_row(conduct, trial, evaluations, is_best=trial is best) for trial in trials],
        "best": best.number,
        "comparison": _against_default(conduct, best, evaluations),
        "importances": importances(space, trials, endpoint.metric.better, int(order["seed"])),
    }
    found["words"] = _words(found, best)
    found["notes"] = [OPTIMISTIC, SEALED, ONE_SEED, *([BY_MINUTES] if order["budget"]["minutes"] is not None else [])]
    found["next"] = _next(conduct, order)
    write_json(home.path / FILE, found)
    write_text(home.path / PAGE, search_page(conduct.project.name.replace("_", " "), found))
    return found


def _row(conduct: Conduct, trial: Trial, evaluations: Mapping[int, Any], *, is_best: bool) -> dict[str, Any]:
    row = {**trial.as_dict(), "settings": told_overrides(trial.settings), "is_best": is_best, "interval": None}
    if trial.number in evaluations:
        key = (conduct.endpoint.metric.key, conduct.endpoint.subject)
        scores = {(s["metric"], s["subject"]): s["interval"] for s in evaluations[trial.number]["scores"]}
        row["interval"] = scores[key]
    return row


def _against_default(conduct: Conduct, best: Trial, evaluations: Mapping[int, Any]) -> dict[str, Any] | None:
    """The best trial less the first, on the same tuning cases; None where the first is the best."""
    if best.number == 1:
        return None
    lined = line_up([Contender(AS_IT_IS, (evaluations[1],)), Contender(f"trial {best.number}", (evaluations[best.number],))])
    one = difference(lined, conduct.endpoint, 1, level=conduct.project.settings.evaluation.interval_level)
    values = {"default": one.values[0], "best": one.values[1]}
    return {**values, "difference": one.interval.as_dict(), "p": one.p, "remark": one.remark}


def _words(found: Mapping[str, Any], best: Trial) -> str:
    trials, name, comparison = found["trials"], found["endpoint"]["name"], found["comparison"]
    counts = {state: sum(trial["state"] == state for trial in trials) for state in (DONE, EARLY, FAILED)}
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    lead = f"{len(trials)} trial{'s' * (len(trials) != 1)} ({told}) in {found['spent_minutes']:.1f} minutes. "
    if len(trials) == 1:
        return f"{lead}Only the settings of project.toml were tried, as there was no time for more: {name} {best.value:.3f}."
    if comparison is None:
        return f"{lead}None was better on the tuning cases than the settings of project.toml: {name} {best.value:.3f}."
    interval = comparison["difference"]
    ends = "" if interval["low"] is None else f" ({interval['level']:.0%} {interval['low']:+.3f} to {interval['high']:+.3f})"
    return (
        f"{lead}Best: trial {best.number}, {name} {comparison['best']:.3f} on the tuning cases against "
        f"{comparison['default']:.3f} as in project.toml, a difference of {interval['estimate']:+.3f}{ends}. It was chosen by "
        "these cases, which flatters it."
    )


def _next(conduct: Conduct, order: Mapping[str, Any]) -> list[dict[str, str]]:
    """What to do with it: train the default as long, compare, open the test once. The project is called by its folder's name."""
    final, plain = Budget(**order["final"]), f"{conduct.name}-default"
    long = ("--epochs", str(final.epochs)) if final.epochs is not None else ("--minutes", f"{final.minutes:g}")
    held = () if conduct.fold is None else ("--fold", str(conduct.fold))
    same = [word for key, value in told_overrides(conduct.overrides).items() for word in ("--set", f"{key}={value}")]

    def step(why: str, verb: str, *words: str) -> dict[str, str]:
        return {"why": why, "command": shlex.join(("overread", verb, conduct.project.path.name, *words))}

    return [
        step("Train the settings of project.toml as long", "train", "--name", plain, *long, *held, *same),
        step("Score both on the tuning cases", "evaluate", "--run", conduct.name, *held),
        step("", "evaluate", "--run", plain, *held),
        step("Compare them, paired", "compare", "--runs", f"{plain},{conduct.name}"),
        step(
            "Open the internal test, once, for the run that is to be reported",
            "evaluate",
            "--run",
            conduct.name,
            "--on",
            "internal",
            *held,
        ),
    ]
