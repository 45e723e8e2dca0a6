"""What is planned for learning without labels: the network and windows of the later training, a task and batches of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from overread.batches.augment import Augmentation
from overread.batches.prepare import of_both_kinds
from overread.batches.sampler import Sampling
from overread.batches.unlabelled import Unlabelled
from overread.cohort.fingerprint import Fingerprint
from overread.cohort.pictures import answered_units
from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.networks.table import WANTED
from overread.reading.model import build_network
from overread.tasks.base import Teaches
from overread.tasks.pretraining import (
    HIDDEN,
    Contrastive,
    MaskedImages,
    Projecting,
    Reconstructing,
    contrastive_batch,
    masked_batch,
)
from overread.training.plan import Plan, make_plan
from overread.training.wishes import Wishes

METHODS = ("masked", "contrastive")
USUAL = {"dense": "masked", "image": "contrastive"}
AS_IN_TRAINING = (
    "dimensions", "spacing", "patch", "normalisation", "architecture", "width", "optimizer", "schedule", "learning_rate", "ema"
)  # fmt: skip
WITHOUT_ENCODER = ("autoencode", "vae", "synthesize")  # what learns here is a network per image: it describes images
VIEWS_AT_LEAST = 32  # images of a step of contrastive learning: each is told from the others of its step


def base_plan(question: Question, facts: Fingerprint, wishes: Wishes, device: str) -> Plan:
    """The plan of the training that may follow, so that its network and its windows are the same."""
    bare = replace(wishes, weights="random", freeze="none", unfreeze=0.0, layer_decay=1.0, clinical=(), loss="auto")
    if question.task in WITHOUT_ENCODER or question.is_unpaired:
        asks = Question("classification", ("image",), exclusive=False)
        plan = make_plan(asks, facts, replace(bare, architecture="auto", network={}), device=device)
        return _of_both_kinds(plan, question) if question.is_unpaired else plan
    return make_plan(question, facts, bare, device=device)


def _of_both_kinds(plan: Plan, question: Question) -> Plan:
    """Without pairs one network is shown both kinds of images, whose units may differ."""
    preparation = of_both_kinds(plan.preparation, answered_units(question))
    if preparation == plan.preparation:
        return plan
    why = f"{preparation.units} and {', '.join(preparation.also)} have no scale in common, so each image is scaled by itself"
    return replace(plan, preparation=preparation, reasons={**plan.reasons, "normalisation": why})


def method_for(base: Plan, asked: str | None) -> str:
    """The method that was asked for, or that fits what the network answers by."""
    serves = base.network["serves"]
    if serves not in USUAL:
        raise OverreadError(
            f"{base.network['name']} answers {WANTED[serves]}, and pretraining without labels is offered for "
            "networks that answer per image or per voxel.",
            "pretrain in a project of the same images that asks for masks or classes, and begin from its model file",
        )
    method = asked or USUAL[serves]
    if method == "contrastive" and serves == "dense":
        raise OverreadError(
            f"Contrastive learning teaches one description per image, and {base.network['name']} answers per voxel.",
            "use --method masked",
        )
    return method


def pretraining_plan(base: Plan, method: str, images: int, wishes: Wishes) -> Plan:
    """The base plan with what this method does otherwise, and why."""
    network = dict(base.network)
    if network["serves"] == "dense":
        network["out_channels"] = network["in_channels"]  # the answer is the image
    batch = base.sampling.batch
    if method == "contrastive" and wishes.batch == "auto":
        batch = max(batch, VIEWS_AT_LEAST)
    batch = max(2, min(batch, images))
    made = replace(
        base,
        network=network,
        loss=MaskedImages.loss if method == "masked" else Contrastive.loss,
        class_weights=(),
        centre=(),
        scale=(),
        deep_supervision=False,
        sampling=Sampling(batch),
        augmentation=_augmentation(base.augmentation, method),
        steps_per_epoch=int(np.clip(np.ceil(images / batch), 10, 250)),
        test_mirror=(),
        early_stopping=0,
    )
    reasons = {name: base.reasons[name] for name in AS_IN_TRAINING if name in base.reasons}
    return replace(made, reasons={**reasons, **_reasons(method, batch, images)})


def _augmentation(usual: Augmentation, method: str) -> Augmentation:
    """Views must differ much, or telling them apart teaches nothing; what is hidden is filled in from an image as it is."""
    still = replace(usual, elastic=0.0, copy_paste=0.0, chance=1.0)
    if method == "masked":
        return replace(still, intensity=0.0)
    return replace(still, rotation_degrees=max(15.0, usual.rotation_degrees), scale=0.5, shift=0.15, intensity=1.5)


def _reasons(method: str, batch: int, images: int) -> dict[str, str]:
    if method == "masked":
        loss = f"{100 * HIDDEN:g} % of each window is hidden in blocks and filled in; the error is that of hidden voxels"
        told, why = "moved and turned a little; brightness is left alone, for it is what is to be filled in", "as in the training"
    else:
        loss = "two views of one image are to be told from those of all others of the step (SimCLR)"
        told, why = (
            "strong changes of place, size and intensity: views that are alike teach nothing",
            "many others to be told from",
        )
    steps = f"about one look at each of {images} images, between 10 and 250 steps"
    return {"loss": loss, "augmentation": told, "batch": f"{batch} images of a step: {why}", "steps_per_epoch": steps}


@dataclass(frozen=True)
class Lesson:
    """What is taught.

    network  learns; `inner` of it is what the later training begins with
    batch    step -> images and targets
    """

    task: Teaches
    network: nn.Module
    inner: nn.Module
    batch: Callable[[int], tuple[Tensor, Tensor]]


def lesson(plan: Plan, method: str, images: Sequence[np.ndarray], device: torch.device) -> Lesson:
    """The network, made from the plan's seed, with what the method puts on it, and its batches."""
    preparation = plan.preparation
    source = Unlabelled(
        images,
        preparation.patch,
        plan.sampling.batch,
        plan.augmentation,
        roams=plan.network["serves"] == "dense",
        spacing=preparation.spacing or (1.0, 1.0, 1.0),
        dimensions=preparation.dimensions,
        seed=plan.seed,
        device=device,
    )
    torch.manual_seed(plan.seed)
    network = build_network(plan.network)
    if method == "masked":
        size = tuple(preparation.patch[3 - preparation.dimensions :])
        outer: nn.Module = Reconstructing(network, plan.network["in_channels"], size, is_dense=plan.network["serves"] == "dense")
        return Lesson(MaskedImages(), outer, network, lambda step: masked_batch(source, step))
    network.eval()
    with torch.no_grad():
        width = network.features(source.views(0)[0][0][:1].cpu()).shape[1]  # type: ignore[operator]
    network.train()
    return Lesson(Contrastive(), Projecting(network, width), network, lambda step: contrastive_batch(source, step))
