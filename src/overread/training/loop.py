"""The training loop, on one page.

A step: take a batch, let the network answer, compare with the truth (losses), ask every weight how
it should change (backward), change all of them a little (optimizer), and let the moving average
follow. A network of several parts is taught in turns (phases.py). Fabric decides on device and
number format. What is learned from is the training partition; `validate` looks at the tuning
partition and comes from outside.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from overread.batches.sampler import Targets
from overread.core.errors import OverreadError
from overread.networks.layout import memory_format, to_channels_last
from overread.networks.memory import keep_freed_memory
from overread.record.events import EventLog
from overread.record.run import StopSignal
from overread.tasks.base import Teaches
from overread.training.alarms import Watch
from overread.training.average import Average, decay_for, refresh_statistics
from overread.training.checkpoint import load_checkpoint, save_checkpoint
from overread.training.clock import Clock
from overread.training.early import EarlyStopping
from overread.training.freezing import NOTHING_FROZEN, Freezing, Frozen, shares_of
from overread.training.optimizers import optimizer as make_optimizer
from overread.training.optimizers import rate_at, set_rate
from overread.training.phases import Lessons
from overread.training.scales import format_scales

logging.getLogger("lightning.fabric").setLevel(logging.WARNING)  # what it tells stands in the plan already
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
CHECKPOINT_SECONDS = 30.0
STATISTICS_BATCHES = 32  # from which the statistics of batch norm are taken at the end
LOOK_SHARE = 0.1  # of the time may go into looking at tuning cases


class Beside(Protocol):
    def __call__(self, student: nn.Module, teacher: nn.Module, step: int, progress: float) -> Mapping[str, Tensor]:
        """Further terms of the loss, beside those of the batch; the teacher is the moving average."""
        ...


class Looked(NamedTuple):
    """Loss and scores on the tuning partition, and the signs that alarms rest on (see `overread.tasks.generative.signs`)."""

    loss: float | None
    scores: Mapping[str, float]
    signs: Mapping[str, float] = {}


class Validate(Protocol):
    def __call__(self, network: nn.Module, *, final: bool) -> Looked:
        """A look at the tuning partition."""
        ...


@dataclass(frozen=True)
class Recipe:
    """What the loop needs to know of the plan."""

    optimizer: str
    schedule: str
    learning_rate: float
    weight_decay: float
    warmup_steps: int
    steps_per_epoch: int
    gradient_clip: float
    ema: float  # 0 chooses the decay from the number of steps
    precision: str  # "float32" or "bfloat16"
    channels_last: bool
    seed: int
    early_stopping: int = 0  # looks without a lower tuning loss that end the training; 0 is off
    freezing: Freezing = NOTHING_FROZEN


@dataclass(frozen=True)
class Outcome:
    """How the run ended: "finished" or "stopped", after how many steps; the network is the moving average."""

    reason: str
    network: nn.Module
    step: int
    epochs: int
    minutes: float


def train(
    task: Teaches,
    network: nn.Module,
    batches: Callable[[int], tuple[Tensor, Targets]],
    recipe: Recipe,
    clock: Clock,
    *,
    validate: Validate,
    beside: Beside | None = None,
    events: EventLog,
    checkpoint: Path,
    identity: str,
    on_checkpoint: Callable[[nn.Module], None] = lambda network: None,
    resume: bool = False,
    stop: StopSignal | None = None,
    tell: Callable[[float, str], None] = lambda share, note: None,
) -> Outcome:
    """Train until the clock is over or a stop is asked for.

    identity       digest of the plan; a checkpoint of another plan is refused
    on_checkpoint  told the averaged network at each checkpoint, to leave a valid model
    tell           share of the budget that is used up, and a note
    """
    torch.manual_seed(recipe.seed)
    keep_freed_memory()
    stop = stop or StopSignal()
    fabric = Fabric(accelerator="auto", devices=1, precision="bf16-mixed" if recipe.precision == "bfloat16" else "32-true")
    if recipe.channels_last:
        network = to_channels_last(network)
    shares, rate, decay = shares_of(network, recipe.freezing), recipe.learning_rate, recipe.weight_decay
    optimizer = make_optimizer(recipe.optimizer, network, rate, decay, recipe.precision, shares)
    frozen = Frozen(network, recipe.freezing)
    average, early = Average(network.to(fabric.device)), EarlyStopping(recipe.early_stopping)
    taught, optimizer = fabric.setup(network, optimizer)
    format_scales(network, fabric)
    lessons = Lessons(task, network, taught, optimizer, fabric, clip=recipe.gradient_clip, seed=recipe.seed)
    watch = Watch()
    step = epoch = 0
    running = [0.0, 0]  # sum and number of the losses of this epoch
    if resume:
        state, best = load_checkpoint(checkpoint, network, average, optimizer)
        step, epoch = _resumed(state, identity, clock)
        early.restore(state["early"], best)
        watch.restore(state.get("watch", {}))
        running = state["running"]
        frozen.restore(int(state.get("thawed", 0)))
        events.write("resumed", step=step, epoch=epoch, minutes=round(clock.seconds / 60, 3))
    unfinished, last_save, last_look, look_seconds = 0, clock.now(), clock.now(), 0.0
    seen = Looked(None, {})

    def save(reason: str) -> None:
        state = {"step": step, "epoch": epoch, "running": running, "identity": identity}
        state |= {"seconds": clock.now(), "total_steps": clock.total_steps, "early": early.state(), "watch": watch.state()}
        state |= {"thawed": frozen.count} if frozen.stages else {}
        save_checkpoint(checkpoint, network, average, optimizer, state, early.weights)
        on_checkpoint(average.network)
        events.write("checkpoint", step=step, reason=reason)

    def batch(number: int) -> tuple[Tensor, Targets]:
        images, targets = batches(number)
        images, targets = fabric.to_device(images), fabric.to_device(targets)
        return images.contiguous(memory_format=memory_format(images.ndim)) if recipe.channels_last else images, targets

    def settle() -> None:
        with fabric.autocast():
            some = (batch(k)[0] for k in range(min(step, STATISTICS_BATCHES)))
            refresh_statistics(average.network, some, frozen.norms_held())

    over = clock.is_over(step) or early.is_over
    if resume and not over:
        average.take_statistics(network)  # a teacher must go on as it was before the stop settled it
    while not over:
        images, targets = batch(step)
        warmup = min(recipe.warmup_steps, clock.total_steps // 10)  # a short run must reach its rate, too
        rate = rate_at(recipe.schedule, recipe.learning_rate, clock.progress(step), step, warmup)
        set_rate([optimizer], rate)
        if thawed := frozen.thaw(clock.progress(step)):
            events.write("unfroze", step=step, stages=[stage.name for stage in thawed])
        taught.train()
        frozen.hold_statistics()
        progress = clock.progress(step)
        further = None if beside is None else partial(beside, taught, average.network, step, progress)
        lesson = lessons.give(images, targets, step, progress, further)
        if lesson.is_finite:
            average.follow(network, step, recipe.ema or decay_for(clock.total_steps))
            running, unfinished = [running[0] + lesson.value, running[1] + 1], 0
        else:
            unfinished = _not_finite(unfinished, step, events)
        step += 1
        if step == 3 or step % max(1, recipe.steps_per_epoch // 4) == 0:
            _meet_clock(clock, step, events)
        over = clock.is_over(step)
        if step % recipe.steps_per_epoch == 0 or over:
            epoch += 1
            record: dict[str, Any] = {"epoch": epoch, "step": step, "rate": rate, "gradient": round(lesson.gradient, 4)}
            record["loss"] = running[0] / max(1, running[1])
            record["losses"] = {k: float(v.detach()) for k, v in lessons.terms.items()}
            running = [0.0, 0]
            signs: Mapping[str, float] = {}
            if over:
                settle()
            if over or clock.minutes is None or clock.now() - last_look >= look_seconds / LOOK_SHARE:
                before = clock.now()
                seen = validate(average.network, final=over)
                last_look = clock.now()
                look_seconds, signs = last_look - before, seen.signs
                record |= {"tuning_loss": seen.loss, "scores": dict(seen.scores)} | ({"signs": dict(signs)} if signs else {})
                early.look(seen.loss, step, epoch, average.network)
            for what in watch.hear(record["losses"], signs, progress):
                events.write("warning", what=f"step {step}: {what}", about="learning")
            events.write("epoch", **record, minutes=round(clock.now() / 60, 3))
            over = over or early.is_over
            if clock.now() - last_save >= CHECKPOINT_SECONDS and not over:
                save("epoch")
                last_save = clock.now()
        tell(clock.spent(step), _note(epoch if over else epoch + 1, running, seen.scores))
        if stop.requested and not over:
            settle()
            break
    reason = "finished" if over else "stopped"
    if over and early.give_back(average.network):
        settle()
        seen = validate(average.network, final=True)
        events.write("kept", step=early.step, epoch=early.epoch, tuning_loss=seen.loss, scores=dict(seen.scores))
    save(reason)
    events.write(reason, step=step, epochs=epoch, minutes=round(clock.now() / 60, 3))
    return Outcome(reason, average.network, step, epoch, clock.now() / 60)


def _resumed(state: dict[str, Any], identity: str, clock: Clock) -> tuple[int, int]:
    if state["identity"] != identity:
        raise OverreadError(
            "This run was begun with another plan; a curve made of two plans means nothing.",
            "undo the change in project.toml, or train under another name with --name",
        )
    step, epoch = int(state["step"]), int(state["epoch"])
    clock.restore(step, float(state["seconds"]), int(state["total_steps"]))
    return step, epoch


def _meet_clock(clock: Clock, step: int, events: EventLog) -> None:
    changed = clock.adapt(step)
    if changed:
        events.write("adapted", what="steps", step=step, **{"from": changed[0], "to": changed[1]}, why="the time budget")


def _not_finite(count: int, step: int, events: EventLog) -> int:
    events.write("warning", what=f"step {step}: the loss or its gradient is not finite; the step was skipped")
    if count >= 9:
        raise OverreadError(
            "Ten steps in a row gave a loss that is not finite.",
            'lower [training] learning_rate, or set precision = "float32"',
        )
    return count + 1


def _note(epoch: int, running: list[float], scores: Mapping[str, float]) -> str:
    loss = f"loss {running[0] / running[1]:.3f}" if running[1] else ""
    shown = ", ".join(f"{k} {v:.3f}" for k, v in list(scores.items())[:2])
    return ", ".join(part for part in (f"epoch {epoch}", loss, f"tuning {shown}" if shown else "") if part)
