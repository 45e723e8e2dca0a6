"""What a network over slices sees: along which axis slices run, how many, how finely, and how many go through it at once.

A 2D network on each slice costs less than a 3D one on all of them, so the plane keeps more of its resolution than a cube would,
and thick slices are left as they are: nothing is interpolated between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from overread.cohort.fingerprint import Fingerprint
from overread.core.errors import OverreadError
from overread.networks.exam.encoder import ENCODERS
from overread.networks.exam.rows import NAMES
from overread.networks.image.network import SMALL_IMAGE
from overread.training.wishes import Budget, Shape, Wishes

PLANE_EDGE = {"cpu": 128, "cuda": 384}  # pixels of a slice at most
MOST_SLICES = {"cpu": 48, "cuda": 160}  # of a volume
KEPT_PIXELS = {"cpu": 8_000_000, "cuda": 32_000_000}  # of one step whose maps fit into memory; beyond, they are made twice
SMALLEST = 32  # pixels of a slice: up to here an encoder's stem may keep the resolution on a processor
THICK = 2.0  # slices so many times thicker than pixels are wide are better read one by one
ONE_WAY = 1.5  # an axis so many times coarser than the others is the one that slices follow each other along
LONG = 3  # row of the fingerprint's percentiles: nine of ten cases are no longer
AXES = ("from foot to head", "from front to back", "from right to left")


def is_over_slices(name: str) -> bool:
    return name in NAMES


@dataclass(frozen=True)
class SlicesPlan:
    """shape (Z, Y, X) voxels; spacing mm, None where it is unknown; batch volumes; options of the network."""

    shape: Shape
    spacing: tuple[float, float, float] | None
    batch: int
    options: dict[str, Any]


def plan_slices(facts: Fingerprint, wishes: Wishes, budget: Budget, device: str, reasons: dict[str, str]) -> SlicesPlan:
    """Everything that a network over slices is given, each choice with its reason."""
    if facts.is_planar:
        raise OverreadError(
            f"{wishes.architecture} reads the slices of volumes, and the images are planar.",
            'set [training] architecture = "resnet18", or leave it at "auto"',
        )
    finest = np.array(facts.median_spacing or (1.0, 1.0, 1.0))
    axis = _axis(finest, wishes, reasons)
    step = _steps(facts, finest, axis, wishes, device, reasons)
    shape = _shape(facts, finest, step, axis, wishes, device, reasons)
    batch = _batch(shape, wishes, budget, facts.n_cases, reasons)
    known = facts.spacing_known
    spacing = (round(float(step[0]), 4), round(float(step[1]), 4), round(float(step[2]), 4)) if known else None
    return SlicesPlan(shape, spacing, batch, _options(wishes, shape, axis, batch, device, facts, reasons))


def which_suits(facts: Fingerprint) -> str:
    """A sentence on whether volumes like these are better read slice by slice or as a whole."""
    if not facts.median_spacing:
        return "the files carry no spacing, so nothing says whether slices are thick"
    spacing = np.array(facts.median_spacing)
    thick, fine = float(spacing.max()), float(spacing.min())
    told = f"slices are {thick:.3g} mm apart and pixels {fine:.3g} mm wide"
    if thick >= THICK * fine:
        return f"{told}: a network over slices (slices_attention) suits such volumes, a 3D one sees little across them"
    return f"{told}: nearly cubes, in which a 3D network sees shapes across slices; a network over slices keeps finer pixels"


def _axis(finest: np.ndarray, wishes: Wishes, reasons: dict[str, str]) -> int:
    if "axis" in wishes.network:
        reasons["slices"] = "their direction is set in project.toml"
        return int(wishes.network["axis"])
    coarsest = int(np.argmax(finest))
    others = np.delete(finest, coarsest)
    axis = coarsest if finest[coarsest] >= ONE_WAY * others.max() else 0
    told = f"slices follow each other {AXES[axis]}"
    reasons["slices"] = f"{told}, as most were acquired" if finest[axis] >= ONE_WAY * np.delete(finest, axis).max() else told
    return axis


def _steps(facts: Fingerprint, finest: np.ndarray, axis: int, wishes: Wishes, device: str, reasons: dict[str, str]) -> np.ndarray:
    """(3,) mm between voxels, or files' pixels where the spacing is unknown."""
    if wishes.spacing != "auto":
        reasons["spacing"] = "set in project.toml"
        return np.array(wishes.spacing, dtype=float)
    edges = np.array(facts.median_shape) * finest
    in_plane = np.delete(np.arange(3), axis)
    pixel = max(float(finest[in_plane].max()), float(edges[in_plane].max()) / PLANE_EDGE[device])
    step = np.full(3, pixel)
    if not facts.spacing_known:  # one factor for all axes, for nothing says how they compare
        reasons["spacing"] = "the files carry no spacing, so volumes are scaled by one factor to the input shape"
        return step
    longest = facts.shapes[-1][axis] * finest[axis]
    if longest / finest[axis] > MOST_SLICES[device]:
        longest = facts.shapes[LONG][axis] * finest[axis]
    step[axis] = max(float(finest[axis]), longest / MOST_SLICES[device])
    kept = "as they are" if step[axis] == finest[axis] else f"of {finest[axis]:.3g} mm joined to {step[axis]:.3g} mm"
    reasons["spacing"] = f"slices {kept}, at most {MOST_SLICES[device]} of them; pixels of {pixel:.3g} mm in their plane"
    return step


def _shape(
    facts: Fingerprint, finest: np.ndarray, step: np.ndarray, axis: int, wishes: Wishes, device: str, reasons: dict[str, str]
) -> Shape:
    if wishes.patch != "auto":
        reasons["patch"] = "set in project.toml"
        return int(wishes.patch[0]), int(wishes.patch[1]), int(wishes.patch[2])
    sizes = np.ceil(np.array(facts.median_shape) * finest / step / 8) * 8
    slices = np.ceil(facts.shapes[-1][axis] * finest[axis] / step[axis])
    sizes[axis] = min(slices, MOST_SLICES[device])
    reach = "every training case" if slices <= MOST_SLICES[device] else "nine of ten training cases; longer ones lose their ends"
    reasons["patch"] = (
        f"all slices of {reach}, at the median field of view in their plane; padding around shorter volumes has no say"
    )
    z, y, x = (int(max(8, size)) if place != axis else int(max(1, size)) for place, size in enumerate(sizes))
    return z, y, x


def _batch(shape: Shape, wishes: Wishes, budget: Budget, cases: int, reasons: dict[str, str]) -> int:
    if wishes.batch != "auto":
        reasons["batch"] = "set in project.toml"
        return int(wishes.batch)
    voxels = int(np.prod(shape))
    batch = min(int(np.clip(budget.batch_voxels * 4 // voxels, 2, 16)), max(2, cases // 4))
    reasons["batch"] = f"{batch} volumes of {voxels / 1e3:.0f} thousand voxels keep a step short"
    return batch


def _options(
    wishes: Wishes, shape: Shape, axis: int, batch: int, device: str, facts: Fingerprint, reasons: dict[str, str]
) -> dict[str, Any]:
    options: dict[str, Any] = {"axis": axis, "image_size": list(shape)}
    if wishes.dropout:
        options["dropout"] = wishes.dropout
    pixels = int(np.prod(shape)) * batch
    if pixels > KEPT_PIXELS[device]:
        plane = int(np.prod(shape)) // shape[axis]
        options["chunk"] = max(1, KEPT_PIXELS[device] // plane)
        reasons["chunk"] = (
            f"a step has {pixels / 1e6:.0f} million pixels; maps of {options['chunk']} slices are kept at a time, and those "
            "of the others made twice"
        )
    asked = {**options, **wishes.network}
    row = ENCODERS.get(asked.get("encoder", "resnet18"))
    given = dict(asked.get("encoder_options") or {})
    if row is not None and device == "cpu" and "width" in row.options and "width" not in given and wishes.weights == "random":
        given["width"] = row.options["width"] // 2
        reasons["width"] = "the encoder has half the published channels: four times as many steps in the time"
    longest = max(n for place, n in enumerate(shape) if place != axis)
    if row is not None and device == "cpu" and "keeps_size" in row.options and SMALLEST < longest <= SMALL_IMAGE:
        given.setdefault("keeps_size", False)  # its stem would keep the resolution of every slice, sixteen times the work
    reasons["architecture"] = f"set in project.toml; {which_suits(facts)}"
    return {**asked, "encoder_options": given}
