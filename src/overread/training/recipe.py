"""From the plan to what the loop needs of it."""

from __future__ import annotations

from overread.training.freezing import Freezing
from overread.training.loop import Recipe
from overread.training.plan import Plan


def freezing_of(plan: Plan) -> Freezing:
    return Freezing(plan.freeze, plan.unfreeze, plan.layer_decay)


def recipe_of(plan: Plan) -> Recipe:
    return Recipe(
        optimizer=plan.optimizer,
        schedule=plan.schedule,
        learning_rate=plan.learning_rate,
        weight_decay=plan.weight_decay,
        warmup_steps=plan.warmup_steps,
        steps_per_epoch=plan.steps_per_epoch,
        gradient_clip=plan.gradient_clip,
        ema=plan.ema,
        precision=plan.precision,
        channels_last=plan.channels_last,
        seed=plan.seed,
        early_stopping=plan.early_stopping,
        freezing=freezing_of(plan),
    )
