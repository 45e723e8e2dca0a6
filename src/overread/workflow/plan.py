"""`overread plan`: from the fingerprint of the training cases to a written plan and a page to approve."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from overread.batches.augment import NONE
from overread.batches.cache import Cache, PreparedCase, open_cache
from overread.batches.sampler import Batches
from overread.cohort.fingerprint import Fingerprint, fingerprint
from overread.cohort.index import Cohort
from overread.cohort.progress import Progress
from overread.cohort.unpaired import as_read, as_wanted
from overread.core.case import Case
from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.networks.device import best_device
from overread.networks.exam.rows import slices_axis
from overread.reading.model import build_network
from overread.record.run import RunFolder
from overread.tasks import Scaling, Task, make
from overread.training.asked_network import refuse_unfit_network
from overread.training.measure import expected_memory_gib, free_memory_gib, measure_step, memory_with_objects_gib
from overread.training.plan import Plan
from overread.training.wishes import Wishes
from overread.workflow.cohorts.aim import aim_note
from overread.workflow.cohorts.telling import telling_note
from overread.workflow.ensembles.record import FILE as ENSEMBLE
from overread.workflow.first_model import FirstModel, first_model_of, with_regions
from overread.workflow.learning.outline import outline, small_batch_note
from overread.workflow.learning.plan_file import write_plan
from overread.workflow.learning.preflight_page import write_page
from overread.workflow.project import Project
from overread.workflow.settings import Settings
from overread.workflow.settings_file import check_settings
from overread.workflow.starts.decided import decided, with_start
from overread.workflow.starts.pretrained import RECORD as PRETRAINED
from overread.workflow.starts.start import start_of

OF_THEIR_OWN = (
    "baseline.json",
    "select.json",
    "search-order.json",
    ENSEMBLE,
    PRETRAINED,
)  # what lies in a run that is no training


@dataclass(frozen=True)
class Planned:
    """A plan in its run folder, with the cache of prepared cases it led to; and a first model, where one reads before it."""

    run: RunFolder
    plan: Plan
    cohort: Cohort
    cache: Cache
    task: Task
    first: FirstModel | None = None


def plan(
    project: Project,
    run_name: str | None = None,
    fold: int | None = None,
    overrides: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    *,
    preflight: bool = True,
) -> Planned:
    """Plan a run that was not trained yet: its plan is a record of how it was.

    overrides  "training.loss" -> "dice": settings for this run alone
    """
    chosen = run_name or next_name(project)
    refuse_ensemble(project, chosen)
    run = project.run(chosen, fold)
    if run.checkpoint.exists():
        raise OverreadError(
            f"Run '{run_name}' has been trained by the plan it holds, which is the record of that training.",
            f"plan another run with --name (taken: {', '.join(project.runs())})",
        )
    with run.locked():
        return plan_run(project, run, fold, overrides, progress, preflight=preflight)


def plan_run(
    project: Project,
    run: RunFolder,
    fold: int | None,
    overrides: Mapping[str, str] | None,
    progress: Progress | None,
    *,
    preflight: bool,
) -> Planned:
    """Decide, prepare the training and tuning cases, measure this machine, write `plan.toml` and the page."""
    settings = with_overrides(project.settings, overrides or {})
    cohort = project.cohort_of(run, fold)
    refuse_unfit_network(project.question.task, settings.training.architecture)
    refuse_unfit(cohort)
    first = first_model_of(project, settings)
    cohort = with_regions(project, cohort, first, progress)
    facts = fingerprint(cohort, progress, settings.training.clinical, None if first is None else first.region)
    refuse_unseen(project.question, facts)
    device = best_device()
    start = start_of(project, settings.training.weights, cohort, fold)
    made = decided(project.question, facts, wishes_of(settings), start, device)
    if note := small_batch_note(made, outline(made.network, settings.training.network)):
        made = replace(made, reasons={**made.reasons, "small_batch": note})
    if note := aim_note(project.question, cohort.of("tuning"), settings.evaluation.threshold_rule):
        made = replace(made, reasons={**made.reasons, "threshold_rule": note})
    if made.preparation.clinical is not None and (note := telling_note(cohort, made.preparation.clinical)):
        made = replace(made, reasons={**made.reasons, "known_too_late": note})
    task = task_of(made)
    cache = prepared(project, cohort, made, task, progress)
    made = with_start(_measured(made, task, cache, cohort, settings, device, progress), start)
    run.path.mkdir(parents=True, exist_ok=True)
    write_plan(run.plan, made)
    if preflight:
        write_page(run, made, as_read(cohort), cache, batches_of(made, cache, cohort, "cpu"), facts)
    return Planned(run, made, cohort, cache, task, first)


def wishes_of(settings: Settings) -> Wishes:
    training = settings.training
    names = {f.name for f in fields(Wishes)} - {"augmentation"}
    return Wishes(**{n: getattr(training, n) for n in names}, augmentation=training.augmentation.model_dump())


def task_of(plan: Plan) -> Task:
    return make(
        plan.question,
        loss=plan.loss,
        weights=plan.class_weights,
        scaling=Scaling(plan.centre, plan.scale),
        deep_supervision=plan.deep_supervision,
        route=route_of(plan.question, plan.network),
        own=plan.task_options,
    )


def route_of(question: Question, network: Mapping[str, Any]) -> str:
    """What is asked of the network, where the task can ask several things; else its one way."""
    return str(network["serves"]) if question.is_of_objects or question.is_of_images else ""


def prepared(project: Project, cohort: Cohort, plan: Plan, task: Task, progress: Progress | None) -> Cache:
    """The cache of prepared training and tuning cases; built where it is missing."""
    if progress is not None:
        progress.start(len(cohort.of("training")) + len(cohort.of("tuning")), "Preparing cases")
    encoding: dict[str, Any] = {"question": plan.question.as_dict(), "centre": plan.centre, "scale": plan.scale}
    if plan.question.is_of_objects:
        encoding |= {"route": task.serves, "has_outlines": plan.has_outlines}
    advance = progress.advance if progress is not None else (lambda n, note="": None)
    cache = open_cache(
        cohort,
        plan.preparation,
        task,
        folder=project.path / "cohort" / "cache",
        encoding=encoding,
        has_outlines=plan.has_outlines,
        draws=plan.draws,
        advance=lambda n, note: advance(n, note),
    )
    if progress is not None:
        progress.finish()
    return cache


def batches_of(plan: Plan, cache: Cache, cohort: Cohort, device: torch.device | str, *, augmented: bool = True) -> Batches:
    return Batches(
        cache.of(c.case_id for c in as_read(cohort).of("training")),
        plan.preparation.patch,
        plan.sampling,
        plan.augmentation if augmented else NONE,
        spacing=plan.preparation.spacing or (1.0, 1.0, 1.0),
        dimensions=plan.preparation.dimensions,
        seed=plan.seed,
        device=device,
        clinical=plan.preparation.clinical,
        slices=slices_axis(plan.network),
        partners=partners_of(plan, cache, cohort, "training"),
    )


def partners_of(plan: Plan, cache: Cache, cohort: Cohort, partition: str) -> list[PreparedCase]:
    """Without pairs the cases of the second kind, whose pictures are the targets; else none."""
    return cache.of(c.case_id for c in as_wanted(cohort).of(partition)) if plan.question.is_unpaired else []


def refuse_unfit(cohort: Cohort) -> None:
    """Nothing is learned from nothing: both partitions must hold cases, and training more than one class."""
    for partition in ("training", "tuning"):
        if not cohort.of(partition):
            raise OverreadError(
                f"The {partition} partition holds no case.",
                "add patients with `overread update`, or make a new project with other shares",
            )
    if cohort.question.task == "classification":
        held = _classes_held(cohort.of("training"))
        for name in cohort.question.classes:
            if held.get(name, 0) == 0:
                raise OverreadError(
                    f"No training case shows '{name}'; a network cannot learn what it never sees.",
                    "add patients with that label, or drop the class from [question] classes",
                )


def refuse_unseen(question: Question, facts: Fingerprint) -> None:
    """A structure without a voxel in any training mask, or a class without an object, cannot be learned."""
    unseen = [name for name in question.classes if not facts.class_counts.get(name)]
    if question.is_of_objects and unseen:
        raise OverreadError(
            f"No training case holds a '{unseen[0]}'; a network cannot learn what it never sees.",
            "add patients with such an object, or drop it from [question] classes",
        )
    if question.task == "segmentation" and unseen:
        raise OverreadError(
            f"No training mask shows '{unseen[0]}'; a network cannot learn what it never sees.",
            "add patients with that structure, or drop it from [question] classes and values",
        )


def _classes_held(cases: tuple[Case, ...]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for case in cases:
        for name, value in (case.truth.values if case.truth else {}).items():
            counts[name] = counts.get(name, 0) + int(value == 1)
    return counts


def refuse_ensemble(project: Project, name: str) -> None:
    """Nothing is planned or trained in the folder of an ensemble or a pretraining."""
    for file, what in ((ENSEMBLE, "an ensemble"), (PRETRAINED, "a pretraining")):
        if any(project.run(name).path.rglob(file)):
            raise OverreadError(f"'{name}' is {what}, no training.", "choose another name with --name")


def next_name(project: Project) -> str:
    """The latest run that was planned and not trained; else "first", then "run-2", "run-3" ...

    A hand-made baseline, a selection and an ensemble are runs of their own: no other training goes into them.
    """
    taken = project.runs()
    networks = [name for name in taken if not any(_holds(project, name, file) for file in OF_THEIR_OWN)]
    trained = [name for name in networks if _holds(project, name, "checkpoint.safetensors")]
    waiting = [name for name in networks if name not in trained]
    if waiting:
        return waiting[-1]
    if not trained and "first" not in taken:
        return "first"
    return f"run-{next(k for k in range(2, 10**6) if f'run-{k}' not in taken)}"


def _holds(project: Project, run: str, file: str) -> bool:
    return any((project.path / "runs" / run).rglob(file))


def with_overrides(settings: Settings, overrides: Mapping[str, str]) -> Settings:
    """Settings with some lines replaced: values are read as TOML, bare words as text, "1,2,3" as a list."""
    values = settings.model_dump(mode="json")
    for name, text in overrides.items():
        place = values
        *sections, key = name.split(".")
        for section in sections:
            if not isinstance(place.get(section), dict):
                raise OverreadError(
                    f"--set {name}: no such section '{section}'.", "write it as in project.toml, e.g. training.loss=dice"
                )
            place = place[section]
        place[key] = value_of(text)
    return check_settings(values, "--set")


def value_of(text: str) -> Any:
    """A value as it is written behind KEY= on the command line."""
    for form in (f"v = {text}", f"v = [{text}]"):
        try:
            return tomllib.loads(form)["v"]
        except tomllib.TOMLDecodeError:
            continue
    return text


def _measured(
    plan: Plan, task: Task, cache: Cache, cohort: Cohort, settings: Settings, device: str, progress: Progress | None
) -> Plan:
    """Try the number formats on this machine with this network and batch, and take the fastest."""
    if progress is not None:
        progress.start(None, "Measuring this machine")
    torch.manual_seed(plan.seed)
    network = build_network(plan.network)
    batches = batches_of(plan, cache, cohort, device)
    images, targets = batches(0)
    deep = plan.deep_supervision and hasattr(network, "forward_scales")

    def memory(precision: str) -> float:
        if task.serves in ("objects", "centres"):
            return memory_with_objects_gib(task, network, images, targets, precision)
        return expected_memory_gib(network, images, precision, deep_supervision=deep)

    needed = memory("float32")
    free = free_memory_gib(torch.device(device))
    if needed > 0.9 * free:
        raise OverreadError(
            f"A training step of {plan.network['name']} with batch {plan.sampling.batch} and patch {plan.preparation.patch} "
            f"needs about {needed:.1f} GiB; {free:.1f} GiB are free.",
            f"set [training] batch = {max(1, plan.sampling.batch // 2)}, or a smaller patch",
        )
    some = max(1, plan.sampling.batch // 2)  # half a batch says as much, in half the time
    speeds = measure_step(task, network, images[:some], targets[:some], precision=settings.training.precision)
    speeds = [replace(s, seconds=s.seconds * plan.sampling.batch / some) for s in speeds]
    best = speeds[0]
    asked = settings.training.precision != "auto"
    reason = "set in project.toml; " if asked else "the fastest here; "
    reason += "seconds per step: " + ", ".join(
        f"{s.precision}{' channels-last' if s.channels_last else ''} {s.seconds:.2f}" for s in speeds
    )
    expected = {
        "seconds_per_step": round(best.seconds, 3),
        "memory_gib": round(memory(best.precision), 2),
        "parameters": sum(p.numel() for p in network.parameters()),
        "device": device,
        "steps_in_a_minute": round(60 / best.seconds, 1),
    }
    if progress is not None:
        progress.finish()
    return plan.with_speed(best.precision, best.channels_last, reason, expected)
