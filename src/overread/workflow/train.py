"""`overread train`: plan, learn, and freeze one model whose decisions were fitted on tuning cases."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from overread.cohort.fingerprint import fingerprint
from overread.cohort.progress import Progress
from overread.core.errors import OverreadError, Stopped
from overread.reading.model import build_network
from overread.record.run import RunFolder, StopSignal
from overread.training.clock import Clock
from overread.training.loop import Outcome, Recipe
from overread.training.loop import train as run_loop
from overread.training.plan import NOT_THE_CURVE, make_plan
from overread.workflow import plan as planning
from overread.workflow.freeze import freeze, snapshot
from overread.workflow.look import Look
from overread.workflow.plan import Planned, batches_of
from overread.workflow.plan_file import read_plan
from overread.workflow.project import Project
from overread.workflow.settings import Settings

DEFAULT_MINUTES = 15.0
LOOK_SHARE_OF_BUDGET = 0.03  # of a budget in minutes may go into the first look at tuning cases


def train(
    project: Project,
    minutes: float | None = None,
    epochs: int | None = None,
    fold: int | str | None = None,
    resume: bool = False,
    name: str | None = None,
    overrides: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> RunFolder:
    """Train a run, or one run for each fold, and freeze it.

    minutes, epochs  the budget; where neither is given, that of [training], else 15 minutes
    fold             for a project of folds: the fold held out, or "all"
    resume           go on with a stopped run; its plan must be the same
    """
    folds = project.folds
    if folds and fold is None:
        raise OverreadError(f"This project has {len(folds)} folds.", "give --fold K to hold one out, or --fold all")
    if not folds and fold is not None:
        raise OverreadError("This project has partitions, no folds.", "leave --fold out")
    settings = planning.with_overrides(project.settings, overrides or {})
    budget = _budget(settings, minutes, epochs)
    chosen = name or (project.run().name if resume else planning.next_name(project))
    numbers = [None] if not folds else list(folds) if fold == "all" else [int(str(fold))]
    for number in numbers:
        run = project.run(chosen, number)
        if number is not None and number not in folds:
            raise OverreadError(f"There is no fold {number}.", f"the folds are {', '.join(map(str, folds))}")
        if resume and len(numbers) > 1 and _is_finished(run):
            continue
        with run.locked():
            _train_one(project, settings, chosen, number, budget, resume and run.checkpoint.exists(), overrides or {}, progress)
    return project.run(chosen, None if len(numbers) > 1 else numbers[0])


def _budget(settings: Settings, minutes: float | None, epochs: int | None) -> tuple[float | None, int | None]:
    if minutes is None and epochs is None:
        minutes, epochs = settings.training.minutes, settings.training.epochs
    if minutes is not None and epochs is not None:
        raise OverreadError("Both minutes and epochs are set.", "keep one of them in [training]")
    return (DEFAULT_MINUTES, None) if minutes is None and epochs is None else (minutes, epochs)


def _train_one(
    project: Project,
    settings: Settings,
    name: str,
    fold: int | None,
    budget: tuple[float | None, int | None],
    resume: bool,
    overrides: Mapping[str, str],
    progress: Progress | None,
) -> None:
    run = project.run(name, fold)
    planned = (
        _resumable(project, run, name, fold, overrides, progress)
        if resume
        else _fresh(project, run, name, fold, overrides, progress)
    )
    minutes, epochs = budget
    clock = Clock(planned.plan.steps_per_epoch, epochs, minutes)
    stop = StopSignal()
    with stop.listening():
        outcome = _learn(project, planned, clock, resume, stop, progress)
        freeze(project, settings, planned, outcome, progress)
    if outcome.reason == "stopped":
        raise Stopped(
            f"Stopped after {outcome.step} steps ({outcome.minutes:.1f} minutes); the model so far is frozen in run '{name}'.",
            f"overread train {project.path} --name {name} --resume" + (f" --fold {fold}" if fold is not None else ""),
        )


def _fresh(
    project: Project, run: RunFolder, name: str, fold: int | None, overrides: Mapping[str, str], progress: Progress | None
) -> Planned:
    if run.checkpoint.exists():
        raise OverreadError(
            f"Run '{name}' has been trained already.",
            f"go on with it by --resume, or choose another name with --name (taken: {', '.join(project.runs())})",
        )
    run.events_path.unlink(missing_ok=True)
    if run.plan.exists():
        planned, changed = _as_written(project, run, fold, overrides, progress)
        if not changed:
            return planned
    return planning.plan(project, name, fold, overrides, progress)


def _resumable(
    project: Project, run: RunFolder, name: str, fold: int | None, overrides: Mapping[str, str], progress: Progress | None
) -> Planned:
    """The plan as it was; a plan that would be made otherwise today is refused."""
    planned, changed = _as_written(project, run, fold, overrides, progress)
    if changed:
        raise OverreadError(
            f"Run '{name}' was begun with another plan; what changed: {', '.join(changed)}.",
            "undo the change in project.toml, or train under another name with --name",
        )
    return planned


def _as_written(
    project: Project, run: RunFolder, fold: int | None, overrides: Mapping[str, str], progress: Progress | None
) -> tuple[Planned, list[str]]:
    """The plan in the run folder, and the names of the choices that would be made otherwise today."""
    written = read_plan(run.plan)
    cohort = project.cohort(fold)
    facts = fingerprint(cohort, progress)
    settings = planning.with_overrides(project.settings, overrides)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    today = make_plan(project.question, facts, planning.wishes_of(settings), device=device)
    before, after = written.as_dict(), today.as_dict()
    changed = [k for k in after if k not in NOT_THE_CURVE and before.get(k) != after[k]]
    task = planning.task_of(written)
    return Planned(run, written, cohort, planning.prepared(project, cohort, written, task, progress), task), changed


def _learn(
    project: Project, planned: Planned, clock: Clock, resume: bool, stop: StopSignal, progress: Progress | None
) -> Outcome:
    plan, run = planned.plan, planned.run
    torch.manual_seed(plan.seed)
    network = build_network(plan.network, "random" if resume else plan.weights)
    if hasattr(network, "weights_loaded"):
        run.events.write("weights", what=str(network.weights_loaded))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not resume:
        run.events.write(
            "started",
            run=run.name if not run.name.startswith("fold-") else f"{run.path.parent.name}/{run.name}",
            seed=plan.seed,
            device=str(device),
            precision=plan.precision,
            minutes=clock.minutes,
            epochs=clock.epochs,
            identity=plan.identity,
        )
    if progress is not None:
        progress.start(1.0, "Training")
    told = [0.0]

    def tell(share: float, left: float, note: str) -> None:
        if progress is not None:
            progress.advance(max(0.0, share - told[0]), note)
            told[0] = max(told[0], share)

    recipe = Recipe(
        plan.optimizer,
        plan.schedule,
        plan.learning_rate,
        plan.weight_decay,
        plan.warmup_steps,
        plan.steps_per_epoch,
        plan.gradient_clip,
        plan.ema,
        plan.precision,
        plan.channels_last,
        plan.seed,
    )
    outcome = run_loop(
        planned.task,
        network,
        batches_of(plan, planned.cache, planned.cohort, device),
        recipe,
        clock,
        validate=Look(planned, device, LOOK_SHARE_OF_BUDGET * clock.minutes * 60 if clock.minutes else None),
        events=run.events,
        checkpoint=run.checkpoint,
        identity=plan.identity,
        on_checkpoint=lambda average: snapshot(planned, average, run),
        resume=resume,
        stop=stop,
        tell=tell,
    )
    if progress is not None:
        progress.finish()
    return outcome


def _is_finished(run: RunFolder) -> bool:
    return run.checkpoint.exists() and any(run.path.glob("*.overread"))
