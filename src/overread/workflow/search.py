"""`overread search`: many short trainings, each with other settings, scored on the tuning cases; the best settings are trained.

Hyperparameter search by Optuna (Akiba et al., arXiv:1907.10902). Nothing but training and tuning cases is read; the internal test
has no part in it. Every trial is written down when it ends, and what is proposed next follows from that record alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from overread.cohort.index import Cohort
from overread.cohort.progress import Progress
from overread.cohort.subdivision import OPEN, Subdivision
from overread.core.errors import OverreadError, Stopped
from overread.record.events import read_events
from overread.record.run import RunFolder
from overread.workflow.learning.objective import objective
from overread.workflow.learning.series import Budget, keep_order, kept_order, refuse_taken, settings_digest, told_overrides
from overread.workflow.plan import refuse_unfit, with_overrides
from overread.workflow.project import Project
from overread.workflow.searching.asked import FINAL, Asked, ordered
from overread.workflow.searching.conduct import PART_OF, Conduct
from overread.workflow.searching.default_space import default_space
from overread.workflow.searching.found import write_found
from overread.workflow.searching.planned import plan_of, range_test_of
from overread.workflow.searching.proposals import optuna_library, propose
from overread.workflow.searching.space import Space, as_dicts, from_dicts, space_of
from overread.workflow.searching.trials import FAILED, Trial, append_trial, best_of, read_trials
from overread.workflow.train import is_finished, train
from overread.workflow.unfit import refuse_unscored

ORDER = "search-order.json"
TRIALS = "search-trials.jsonl"
DEFAULT_NAME = "searched"
FIXED = ("cohort", "fold", "method", "space", "budget", "overrides", "seed", "training_seed", "endpoint", "settings")
MOST_FAILED = 3  # trials that fail one after the other end a search: something else is wrong
Tell = Callable[[str], None]


def search(
    project: Project,
    asked: Asked,
    name: str | None = None,
    fold: int | None = None,
    overrides: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    tell: Tell = lambda line: None,
    *,
    resume: bool = False,
) -> dict[str, Any]:
    """Search, compare the best settings with those of project.toml, train them, and write `search.json` and `search.html`.

    asked      what to search, how, and for how long
    fold       for a project of folds: the fold held out
    overrides  settings of every trial
    resume     go on with a search that was stopped; what is not said again is taken from its record
    """
    refuse_unscored(project)
    optuna_library()
    (fold,) = project.folds_asked(fold, "give --fold K to hold one out")
    home = project.run(name or DEFAULT_NAME, fold)
    mark = home.path / ORDER
    refuse_taken(home, mark, "search")
    before = kept_order(mark)
    _refuse_unmeant(project, name or DEFAULT_NAME, before, resume=resume)
    cohort = project.cohort(fold)
    refuse_unfit(cohort)
    order = _order(project, asked, cohort, fold, overrides, before, progress, tell)
    keep_order(mark, order, FIXED, f"The search '{name or DEFAULT_NAME}'")
    conduct = _conduct(project, name or DEFAULT_NAME, fold, order, cohort, progress, tell)
    trials, ended = _search(conduct, home, order)
    found = write_found(home, conduct, order, trials, ended, cohort)
    tell(found["words"])
    _train_best(conduct, home, order, trials)
    return found


def _refuse_unmeant(project: Project, name: str, before: Mapping[str, Any], *, resume: bool) -> None:
    if before and not resume:
        raise OverreadError(
            f"The search '{name}' was begun already.",
            f"go on with it: `{project.command('search', '--name', name, '--resume')}`, or begin another with --name",
        )
    if resume and not before:
        raise OverreadError(f"There is no search '{name}' to go on with.", "begin it without --resume")


def _order(
    project: Project,
    asked: Asked,
    cohort: Cohort,
    fold: int | None,
    overrides: Mapping[str, str] | None,
    before: Mapping[str, Any],
    progress: Progress | None,
    tell: Tell,
) -> dict[str, Any]:
    """What is to be done, as plain values: as asked, else as it was asked before."""
    overrides = dict(overrides or before.get("overrides") or {})
    settings = with_overrides(project.settings, overrides)
    order = {**ordered(asked, before), "cohort": cohort.digest, "fold": fold, "overrides": overrides}
    order |= {"endpoint": objective(project).key, "training_seed": settings.training.seed}
    order["settings"] = settings_digest(project, overrides)
    named = space_of(settings, asked.over)
    clash = [axis.key for axis in named if axis.key in overrides]
    if clash:
        raise OverreadError(f"{clash[0]} is set by --set and searched by --over.", "name it in one of the two")
    tested: dict[str, Any] | None = before.get("range_test")
    if asked.range_test and tested is None:
        tested = range_test_of(project, cohort, overrides, progress, fold)
        tell(tested["words"])
    order["range_test"] = tested
    if before and not named:
        return order | {"space": before["space"]}
    return order | {"space": as_dicts(named or _usual(project, cohort, order, progress))}


def _usual(project: Project, cohort: Cohort, order: Mapping[str, Any], progress: Progress | None) -> Space:
    plan = plan_of(project, cohort, order["overrides"], progress, order["fold"])
    tested = order["range_test"]
    rates = None if tested is None else (tested["worth_searching"][0], tested["worth_searching"][1])
    return default_space(project.question, plan, tuple(order["overrides"]), rates)


def _conduct(
    project: Project, name: str, fold: int | None, order: Mapping[str, Any], cohort: Cohort, progress: Progress | None, tell: Tell
) -> Conduct:
    training, tuning = (frozenset(case.case_id for case in cohort.of(part)) for part in OPEN)
    held = () if fold is None else ("--fold", str(fold))
    return Conduct(
        project,
        name,
        fold,
        Budget(**order["budget"]),
        order["overrides"],
        Subdivision(training, tuning, PART_OF, {"search": name}),
        objective(project),
        order["training_seed"],
        project.command("search", "--name", name, *held, "--resume"),
        progress,
        tell,
    )


def _search(conduct: Conduct, home: RunFolder, order: Mapping[str, Any]) -> tuple[list[Trial], str]:
    """Trials until the time, the number of them, or what can be tried is used up; and which of these it was."""
    path, space, better = home.path / TRIALS, from_dicts(order["space"]), conduct.endpoint.metric.better
    trials = read_trials(path)
    conduct.tell(_opening(order, space))
    while not (ended := _over(order, trials)):
        settings = propose(space, order["method"], order["seed"], trials, better) if trials else {}
        if settings is None:
            return trials, "everything in the space was tried"
        number = len(trials) + 1
        conduct.tell(
            f"Trial {number}: {', '.join(f'{k} = {v}' for k, v in told_overrides(settings).items()) or 'as in project.toml'}"
        )
        trial = conduct.done(number, settings, trials)
        append_trial(path, trial)
        trials.append(trial)
        conduct.tell(_told(conduct, trial, best_of(trials, better)))
        _refuse_failing(trials)
    return trials, ended


def _opening(order: Mapping[str, Any], space: Space) -> str:
    ends = [f"{order['minutes']:g} minutes in all"] if order["minutes"] is not None else []
    ends += [f"at most {order['trials']} trials"] if order["trials"] is not None else []
    axes = "; ".join(str(axis) for axis in space)
    return (
        f"Search by {order['method']} over {axes}. {Budget(**order['budget'])} a trial, {', '.join(ends)}; then "
        f"{Budget(**order['final'])} with the best settings."
    )


def _over(order: Mapping[str, Any], trials: list[Trial]) -> str:
    """Why there is no further trial; "" where there is one."""
    if order["trials"] is not None and len(trials) >= order["trials"]:
        return f"{order['trials']} trials were done"
    if order["minutes"] is None or not trials:
        return ""
    tested = order["range_test"]
    spent = sum(trial.minutes for trial in trials) + (tested["minutes"] if tested is not None else 0.0)
    each = max(trial.minutes for trial in trials[:1])  # the first was not ended early
    kept = order["final"]["minutes"] or FINAL * each
    return f"the {order['minutes']:g} minutes were used up" if spent + each + kept > order["minutes"] else ""


def _told(conduct: Conduct, trial: Trial, best: Trial | None) -> str:
    value = trial.state if trial.value is None else f"{conduct.endpoint.metric.name} {trial.value:.3f}"
    lead = "" if best is None or best.value is None else f"; best so far {best.value:.3f}, trial {best.number}"
    return f"Trial {trial.number}: {value}{lead}"


def _refuse_failing(trials: list[Trial]) -> None:
    last = trials[-MOST_FAILED:]
    if len(last) == MOST_FAILED and all(trial.state == FAILED for trial in last):
        raise OverreadError(
            f"{MOST_FAILED} trials failed one after the other, the last because: {last[-1].reason}",
            "put that right, or leave the values out that lead to it, and begin another search with --name",
        )


def _train_best(conduct: Conduct, home: RunFolder, order: Mapping[str, Any], trials: list[Trial]) -> None:
    """Train the best settings as `overread train` does; kept where that was done."""
    best = best_of(trials, conduct.endpoint.metric.better)
    assert best is not None  # the first trial has a value, or there was an error
    overrides = {**order["overrides"], **best.settings}
    started = next((e for e in read_events(home.events_path) if e["event"] == "started"), None)
    if home.checkpoint.exists() and started and started["overrides"] != told_overrides(overrides):
        raise OverreadError(
            f"Run '{conduct.name}' was trained with the settings that were best before this search went on.",
            f"train those of trial {best.number} under another name: `{_train_command(conduct, order, overrides)}`",
        )
    if is_finished(home):
        return
    final = Budget(**order["final"])
    conduct.tell(f"{conduct.name}: training with the settings of trial {best.number} for {final}")
    try:
        train(
            conduct.project,
            final.minutes,
            final.epochs,
            conduct.fold,
            home.checkpoint.exists(),
            conduct.name,
            overrides,
            conduct.progress,
        )
    except Stopped as stopped:
        raise Stopped(stopped.what, conduct.again) from stopped


def _train_command(conduct: Conduct, order: Mapping[str, Any], overrides: Mapping[str, str]) -> str:
    final = Budget(**order["final"])
    long = ("--epochs", str(final.epochs)) if final.epochs is not None else ("--minutes", f"{final.minutes:g}")
    sets = [word for key, value in told_overrides(overrides).items() for word in ("--set", f"{key}={value}")]
    return conduct.project.command("train", "--name", f"{conduct.name}-2", *long, *sets)
