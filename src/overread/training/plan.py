"""The plan: everything that is chosen before training, each choice with its reason, from the data and the machine.

What the settings say is taken; the rest follows from the fingerprint of the training cases. The
rules for spacing, patch and stages follow Isensee et al., Nature Methods 18, 203 (2021), made
smaller where there is no GPU.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from overread.batches.augment import Augmentation
from overread.batches.sampler import Sampling
from overread.cohort.fingerprint import Fingerprint
from overread.core.errors import OverreadError
from overread.core.preparation import Normalisation, Preparation
from overread.core.question import Question
from overread.networks.stages import plan_stages
from overread.record.files import digest_json
from overread.tasks import TASKS, make
from overread.training.optimizers import OPTIMIZERS, SCHEDULES

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Budget:
    """What the machine allows. voxels: per patch and per batch; windows: per case when reading."""

    patch_voxels: int
    batch_voxels: int
    base_features: int
    windows: float
    image_edge_2d: int
    image_edge_3d: int


CPU = Budget(patch_voxels=420_000, batch_voxels=420_000, base_features=16, windows=6, image_edge_2d=224, image_edge_3d=64)
GPU = Budget(patch_voxels=2_100_000, batch_voxels=4_200_000, base_features=32, windows=64, image_edge_2d=448, image_edge_3d=128)
NOT_THE_CURVE = ("reasons", "expected", "precision", "channels_last")  # of a plan: measured or told, not chosen
PLANE_VOXELS = {"cpu": 300_000, "cuda": 4_000_000}  # per batch of 2D images


@dataclass(frozen=True)
class Wishes:
    """What the settings say about training; "auto" leaves it to the plan. Field names as in [training]."""

    architecture: str = "auto"
    weights: str = "random"
    dimensions: int | str = "auto"
    spacing: tuple[float, float, float] | str = "auto"
    patch: Shape | str = "auto"
    batch: int | str = "auto"
    loss: str = "auto"
    optimizer: str = "auto"
    schedule: str = "auto"
    learning_rate: float | str = "auto"
    weight_decay: float | str = "auto"
    class_weights: str = "none"
    sampling: str = "auto"
    deep_supervision: bool | str = "auto"
    dropout: float = 0.0
    ema: float = 0.0
    gradient_clip: float = 12.0
    precision: str = "auto"
    seed: int = 0
    augmentation: dict[str, Any] = field(default_factory=dict)


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
    reasons: dict[str, str] = field(default_factory=dict)
    expected: dict[str, Any] = field(default_factory=dict)  # memory and time, measured here

    def as_dict(self) -> dict[str, Any]:
        values = asdict(self)
        values["question"] = self.question.as_dict()
        return values

    @property
    def identity(self) -> str:
        """Digest of everything that shapes the curve: two runs with one identity may be one run, resumed."""
        values = self.as_dict()
        for name in NOT_THE_CURVE:
            values.pop(name)
        return digest_json(values)

    def with_speed(self, precision: str, channels_last: bool, reason: str, expected: dict[str, Any]) -> Plan:
        reasons = {**self.reasons, "precision": reason}
        return replace(self, precision=precision, channels_last=channels_last, reasons=reasons, expected=expected)


def make_plan(question: Question, facts: Fingerprint, wishes: Wishes, *, device: str = "cpu") -> Plan:
    """Decide everything but the number format, which is measured afterwards."""
    reasons: dict[str, str] = {}
    budget = GPU if device == "cuda" else CPU
    dimensions = _dimensions(facts, wishes, reasons)
    if question.task == "segmentation":
        preparation, network, batch = _dense(question, facts, wishes, budget, dimensions, device, reasons)
    else:
        preparation, network, batch = _whole(question, facts, wishes, budget, dimensions, device, reasons)
    optimizer, schedule, rate, decay = _optimisation(question, wishes, network["name"], reasons)
    augmentation = _augmentation(question, wishes, preparation, reasons)
    centre, scale = _scaling(question, facts, reasons)
    weights = _class_weights(question, facts, wishes, reasons)
    sampling = _sampling(question, facts, wishes, batch, reasons)
    steps = int(np.clip(np.ceil(facts.n_cases / batch), 10, 250))
    reasons["steps_per_epoch"] = f"about one look at each of {facts.n_cases} training cases, between 10 and 250 steps"
    deep = wishes.deep_supervision if isinstance(wishes.deep_supervision, bool) else question.task == "segmentation"
    reasons["deep_supervision"] = (
        "coarse stages of the network are asked for an answer too, which speeds early learning"
        if deep
        else "one answer per case has no coarse form"
        if question.task != "segmentation"
        else "switched off in project.toml"
    )
    return Plan(
        question=question,
        preparation=preparation,
        network=network,
        weights=wishes.weights if wishes.weights in ("random", "hub") else f"file {Path(wishes.weights).name}",
        loss=_loss(question, wishes, reasons),
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
        test_mirror=augmentation.mirror,
        seed=wishes.seed,
        reasons=reasons,
    )


def _loss(question: Question, wishes: Wishes, reasons: dict[str, str]) -> str:
    reasons["ema"] = (
        "the weights kept are a moving average over about 3 % of the steps" if not wishes.ema else "set in project.toml"
    )
    if wishes.loss != "auto":
        reasons["loss"] = "set in project.toml"
        return make(question, loss=wishes.loss).loss  # an unknown name is refused here
    reasons["loss"] = {
        "segmentation": "Dice is what is judged, cross-entropy is what learns steadily; their sum does both",
        "classification": "probabilities that mean what they say",
        "regression": "squares small errors and counts large ones once, so that an outlier does not lead",
    }[question.task]
    return TASKS[question.task].losses_by_name[0]


def _dimensions(facts: Fingerprint, wishes: Wishes, reasons: dict[str, str]) -> int:
    if wishes.dimensions != "auto":
        if wishes.dimensions == 3 and facts.is_planar:
            raise OverreadError("The images are planar; a 3D network has no third direction to look at.", "set dimensions = 2")
        reasons["dimensions"] = "set in project.toml"
        return int(wishes.dimensions)
    reasons["dimensions"] = "the images are planar" if facts.is_planar else "the images are volumes"
    return 2 if facts.is_planar else 3


def _spacing(facts: Fingerprint, wishes: Wishes, reasons: dict[str, str]) -> tuple[float, float, float] | None:
    """Median spacing of the training cases; along a much coarser axis the finer tenth, so that it is not blurred to the worst."""
    if not facts.spacing_known:
        reasons["spacing"] = "the files carry no spacing, so pixels stay as they are"
        return None
    if wishes.spacing != "auto":
        reasons["spacing"] = "set in project.toml"
        z, y, x = (float(v) for v in wishes.spacing)
        return z, y, x
    spacing = np.array(facts.median_spacing)
    reasons["spacing"] = f"median of the training cases, {_mm(spacing)}"
    worst = int(np.argmax(spacing))
    others = [k for k in range(3) if k != worst]
    if not facts.is_planar and spacing[worst] > 3 * max(spacing[others]):
        spacing[worst] = max(facts.spacings[1][worst], *spacing[others])
        reasons["spacing"] += f"; slices are thick, so the finer tenth is taken along that axis: {_mm(spacing)}"
    return tuple(round(float(s), 4) for s in spacing)  # type: ignore[return-value]


def _dense(
    question: Question, facts: Fingerprint, wishes: Wishes, budget: Budget, dimensions: int, device: str, reasons: dict[str, str]
) -> tuple[Preparation, dict[str, Any], int]:
    spacing = _spacing(facts, wishes, reasons)
    finest = np.array(facts.median_spacing or (1.0, 1.0, 1.0))
    edges = np.array(facts.median_shape) * finest  # field of view
    steps = np.array(spacing) if spacing is not None else finest
    if dimensions == 3 and spacing is not None and wishes.spacing == "auto":
        room = budget.patch_voxels * budget.windows
        count = float(np.prod(edges / steps))
        if count > room:
            wanted = steps.copy()
            while np.prod(edges / steps) > room:  # coarsen the finest axes first, towards cubes
                axis = int(np.argmin(steps))
                steps[axis] *= 1.02
            spacing = tuple(round(float(s), 3) for s in steps)  # type: ignore[assignment]
            reasons["spacing"] += (
                f"; the median case would have {count / 1e6:.0f} million voxels there, more than {budget.windows:.0f} windows of "
                f"{budget.patch_voxels / 1e6:.1f} million on this machine, so {_mm(wanted)} became {_mm(steps)}"
            )
    median_shape = np.maximum(np.rint(edges / steps), 1).astype(int)
    if dimensions == 2:
        median_shape[0] = 1
    patch, stages = _patch(median_shape, steps, dimensions, wishes, budget, device, reasons)
    axes = 1 if dimensions == 2 else 0
    batch = _dense_batch(patch, dimensions, wishes, budget, device, facts.n_cases, reasons)
    name = "unet" if wishes.architecture == "auto" else wishes.architecture
    reasons["architecture"] = (
        f"U-Net with {len(stages.features)} stages: each axis is halved while it has 8 voxels or more"
        if wishes.architecture == "auto"
        else "set in project.toml"
    )
    options: dict[str, Any] = {}
    if name in ("unet", "residual_unet"):
        options = {
            "features": list(stages.features),
            "kernels": [list(k) for k in stages.kernels],
            "strides": [list(s) for s in stages.strides],
        }
    if wishes.dropout:
        options["dropout"] = wishes.dropout
    outputs = len(question.classes) + (1 if question.exclusive else 0)
    network = _network(name, len(facts.channels), outputs, dimensions, "dense", options)
    normalisation = _normalisation(facts, reasons)
    preparation = Preparation(
        tuple(facts.channels),
        facts.units,
        dimensions,
        spacing,
        None,
        (1, *patch[1:]) if axes else patch,
        facts.is_planar,
        normalisation,
    )
    return preparation, network, batch


def _patch(
    median_shape: np.ndarray,
    spacing: np.ndarray,
    dimensions: int,
    wishes: Wishes,
    budget: Budget,
    device: str,
    reasons: dict[str, str],
) -> tuple[Shape, Any]:
    """The largest window of the cases' own proportions that the budget allows, and the stages for it."""
    first = 3 - dimensions
    if wishes.patch != "auto":
        size = np.array(wishes.patch)
        reasons["patch"] = "set in project.toml, made divisible for the network"
    else:
        size = np.maximum(median_shape, 1).astype(float)
        limit = budget.patch_voxels if dimensions == 3 else PLANE_VOXELS[device] // 2
        whole = np.prod(size) <= limit
        while np.prod(size) > limit:  # shorten the longest edge in millimetres first, towards a cube
            axis = int(np.argmax(size * spacing * (size > 16)))
            size[axis] *= 0.97
        reasons["patch"] = (
            "the median case fits whole" if whole else f"the largest cube-like window within {limit / 1e6:.2f} million voxels"
        )
    stages = plan_stages(
        [max(8, int(np.ceil(v))) for v in size[first:]], [float(v) for v in spacing[first:]], base_features=budget.base_features
    )
    return (1,) * first + tuple(stages.patch), stages  # type: ignore[return-value]


def _dense_batch(
    patch: Shape, dimensions: int, wishes: Wishes, budget: Budget, device: str, cases: int, reasons: dict[str, str]
) -> int:
    if wishes.batch != "auto":
        reasons["batch"] = "set in project.toml"
        return int(wishes.batch)
    room = budget.batch_voxels if dimensions == 3 else PLANE_VOXELS[device]
    batch = int(np.clip(room // np.prod(patch), 2, 4 if dimensions == 3 and device == "cpu" else 32))
    reasons["batch"] = f"{batch} windows of {np.prod(patch) / 1e3:.0f} thousand voxels keep a step near a second"
    return min(batch, max(2, cases))


def _whole(
    question: Question, facts: Fingerprint, wishes: Wishes, budget: Budget, dimensions: int, device: str, reasons: dict[str, str]
) -> tuple[Preparation, dict[str, Any], int]:
    """One answer per case: the whole image at a fixed input shape."""
    if dimensions == 2 and not facts.is_planar:
        raise OverreadError(
            f"A 2D network for one answer per volume is not offered for {question.task}.", 'leave [training] dimensions at "auto"'
        )
    longest = max(facts.median_shape)
    if facts.is_planar:
        edge = int(min(budget.image_edge_2d, longest))
        side = edge if edge <= 64 else int(np.ceil(edge / 32) * 32)
        shape: Shape = (1, side, side)
        if wishes.patch != "auto":
            shape = (1, *wishes.patch[1:])
        spacing = None
        reasons["spacing"] = "films are scaled by one factor to the input shape, aspect kept"
        reasons["patch"] = f"the median film's longer edge is {longest:.0f} pixels; at most {budget.image_edge_2d}"
    else:
        finest = np.array(facts.median_spacing or (1.0, 1.0, 1.0))
        edges = np.array(facts.median_shape) * finest
        step = np.maximum(finest, edges / budget.image_edge_3d)
        shape = tuple(int(max(8, np.ceil(e / s / 8) * 8)) for e, s in zip(edges, step, strict=True))  # type: ignore[assignment]
        spacing = (round(float(step[0]), 4), round(float(step[1]), 4), round(float(step[2]), 4)) if facts.spacing_known else None
        reasons["spacing"] = f"the median field of view in at most {budget.image_edge_3d} voxels along each axis: {_mm(step)}"
        reasons["patch"] = "the median field of view; larger ones are cropped about their middle, smaller ones padded"
    voxels = int(np.prod(shape))
    if wishes.batch != "auto":
        batch, reasons["batch"] = int(wishes.batch), "set in project.toml"
    else:
        room = PLANE_VOXELS[device] * 2 if facts.is_planar else budget.batch_voxels * 2
        batch = int(np.clip(room // voxels, 4, 64))
        batch = min(batch, max(4, facts.n_cases // 4))
        reasons["batch"] = f"{batch} images of {voxels / 1e3:.0f} thousand voxels keep a step short"
    name = ("resnet18" if facts.is_planar else "resnet10") if wishes.architecture == "auto" else wishes.architecture
    reasons["architecture"] = (
        f"{name}: a small residual network, hard to overfit and quick" if wishes.architecture == "auto" else "set in project.toml"
    )
    outputs = len(question.classes) - (1 if question.exclusive and question.ordered and len(question.classes) > 2 else 0)
    options: dict[str, Any] = {"dropout": wishes.dropout} if wishes.dropout else {}
    if name.startswith("resnet"):
        options["image_size"] = list(shape[3 - dimensions :])
        options["width"] = 64 if device == "cuda" else 32
        reasons["width"] = (
            "64 channels as published"
            if device == "cuda"
            else "half the published channels: four times as many steps in the time"
        )
    network = _network(name, len(facts.channels), outputs, dimensions, "image", options)
    normalisation = _normalisation(facts, reasons)
    preparation = Preparation(
        tuple(facts.channels), facts.units, dimensions, spacing, shape, shape, facts.is_planar, normalisation
    )
    return preparation, network, batch


def _network(name: str, channels: int, outputs: int, dimensions: int, serves: str, options: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "in_channels": channels,
        "out_channels": outputs,
        "dimensions": dimensions,
        "serves": serves,
        "options": options,
    }


def _normalisation(facts: Fingerprint, reasons: dict[str, str]) -> tuple[Normalisation, ...]:
    if facts.units in ("HU", "SUV"):
        reasons["normalisation"] = (
            f"{facts.units} mean the same on every scanner: clipped to the 0.5 to 99.5 percentile of the training cases"
            f"{' inside the structures' if facts.foreground else ''}, then scaled by their mean and spread"
        )
        where = facts.foreground or facts.intensity
        return tuple(Normalisation("window", i.p0_5, i.p99_5, i.mean, max(i.std, 1e-6)) for i in where)
    reasons["normalisation"] = "intensities have no fixed scale here, so each image is scaled by its own mean and spread"
    return tuple(Normalisation("per-image") for _ in facts.channels)


def _optimisation(question: Question, wishes: Wishes, name: str, reasons: dict[str, str]) -> tuple[str, str, float, float]:
    optimizer = "adamw" if wishes.optimizer == "auto" else wishes.optimizer
    if optimizer not in OPTIMIZERS:
        raise OverreadError(f"'{optimizer}' is no optimizer.", f"choose one of {', '.join(OPTIMIZERS)} in [training] optimizer")
    schedule = "cosine" if wishes.schedule == "auto" else wishes.schedule
    if schedule not in SCHEDULES:
        raise OverreadError(f"'{schedule}' is no schedule.", f"choose one of {', '.join(SCHEDULES)} in [training] schedule")
    usual_rate, usual_decay = OPTIMIZERS[optimizer]
    if optimizer == "adamw":
        usual_rate = 2e-3 if question.task == "segmentation" else 1e-3
        usual_decay = 1e-2 if question.task == "segmentation" else 5e-2
    if wishes.weights != "random":
        usual_rate /= 5
    rate = usual_rate if wishes.learning_rate == "auto" else float(wishes.learning_rate)
    decay = usual_decay if wishes.weight_decay == "auto" else float(wishes.weight_decay)
    reasons["optimizer"] = "learns fast in a short budget without tuning" if wishes.optimizer == "auto" else "set in project.toml"
    reasons["schedule"] = "falls to nothing exactly when the budget ends" if wishes.schedule == "auto" else "set in project.toml"
    reasons["learning_rate"] = (
        "set in project.toml"
        if wishes.learning_rate != "auto"
        else "a fifth of the usual, because the weights were loaded"
        if wishes.weights != "random"
        else f"usual for {optimizer} and {question.task}"
    )
    return optimizer, schedule, rate, decay


def _augmentation(question: Question, wishes: Wishes, preparation: Preparation, reasons: dict[str, str]) -> Augmentation:
    given = wishes.augmentation
    spacing = preparation.spacing or (1.0, 1.0, 1.0)
    in_plane = not preparation.is_planar and max(spacing) > 3 * min(spacing)
    dense = question.task == "segmentation"
    usual = Augmentation(
        mirror=(),
        rotation_degrees=15.0 if dense else 10.0,
        scale=0.2 if dense else 0.1,
        shift=0.0 if dense else 0.06,
        elastic=0.0,
        chance=0.5 if dense else 0.8,
        intensity=1.0 if dense else 0.5,
        in_plane=in_plane,
    )
    changes = {k: v for k, v in given.items() if v != "auto"}
    if "mirror" in changes:
        changes["mirror"] = tuple("zyx".index(axis) for axis in changes["mirror"])
        if changes["mirror"] and question.sided:
            raise OverreadError(
                "Mirroring is on, but the question has sides: a mirrored left would be taught as a right.",
                "set [training.augmentation] mirror = [], or [question] sided = false",
            )
    reasons["augmentation"] = "moderate rotation, size and intensity changes"
    if changes:
        reasons["augmentation"] += f"; set in project.toml: {', '.join(changes)}"
    reasons["mirror"] = (
        "set in project.toml"
        if "mirror" in changes
        else "off: images come in a known orientation, and a mirrored body does not exist"
    )
    return replace(usual, **changes)


def _scaling(question: Question, facts: Fingerprint, reasons: dict[str, str]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if question.task != "regression":
        return (), ()
    reasons["scale"] = "numbers are centred and scaled by the training cases' mean and spread"
    moments = [facts.quantities[name] for name in question.classes]
    return tuple(m["mean"] for m in moments), tuple(max(m["std"], 1e-6) for m in moments)


def _class_weights(question: Question, facts: Fingerprint, wishes: Wishes, reasons: dict[str, str]) -> tuple[float, ...]:
    if wishes.class_weights == "none" or question.task == "regression":
        reasons["class_weights"] = "none: probabilities stay near the true frequencies"
        return ()
    counts = np.array([max(1, facts.class_counts[c]) for c in question.classes], dtype=float)
    if question.task == "segmentation":
        weights = np.concatenate([[1.0], (counts.max() / counts) ** 0.5]) if question.exclusive else np.array([])
    elif question.exclusive:
        weights = counts.sum() / (len(counts) * counts)
    else:
        weights = (facts.n_cases - counts).clip(1) / counts
    reasons["class_weights"] = "balanced, as set in project.toml: probabilities will need calibration"
    return tuple(round(float(w), 4) for w in weights)


def _sampling(question: Question, facts: Fingerprint, wishes: Wishes, batch: int, reasons: dict[str, str]) -> Sampling:
    if question.task == "segmentation":
        share = 0.0 if wishes.sampling == "natural" else 1 / 3
        reasons["sampling"] = (
            "a third of the windows is centred on a structure, so that rare ones are seen" if share else "set in project.toml"
        )
        return Sampling(batch, share)
    if wishes.sampling == "balanced":
        if question.task != "classification" or not question.exclusive:
            raise OverreadError(
                "Balanced sampling needs exclusive classes.", 'set [training] sampling = "natural", or class_weights = "balanced"'
            )
        reasons["sampling"] = "each class equally often, as set in project.toml (training cases only)"
        return Sampling(batch, is_balanced=True)
    reasons["sampling"] = "each case once per pass, in a new order: natural frequencies"
    return Sampling(batch)


def _mm(spacing: Any) -> str:
    return " x ".join(f"{float(s):.3g}" for s in spacing) + " mm"
