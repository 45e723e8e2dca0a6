"""`overread pretrain`: a network learns from images without their labels, and leaves weights for a training to begin with.

Images of the training partition alone are taken, and further ones where a folder is given. Tuning and internal test images are
not: a network that has seen them, if only without their labels, is judged too well by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from overread.cohort.fingerprint import fingerprint
from overread.cohort.index import Cohort
from overread.cohort.progress import Progress, in_shares
from overread.core.errors import OverreadError, Stopped
from overread.networks.device import best_device
from overread.record.events import read_events
from overread.record.files import digest_json
from overread.record.provenance import versions
from overread.record.run import RunFolder, StopSignal
from overread.training.clock import Clock
from overread.training.loop import Looked, Outcome
from overread.training.loop import train as run_loop
from overread.training.measure import measure_step
from overread.training.plan import Plan
from overread.training.recipe import recipe_of
from overread.workflow import plan as planning
from overread.workflow.audits.leaks import refuse_leaks_found
from overread.workflow.first_model import first_model_of, with_regions
from overread.workflow.learning.plan_file import write_plan
from overread.workflow.pretraining.planned import Lesson, base_plan, lesson, method_for, pretraining_plan
from overread.workflow.project import Project
from overread.workflow.starts.pretrained import PLAN, is_pretraining, read_record, write_pretrained, write_record
from overread.workflow.train import DEFAULT_MINUTES
from overread.workflow.unlabelled.further import Further, further_images

DEFAULT_NAME = "pretrained"


def pretrain(
    project: Project,
    method: str | None = None,
    images: Path | None = None,
    minutes: float | None = None,
    epochs: int | None = None,
    fold: int | None = None,
    resume: bool = False,
    name: str | None = None,
    overrides: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> RunFolder:
    """Teach the network of the project's plan without labels; its weights stay in the run folder.

    method   "masked" or "contrastive"; by default what fits the network
    images   a folder of further studies
    fold     for a project of folds: the fold held out, whose images are not looked at
    resume   go on with one that was stopped; told the same, it goes on as if it had not been
    """
    (fold,) = project.folds_asked(fold, "give --fold K: its images are not looked at")
    refuse_leaks_found(project)
    run = project.run(name or DEFAULT_NAME, fold)
    before = _before(project, run, resume)
    with run.locked():
        order = {"method": method, "minutes": minutes, "epochs": epochs, "overrides": dict(overrides or {})}
        if before:
            order = {key: value or before["order"][key] for key, value in order.items()}
            if minutes or epochs:
                order |= {"minutes": minutes, "epochs": epochs}
        if not order["minutes"] and not order["epochs"]:
            order["minutes"] = DEFAULT_MINUTES
        outcome = _pretrain(project, run, order, images, fold, before, progress)
    if outcome.reason == "stopped":
        told = f"Stopped after {outcome.step} steps ({outcome.minutes:.1f} minutes); the weights so far are in run '{run.name}'."
        further = ("--images", str(images)) if images else ()
        words = project.run_words(run, "--name")
        raise Stopped(told, project.command("pretrain", *words, *further, "--resume"))
    return run


def _before(project: Project, run: RunFolder, resume: bool) -> dict[str, Any]:
    """What an earlier call wrote; a run folder that holds anything else is refused."""
    if not is_pretraining(run):
        if run.path.is_dir() and any(path.name != ".lock" for path in run.path.iterdir()):
            raise OverreadError(f"'{run.name}' is a run already, and no pretraining.", "choose another name with --name")
        return {}
    if resume and run.checkpoint.exists():
        return read_record(run)
    if run.checkpoint.exists():
        named = project.run_words(run)[1]
        begin = project.command("train", "--set", f"training.weights=run:{named}")
        raise OverreadError(
            f"'{run.name}' has been pretrained already.",
            f"begin from it with `{begin}`, go on with it by --resume, or choose another name with --name",
        )
    return {}


def _pretrain(
    project: Project,
    run: RunFolder,
    order: dict[str, Any],
    folder: Path | None,
    fold: int | None,
    before: Mapping[str, Any],
    progress: Progress | None,
) -> Outcome:
    settings = planning.with_overrides(project.settings, order["overrides"])
    cohort = _without_guides(project.cohort(fold))
    planning.refuse_unfit(cohort)
    first = first_model_of(project, settings)
    cohort = with_regions(project, cohort, first, progress)
    device = torch.device(best_device())
    wishes = planning.wishes_of(settings)
    facts = fingerprint(cohort, progress, region=None if first is None else first.region)
    base = base_plan(project.question, facts, wishes, device.type)
    method = method_for(base, order["method"])
    cache = planning.prepared(project, cohort, base, planning.task_of(base), progress)
    own = [case.image for case in cache.of(case.case_id for case in cohort.of("training"))]
    further = Further() if folder is None else further_images(project, folder, cohort, base.preparation, progress, first)
    plan = pretraining_plan(base, method, len(own) + len(further.images), wishes)
    taught = lesson(plan, method, [*own, *further.images], device)
    if not before:
        plan = _measured(plan, taught, settings.training.precision, device)
        write_plan(run.path / PLAN, plan)
        run.events_path.unlink(missing_ok=True)
    identity = digest_json([plan.identity, method, sorted(further.digests)])
    record = _record(plan, method, order, fold, cohort, len(own), further, identity)
    if before:
        _refuse_changed(before, record)
        plan = plan.with_speed(before["precision"], before["channels_last"], "as before", {})
    record |= {"precision": plan.precision, "channels_last": plan.channels_last}
    write_record(run, {**record, "ended": before.get("ended", "") if before else ""})
    outcome = _learn(run, plan, taught, order, identity, is_resumed=bool(before), progress=progress)
    epochs = [event for event in read_events(run.events_path) if event["event"] == "epoch"]
    record |= {"steps": outcome.step, "epochs": outcome.epochs, "minutes_spent": round(outcome.minutes, 2)}
    record |= {"losses": [round(float(event["loss"]), 5) for event in epochs]}
    write_record(run, {**record, "weights": write_pretrained(run, taught.inner), "ended": outcome.reason})
    return outcome


def _without_guides(cohort: Cohort) -> Cohort:
    """The cohort without masks along which images are to be made: what learns here is shown images alone."""
    question = replace(cohort.question, guides=(), values=()) if cohort.question.guides else cohort.question
    return replace(cohort, question=question)


def _record(
    plan: Plan, method: str, order: Mapping[str, Any], fold: int | None, cohort: Any, own: int, further: Further, identity: str
) -> dict[str, Any]:
    return {
        "method": method,
        "loss": plan.loss,
        "order": dict(order),
        "network": plan.network,
        "preparation": plan.preparation.as_dict(),
        "fold": fold,
        "cohort": cohort.digest,
        "is_phantom": cohort.is_phantom,
        "images": {
            "training": own,
            "further": len(further.images),
            "left_out": further.left_out,
            "digests": sorted(further.digests),
        },
        "seed": plan.seed,
        "identity": identity,
        "versions": versions(),
    }


def _refuse_changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    changed = [name for name in ("identity", "method", "cohort") if before[name] != now[name]]
    if changed:
        raise OverreadError(
            "This pretraining was begun otherwise: the images, the plan or the method changed.",
            "say the same again (--images too), or begin another one with --name",
        )


def _measured(plan: Plan, taught: Lesson, precision: str, device: torch.device) -> Plan:
    """The fastest number format on this machine."""
    images, targets = taught.batch(0)
    speeds = measure_step(taught.task, taught.network, images, targets, precision=precision)
    best = speeds[0]
    expected = {"seconds_per_step": round(best.seconds, 3), "device": device.type}
    expected["parameters"] = sum(p.numel() for p in taught.inner.parameters())
    return plan.with_speed(best.precision, best.channels_last, "the fastest here", expected)


def _learn(
    run: RunFolder,
    plan: Plan,
    taught: Lesson,
    order: Mapping[str, Any],
    identity: str,
    *,
    is_resumed: bool,
    progress: Progress | None,
) -> Outcome:
    clock = Clock(plan.steps_per_epoch, order["epochs"], order["minutes"])
    if not is_resumed:
        run.events.write("started", run=run.name, seed=plan.seed, precision=plan.precision, identity=identity, method=plan.loss)
    stop = StopSignal()
    with in_shares(progress, "Pretraining") as tell, stop.listening():
        outcome = run_loop(
            taught.task,
            taught.network,
            taught.batch,
            replace(recipe_of(plan), early_stopping=0),  # nobody looks at tuning cases
            clock,
            validate=_nobody_looks,
            events=run.events,
            checkpoint=run.checkpoint,
            identity=identity,
            resume=is_resumed,
            stop=stop,
            tell=tell,
        )
    taught.inner.load_state_dict(outcome.network.get_submodule("network").state_dict())  # the moving average
    if progress is not None:
        progress.finish()
    return outcome


def _nobody_looks(network: torch.nn.Module, *, final: bool) -> Looked:
    """There is no look at tuning cases: they have no part in a pretraining."""
    return Looked(None, {})
