"""`overread train`: plan, learn, and freeze one model whose decisions were fitted on tuning cases."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from overread.cohort.fingerprint import fingerprint
from overread.cohort.progress import Progress, in_shares
from overread.core.errors import OverreadError, Stopped
from overread.networks.device import best_device
from overread.networks.weights import weights_digest
from overread.reading.model import build_network
from overread.record.events import EventLog, read_events
from overread.record.files import digest_json
from overread.record.run import RunFolder, StopSignal
from overread.training.clock import Clock
from overread.training.loop import Outcome
from overread.training.loop import train as run_loop
from overread.training.plan import NOT_THE_CURVE, RUN
from overread.training.recipe import recipe_of
from overread.workflow import plan as planning
from overread.workflow.audits.leaks import refuse_leaks_found
from overread.workflow.first_model import first_model_of, with_regions
from overread.workflow.learning.freeze import freeze, snapshot
from overread.workflow.learning.look import Look
from overread.workflow.learning.plan_file import read_plan
from overread.workflow.plan import Planned, batches_of
from overread.workflow.project import HOLDS, PLANNED, Project
from overread.workflow.starts.decided import begun, decided, event_of
from overread.workflow.starts.start import Start, start_of
from overread.workflow.unlabelled.consistency import REST, consistency_of

DEFAULT_MINUTES = 15.0
FOLDERS = ("training.weights", "training.unlabelled")  # settings that may name a folder, which no record tells
Hear = Callable[[dict[str, Any]], None]
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
    hear: Hear = lambda event: None,
) -> RunFolder:
    """Train a run, or one run for each fold, and freeze it.

    minutes, epochs  the budget; where neither is given, that of [training], else 15 minutes
    fold             for a project of folds: the fold held out, or "all"
    resume           go on with a stopped run; its plan must be the same
    hear             is told every event of the training; what it raises ends the run, which is then not frozen
    """
    numbers = project.folds_asked(fold)
    refuse_leaks_found(project)
    chosen = name or (project.latest(*PLANNED) if resume else "") or planning.next_name(project)
    held = next((what for mark, what in HOLDS.items() if (project.run(chosen).path / mark).exists()), "")
    if held:
        raise OverreadError(f"'{chosen}' is {held}, not a run.", "choose another name with --name")
    planning.refuse_ensemble(project, chosen)
    for number in numbers:
        run = project.run(chosen, number)
        if resume and len(numbers) > 1 and is_finished(run):
            continue
        order = _order(project, run, chosen, number, minutes, epochs, overrides, resume=resume and run.checkpoint.exists())
        with run.locked():
            _train_one(project, run, order, progress, hear)
    return project.run(chosen, None if len(numbers) > 1 else numbers[0])


@dataclass(frozen=True)
class Order:
    """What was asked for: the run, its budget, and the settings for this run alone."""

    name: str
    fold: int | None
    minutes: float | None
    epochs: int | None
    overrides: Mapping[str, str]
    resume: bool


def _order(
    project: Project,
    run: RunFolder,
    name: str,
    fold: int | None,
    minutes: float | None,
    epochs: int | None,
    overrides: Mapping[str, str] | None,
    *,
    resume: bool,
) -> Order:
    """The order as given; what a resumed run is not told again, it remembers from its first event."""
    before = next((e for e in read_events(run.events_path) if e["event"] == "started"), {}) if resume else {}
    overrides = overrides or before.get("overrides") or {}
    if minutes is None and epochs is None:
        training = planning.with_overrides(project.settings, overrides).training
        asked = (training.minutes, training.epochs)
        minutes, epochs = (before["minutes"], before["epochs"]) if before else asked if any(asked) else (DEFAULT_MINUTES, None)
    if minutes is not None and epochs is not None:
        raise OverreadError("Both minutes and epochs are set.", "keep one of them in [training]")
    return Order(name, fold, minutes, epochs, overrides, resume)


def _train_one(project: Project, run: RunFolder, order: Order, progress: Progress | None, hear: Hear) -> None:
    planned = _resumable(project, run, order, progress) if order.resume else _fresh(project, run, order, progress)
    settings = planning.with_overrides(project.settings, order.overrides)
    clock = Clock(planned.plan.steps_per_epoch, order.epochs, order.minutes)
    stop = StopSignal()
    with stop.listening():
        start = start_of(project, settings.training.weights, planned.cohort, order.fold)
        outcome = _learn(project, planned, clock, order, start, settings.training.unlabelled, stop, progress, hear)
        freeze(project, settings, planned, outcome, progress)
    if outcome.reason == "stopped":
        raise Stopped(
            f"Stopped after {outcome.step} steps ({outcome.minutes:.1f} minutes); "
            f"the model so far is frozen in run '{order.name}'.",
            project.resume_command(run),
        )


def _fresh(project: Project, run: RunFolder, order: Order, progress: Progress | None) -> Planned:
    if run.checkpoint.exists():
        raise OverreadError(
            f"Run '{order.name}' has been trained already.",
            f"go on with it by --resume, or choose another name with --name (taken: {', '.join(project.runs())})",
        )
    run.events_path.unlink(missing_ok=True)
    if run.plan.exists():
        planned, changed = _as_written(project, run, order, progress)
        if not changed:
            return planned
    is_part = run.subdivision.exists()  # of a curve or a selection: many trainings, and nobody looks at a page for each
    return planning.plan_run(project, run, order.fold, order.overrides, progress, preflight=not is_part)


def _resumable(project: Project, run: RunFolder, order: Order, progress: Progress | None) -> Planned:
    """The plan as it was; a plan that would be made otherwise today is refused."""
    planned, changed = _as_written(project, run, order, progress)
    if changed:
        raise OverreadError(
            f"Run '{order.name}' was begun with another plan; what changed: {', '.join(changed)}.",
            "undo the change in project.toml, or train under another name with --name",
        )
    return planned


def _as_written(project: Project, run: RunFolder, order: Order, progress: Progress | None) -> tuple[Planned, list[str]]:
    """The plan in the run folder, and the names of the choices that would be made otherwise today."""
    written = read_plan(run.plan)
    cohort = project.cohort_of(run, order.fold)
    settings = planning.with_overrides(project.settings, order.overrides)
    first = first_model_of(project, settings)
    cohort = with_regions(project, cohort, first, progress)
    facts = fingerprint(cohort, progress, settings.training.clinical, None if first is None else first.region)
    device = best_device()
    start = start_of(project, settings.training.weights, cohort, order.fold)
    today = decided(project.question, facts, planning.wishes_of(settings), start, device)
    before, after = written.as_dict(), today.as_dict()
    changed = [k for k in after if k not in NOT_THE_CURVE and before.get(k) != after[k]]
    task = planning.task_of(written)
    return Planned(run, written, cohort, planning.prepared(project, cohort, written, task, progress), task, first), changed


def _learn(
    project: Project,
    planned: Planned,
    clock: Clock,
    order: Order,
    start: Start,
    unlabelled: str,
    stop: StopSignal,
    progress: Progress | None,
    hear: Hear,
) -> Outcome:
    plan, run = planned.plan, planned.run
    torch.manual_seed(plan.seed)
    network = build_network(plan.network) if order.resume else _first_network(planned, start)
    device = torch.device(best_device())
    beside, of_images = consistency_of(project, planned, unlabelled, order.fold, device, progress)
    if not order.resume:
        run.events.write(
            "started",
            run=run.name if not run.name.startswith("fold-") else f"{run.path.parent.name}/{run.name}",
            seed=plan.seed,
            device=str(device),
            precision=plan.precision,
            minutes=clock.minutes,
            epochs=clock.epochs,
            overrides={k: v for k, v in order.overrides.items() if k not in FOLDERS or v.startswith(RUN) or v == REST},
            identity=plan.identity,
            initial=weights_digest(network),
            terms=dict(getattr(planned.task, "term_weights", {})),
        )
    with in_shares(progress, "Training") as tell:
        return run_loop(
            planned.task,
            network,
            batches_of(plan, planned.cache, planned.cohort, device),
            recipe_of(plan),
            clock,
            validate=Look(planned, device, LOOK_SHARE_OF_BUDGET * clock.minutes * 60 if clock.minutes else None),
            beside=beside,
            events=EventLog(run.events_path, hear),
            checkpoint=run.checkpoint,
            identity=digest_json([plan.identity, of_images]) if of_images else plan.identity,
            on_checkpoint=lambda average: snapshot(planned, average, run),
            resume=order.resume,
            stop=stop,
            tell=tell,
        )


def _first_network(planned: Planned, start: Start) -> nn.Module:
    """The network with what it begins with, which the record lists."""
    found = begun(planned.plan, start)
    if found.loaded is not None:
        planned.run.events.write("weights", **event_of(found, start))
    return found.network


def is_finished(run: RunFolder) -> bool:
    """Trained to the end of its budget and frozen; a run that was stopped is frozen too, and not finished."""
    ends = [e["event"] for e in read_events(run.events_path) if e["event"] in ("stopped", "finished", "resumed", "froze")]
    return ends[-2:] == ["finished", "froze"] and any(run.path.glob("*.overread"))
