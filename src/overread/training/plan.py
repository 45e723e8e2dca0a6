"""The plan: everything that is chosen before training, each choice with its reason, from the data and the machine.

What the settings say is taken; the rest follows from the fingerprint of the training cases.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from overread.batches.augment import Augmentation
from overread.batches.sampler import Sampling
from overread.cohort.fingerprint import Fingerprint
from overread.core.preparation import Preparation
from overread.core.question import Question
from overread.record.files import digest_json
from overread.training.clinical import with_clinical
from overread.training.consistency import choose_semi
from overread.training.freezing import check_freezing, why_frozen
from overread.training.geometry import choose_dimensions, for_cases, for_voxels
from overread.training.object_geometry import for_objects
from overread.training.region import with_region
from overread.training.teaching import (
    choose_augmentation,
    choose_class_weights,
    choose_deep_supervision,
    choose_draws,
    choose_early_stopping,
    choose_loss,
    choose_optimisation,
    choose_sampling,
    choose_scaling,
    choose_task_options,
    refuse_for_images,
)
from overread.training.whole_pictures import for_whole_pictures
from overread.training.wishes import CPU, GPU, Wishes

OF_OBJECTS = {"augmentation": ("copy_paste",), "sampling": ("clean",), "": ("has_outlines",)}  # no part of other questions' plans
OFF = {
    "early_stopping": 0,
    "freeze": "none",
    "unfreeze": 0.0,
    "layer_decay": 1.0,
    "semi": "none",
    "task_options": {},
    "draws": 1,
}  # as if not there
RUN = "run:"  # before the name of a run whose weights another one begins with
NOT_THE_CURVE = ("reasons", "expected", "precision", "channels_last")  # of a plan: measured or told, not chosen


@dataclass(frozen=True)
class Plan:
    """What will be done. `reasons` says why, by name of the choice."""

    question: Question
    preparation: Preparation
    network: dict[str, Any]
    weights: str
    loss: str
    class_weights: tuple[float, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    deep_supervision: bool
    sampling: Sampling
    augmentation: Augmentation
    optimizer: str
    schedule: str
    learning_rate: float
    weight_decay: float
    warmup_steps: int
    steps_per_epoch: int
    gradient_clip: float
    ema: float
    precision: str
    channels_last: bool
    overlap: float
    test_mirror: tuple[int, ...]
    seed: int
    early_stopping: int = 0
    has_outlines: bool = False  # objects: the truth says of each which voxels it holds
    freeze: str = "none"
    unfreeze: float = 0.0
    layer_decay: float = 1.0
    semi: str = "none"
    task_options: dict[str, Any] = field(default_factory=dict)
    draws: int = 1  # restore: in how many ways each training image is made worse
    reasons: dict[str, str] = field(default_factory=dict)
    expected: dict[str, Any] = field(default_factory=dict)  # memory and time, measured here

    def as_dict(self) -> dict[str, Any]:
        values = asdict(self)
        values["question"], values["preparation"] = self.question.as_dict(), self.preparation.as_dict()
        return values

    @property
    def identity(self) -> str:
        """Digest of everything that shapes the curve: two runs with one identity may be one run, resumed."""
        values = self.as_dict()
        for name in NOT_THE_CURVE:
            values.pop(name)
        for name, off in OFF.items():  # plans from before there was such a choice keep their identity
            if values[name] == off:
                values.pop(name)
        if self.preparation.clinical is None:
            values["augmentation"].pop("hide_clinical")
        if not self.question.is_of_objects:
            for table, names in OF_OBJECTS.items():
                for name in names:
                    (values[table] if table else values).pop(name)
        return digest_json(values)

    def with_speed(self, precision: str, channels_last: bool, reason: str, expected: dict[str, Any]) -> Plan:
        reasons = {**self.reasons, "precision": reason}
        return replace(self, precision=precision, channels_last=channels_last, reasons=reasons, expected=expected)


def make_plan(
    question: Question, facts: Fingerprint, wishes: Wishes, *, device: str = "cpu", is_pretrained: bool = False
) -> Plan:
    """Decide everything but the number format, which is measured afterwards.

    is_pretrained  the weights to begin from come from a pretraining without labels, which leaves most to be learned
    """
    reasons: dict[str, str] = {}
    freezing = check_freezing(str(wishes.freeze), wishes.unfreeze, wishes.layer_decay, wishes.weights)
    refuse_for_images(question, wishes)
    budget = GPU if device == "cuda" else CPU
    dimensions = choose_dimensions(facts, wishes, reasons)
    if question.is_of_objects:
        preparation, network, batch = for_objects(question, facts, wishes, budget, dimensions, device, reasons)
    elif question.task in ("autoencode", "vae", "synthesize"):
        preparation, network, batch = for_whole_pictures(question, facts, wishes, budget, dimensions, device, reasons)
    elif question.task in ("segmentation", "translate", "restore"):
        preparation, network, batch = for_voxels(question, facts, wishes, budget, dimensions, device, reasons)
    else:
        preparation, network, batch = for_cases(question, facts, wishes, budget, dimensions, device, reasons)
    optimizer, schedule, rate, decay = choose_optimisation(question, wishes, network["name"], reasons, is_pretrained)
    augmentation = choose_augmentation(question, wishes, preparation, reasons, facts)
    preparation = with_region(facts, preparation, reasons)
    preparation, network, augmentation = with_clinical(facts, wishes, preparation, network, augmentation, reasons)
    centre, scale = choose_scaling(question, facts, reasons)
    weights = choose_class_weights(question, facts, wishes, reasons)
    sampling = choose_sampling(question, facts, wishes, preparation, batch, reasons)
    seen = max(facts.class_counts[kind] for kind in question.conditions) if question.is_unpaired else facts.n_cases
    steps = int(np.clip(np.ceil(seen / batch), 10, 250))
    whose = "the larger heap's training cases" if question.is_unpaired else "training cases"
    reasons["steps_per_epoch"] = f"about one look at each of {seen} of {whose}, between 10 and 250 steps"
    deep = choose_deep_supervision(question, wishes, network["name"], reasons)
    why_frozen(freezing, reasons)
    semi = choose_semi(question, wishes, network["serves"], reasons)
    return Plan(
        question=question,
        preparation=preparation,
        network=network,
        weights=told_weights(wishes.weights),
        loss=choose_loss(
            question,
            wishes,
            reasons,
            network["name"],
            network["serves"] if question.is_of_objects or question.is_of_images else "",
        ),
        class_weights=weights,
        centre=centre,
        scale=scale,
        deep_supervision=deep,
        sampling=sampling,
        augmentation=augmentation,
        optimizer=optimizer,
        schedule=schedule,
        learning_rate=rate,
        weight_decay=decay,
        warmup_steps=50,
        steps_per_epoch=steps,
        gradient_clip=wishes.gradient_clip,
        ema=wishes.ema,
        precision="float32",
        channels_last=False,
        overlap=0.5,
        test_mirror=() if question.is_of_objects else augmentation.mirror,
        seed=wishes.seed,
        early_stopping=choose_early_stopping(wishes, reasons),
        has_outlines=question.is_of_objects and facts.have_voxels,
        freeze=freezing.freeze,
        unfreeze=freezing.unfreeze,
        layer_decay=freezing.layer_decay,
        semi=semi,
        task_options=choose_task_options(question, wishes, reasons),
        draws=choose_draws(question, facts, reasons),
        reasons=reasons,
    )


def told_weights(weights: str) -> str:
    """What training began from, as a plan may say it: of a file its name alone, for a path may name people."""
    return weights if weights in ("random", "hub") or weights.startswith(RUN) else f"file {Path(weights).name}"
