"""What the network sees: dimensions, spacing, window or input shape, batch, network and intensities, each with its reason.

The rules for spacing, window and stages follow Isensee et al., Nature Methods 18, 203 (2021), made
smaller where there is no GPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from overread.cohort.fingerprint import Fingerprint
from overread.core.errors import OverreadError
from overread.core.preparation import Normalisation, Preparation
from overread.core.question import Question
from overread.networks import needs
from overread.networks.image.network import SMALL_IMAGE
from overread.networks.stages import plan_stages
from overread.networks.table import ARCHITECTURES
from overread.training.exam_geometry import is_over_slices, plan_slices, which_suits
from overread.training.picture_geometry import (
    UNPAIRED,
    picture_normalisation,
    refuse_pairs,
    tell_voxels_are_kept,
    usual_network,
    with_small_windows,
)
from overread.training.voxel_networks import base_features, fit_network
from overread.training.wishes import PLANE_VOXELS, Budget, Shape, Wishes


def choose_dimensions(facts: Fingerprint, wishes: Wishes, reasons: dict[str, str]) -> int:
    if wishes.dimensions != "auto":
        if wishes.dimensions == 3 and facts.is_planar:
            raise OverreadError("The images are planar; a 3D network has no third direction to look at.", "set dimensions = 2")
        reasons["dimensions"] = "set in project.toml"
        return int(wishes.dimensions)
    reasons["dimensions"] = "the images are planar" if facts.is_planar else "the images are volumes"
    return 2 if facts.is_planar else 3


def choose_spacing(facts: Fingerprint, wishes: Wishes, reasons: dict[str, str]) -> tuple[float, float, float] | None:
    """Median spacing of the training cases; along a much coarser axis the finer tenth, so that it is not blurred to the worst."""
    if not facts.spacing_known:
        reasons["spacing"] = "the files carry no spacing, so pixels stay as they are"
        return None
    if wishes.spacing != "auto":
        reasons["spacing"] = "set in project.toml"
        z, y, x = (float(v) for v in wishes.spacing)
        return z, y, x
    spacing = np.array(facts.median_spacing)
    reasons["spacing"] = f"median of the training cases, {in_mm(spacing)}"
    worst = int(np.argmax(spacing))
    others = [k for k in range(3) if k != worst]
    if not facts.is_planar and spacing[worst] > 3 * max(spacing[others]):
        spacing[worst] = max(facts.spacings[1][worst], *spacing[others])
        reasons["spacing"] += f"; slices are thick, so the finer tenth is taken along that axis: {in_mm(spacing)}"
    return tuple(round(float(s), 4) for s in spacing)  # type: ignore[return-value]


def for_voxels(
    question: Question, facts: Fingerprint, wishes: Wishes, budget: Budget, dimensions: int, device: str, reasons: dict[str, str]
) -> tuple[Preparation, dict[str, Any], int]:
    if question.is_of_pictures and wishes.spacing == "auto":
        spacing = None
        tell_voxels_are_kept(reasons)
    else:
        spacing = choose_spacing(facts, wishes, reasons)
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
                f"{budget.patch_voxels / 1e6:.1f} million on this machine, so {in_mm(wanted)} became {in_mm(steps)}"
            )
    median_shape = np.maximum(np.rint(edges / steps), 1).astype(int)
    if dimensions == 2:
        median_shape[0] = 1
    smaller = with_small_windows(question, wishes.architecture, budget, dimensions, device)
    patch, stages = plan_window(median_shape, steps, dimensions, wishes, smaller, device, reasons)
    if wishes.patch == "auto" and smaller.patch_voxels < budget.patch_voxels:
        reasons["patch"] += ": every voxel is a truth, and more steps in the time teach more than wider windows"
    reasons["architecture"] = "set in project.toml"
    name = usual_network(question, len(stages.features), reasons) if wishes.architecture == "auto" else wishes.architecture
    refuse_pairs(question, "architecture", name, UNPAIRED)
    options, patch = fit_network(name, dimensions, stages, patch, wishes, device, reasons)
    axes = 1 if dimensions == 2 else 0
    batch = _dense_batch(name, patch, dimensions, wishes, budget, device, facts.n_cases, reasons)
    outputs = len(question.classes) + (1 if question.exclusive and not question.is_of_pictures else 0)
    serves = "pictures" if question.is_of_pictures and needs.answers_with_pictures(name) else "dense"
    network = network_row(name, len(facts.channels), outputs, dimensions, serves, options)
    answer: tuple[Normalisation, ...] = ()
    if question.is_of_pictures:
        normalisation, answer = picture_normalisation(question, facts, reasons)
    else:
        normalisation = choose_normalisation(facts, reasons)
    preparation = Preparation(
        tuple(facts.channels),
        facts.units,
        dimensions,
        spacing,
        None,
        (1, *patch[1:]) if axes else patch,
        facts.is_planar,
        normalisation,
        answer=answer,
    )
    return preparation, network, batch


def plan_window(
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
    window = [max(8, int(np.ceil(v))) for v in size[first:]]
    width = base_features(wishes, budget)
    stages = plan_stages(window, [float(v) for v in spacing[first:]], base_features=width)
    return (1,) * first + tuple(stages.patch), stages  # type: ignore[return-value]


def _dense_batch(
    name: str, patch: Shape, dimensions: int, wishes: Wishes, budget: Budget, device: str, cases: int, reasons: dict[str, str]
) -> int:
    if wishes.batch != "auto":
        reasons["batch"] = "set in project.toml"
        return int(wishes.batch)
    if name == UNPAIRED:
        reasons["batch"] = "one image of each kind a step, as published: more steps in the time teach more"
        return 1
    room = budget.batch_voxels if dimensions == 3 else PLANE_VOXELS[device]
    # On a processor two windows a step, not more: a short budget runs out of steps before it runs out of cases.
    batch = int(np.clip(room // np.prod(patch), 2, 2 if dimensions == 3 and device == "cpu" else 32))
    batch = min(batch, max(2, cases))
    reasons["batch"] = f"{batch} windows of {np.prod(patch) / 1e3:.0f} thousand voxels: more steps in the time teach more"
    return batch


def for_cases(
    question: Question, facts: Fingerprint, wishes: Wishes, budget: Budget, dimensions: int, device: str, reasons: dict[str, str]
) -> tuple[Preparation, dict[str, Any], int]:
    """One answer per case: the whole image at a fixed input shape."""
    if dimensions == 2 and not facts.is_planar:
        raise OverreadError(
            f"A 2D network for one answer per volume is not offered for {question.task}.",
            'leave [training] dimensions at "auto"; architecture = "slices_attention" takes a 2D network to each slice',
        )
    if is_over_slices(wishes.architecture):
        return _over_slices(question, facts, wishes, budget, device, reasons)
    if wishes.spacing != "auto" and facts.is_planar:
        raise OverreadError(
            "[training] spacing is set, but films are scaled to an input shape.",
            "set [training] patch = [1, height, width] instead",
        )
    shape, spacing = whole_shape(facts, wishes, budget, reasons)
    batch = whole_batch(shape, facts, wishes, budget, device, reasons)
    name = ("resnet18" if facts.is_planar else "resnet10") if wishes.architecture == "auto" else wishes.architecture
    reasons["architecture"] = (
        f"{name}: a small residual network, hard to overfit and quick" if wishes.architecture == "auto" else "set in project.toml"
    )
    if not facts.is_planar:
        reasons["architecture"] += f"; {which_suits(facts)}"
    outputs = _outputs(question)
    options: dict[str, Any] = {"dropout": wishes.dropout} if wishes.dropout else {}
    takes = ARCHITECTURES[name].options if name in ARCHITECTURES else {}
    if "image_size" in takes:
        options["image_size"] = list(shape[3 - dimensions :])
    if "width" in wishes.network:
        reasons["width"] = "set in project.toml"
    elif "width" in takes:
        options["width"], reasons["width"] = _width(takes["width"], max(shape), device)
    network = network_row(name, len(facts.channels), outputs, dimensions, "image", {**options, **wishes.network})
    normalisation = choose_normalisation(facts, reasons)
    preparation = Preparation(
        tuple(facts.channels), facts.units, dimensions, spacing, shape, shape, facts.is_planar, normalisation
    )
    return preparation, network, batch


def whole_shape(
    facts: Fingerprint, wishes: Wishes, budget: Budget, reasons: dict[str, str]
) -> tuple[Shape, tuple[float, float, float] | None]:
    """The fixed shape at which a whole image is read, and the spacing there, where it is known."""
    longest = max(facts.median_shape)
    if facts.is_planar:
        edge = int(min(budget.image_edge_2d, longest))
        side = edge if edge <= 64 else int(np.ceil(edge / 32) * 32)
        shape: Shape = (1, side, side)
        spacing = None
        reasons["spacing"] = "films are scaled by one factor to the input shape, aspect kept"
        reasons["patch"] = f"the median film's longer edge is {longest:.0f} pixels; at most {budget.image_edge_2d}"
    else:
        finest = np.array(facts.median_spacing or (1.0, 1.0, 1.0))
        edges = np.array(facts.median_shape) * finest
        step = np.maximum(finest, edges / budget.image_edge_3d) if wishes.spacing == "auto" else np.array(wishes.spacing, float)
        shape = tuple(int(max(8, np.ceil(e / s / 8) * 8)) for e, s in zip(edges, step, strict=True))  # type: ignore[assignment]
        spacing = (round(float(step[0]), 4), round(float(step[1]), 4), round(float(step[2]), 4)) if facts.spacing_known else None
        reasons["spacing"] = f"the median field of view in at most {budget.image_edge_3d} voxels along each axis: {in_mm(step)}"
        reasons["patch"] = "the median field of view; larger ones are cropped about their middle, smaller ones padded"
        if wishes.spacing != "auto":
            reasons["spacing"] = "set in project.toml"
    if wishes.patch != "auto":
        shape = (1, *wishes.patch[1:]) if facts.is_planar else tuple(wishes.patch)  # type: ignore[assignment]
        reasons["patch"] = "set in project.toml"
    return shape, spacing


def whole_batch(shape: Shape, facts: Fingerprint, wishes: Wishes, budget: Budget, device: str, reasons: dict[str, str]) -> int:
    if wishes.batch != "auto":
        reasons["batch"] = "set in project.toml"
        return int(wishes.batch)
    voxels = int(np.prod(shape))
    room = PLANE_VOXELS[device] * 2 if facts.is_planar else budget.batch_voxels * 2
    batch = int(np.clip(room // voxels, 4, 64))
    batch = min(batch, max(4, facts.n_cases // 4))
    reasons["batch"] = f"{batch} images of {voxels / 1e3:.0f} thousand voxels keep a step short"
    return batch


def _over_slices(
    question: Question, facts: Fingerprint, wishes: Wishes, budget: Budget, device: str, reasons: dict[str, str]
) -> tuple[Preparation, dict[str, Any], int]:
    """One answer per volume from its slices."""
    seen = plan_slices(facts, wishes, budget, device, reasons)
    network = network_row(wishes.architecture, len(facts.channels), _outputs(question), 3, "image", seen.options)
    normalisation = choose_normalisation(facts, reasons)
    channels, shape = tuple(facts.channels), seen.shape
    return Preparation(channels, facts.units, 3, seen.spacing, shape, shape, False, normalisation), network, seen.batch


def _outputs(question: Question) -> int:
    """Of classification and regression: one per class or quantity, of grades one less."""
    is_graded = question.exclusive and question.ordered and len(question.classes) > 2
    return len(question.classes) - (1 if is_graded else 0)


def _width(published: int, longest: int, device: str) -> tuple[int, str]:
    """Channels of a network's first stage. On a processor steps are worth more than channels: on tuning images of
    28 pixels a quarter of the channels of a ResNet learned more in the same time than a half."""
    if device == "cuda":
        return published, f"{published} channels as published"
    if longest <= SMALL_IMAGE:
        reason = "a quarter of the published channels: small images need few, and a processor then makes many more steps"
        return published // 4, reason
    return published // 2, "half the published channels: four times as many steps in the time"


def network_row(name: str, channels: int, outputs: int, dimensions: int, serves: str, options: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "in_channels": channels,
        "out_channels": outputs,
        "dimensions": dimensions,
        "serves": serves,
        "options": {
            key: list(value) if isinstance(value, tuple) else value for key, value in options.items()
        },  # as a file has it
    }


def choose_normalisation(facts: Fingerprint, reasons: dict[str, str]) -> tuple[Normalisation, ...]:
    units = facts.units.split(", ") if ", " in facts.units else [facts.units] * len(facts.channels)  # CT with PET: one each
    if any(u in ("HU", "SUV") for u in units):
        reasons["normalisation"] = (
            f"{facts.units} mean the same on every scanner: clipped to the 0.5 to 99.5 percentile of the training cases"
            f"{' inside the structures' if facts.foreground else ''}, then scaled by their mean and spread"
        )
        where = facts.foreground or facts.intensity
        fixed = [Normalisation("window", i.p0_5, i.p99_5, i.mean, max(i.std, 1e-6)) for i in where]
        return tuple(n if u in ("HU", "SUV") else Normalisation("per-image") for n, u in zip(fixed, units, strict=True))
    reasons["normalisation"] = "intensities have no fixed scale here, so each image is scaled by its own mean and spread"
    return tuple(Normalisation("per-image") for _ in facts.channels)


def in_mm(spacing: Any) -> str:
    return " x ".join(f"{float(s):.3g}" for s in spacing) + " mm"
