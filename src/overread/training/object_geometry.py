"""What a network of objects sees, chosen from the sizes of the objects: input shape or window, spacing, stride, anchors.

A place of the network's answer must not be much larger than the objects, or two of them share one place and small ones leave
no trace. So the grid is made as coarse as the small objects allow (it is what costs time), and the stride follows from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from overread.cohort.fingerprint import Fingerprint
from overread.core.errors import OverreadError
from overread.core.preparation import Preparation
from overread.core.question import Question
from overread.networks.stages import Stages, plan_stages
from overread.training.geometry import choose_normalisation, choose_spacing, in_mm, network_row, plan_window
from overread.training.object_networks import choose_network, options_of
from overread.training.wishes import PLANE_VOXELS, Budget, Shape, Wishes

CELLS = 2.5  # strides that the 10th percentile of the objects should span at least
CELLS_OF_A_VOLUME = 1.5  # for strides of 2 in 3D, where a stride of 1 makes a step 2.6 times as long
LEAST_STRIDE, USUAL_STRIDE = 2, 4
AMPLE = {"cpu": 24.0, "cuda": 64.0}  # pixels across the small objects beyond which a larger film teaches less than more steps
LEAST_EDGE = 128
GAIN = 1.02
OBJECT_WINDOW = {"cpu": 131_072}  # voxels. Tuning cases of phantom metastases: a third the usual window found more in less time
ROOM = 2.0  # times the extent of the large objects


def for_objects(
    question: Question, facts: Fingerprint, wishes: Wishes, budget: Budget, dimensions: int, device: str, reasons: dict[str, str]
) -> tuple[Preparation, dict[str, Any], int]:
    """Preparation, network and batch of a question of objects."""
    if dimensions == 2 and not facts.is_planar:
        raise OverreadError(
            f"A 2D network for volumes is not offered for {question.task}.", 'leave [training] dimensions at "auto"'
        )
    name, route = choose_network(question, facts, wishes, dimensions, reasons)
    small = smallest(facts)
    if dimensions == 2:
        spacing, shape, stages, scale = _plane(facts, small, wishes, budget, device, reasons)
    else:
        spacing, stages, scale = _volume(facts, small, wishes, budget, device, reasons)
        shape = None
    patch: Shape = (1, *stages.patch) if dimensions == 2 else tuple(stages.patch)  # type: ignore[assignment]
    seen = {n: np.array(f.sizes, dtype=float) * scale for n, f in facts.objects.items() if f.count}
    step = stride_of(small * scale, dimensions)
    options, patch = options_of(name, wishes, stages, patch, device, seen, step, reasons)
    shape = patch if shape is not None else None
    outputs = len(question.classes) + (1 if route == "dense" else 0)
    network = network_row(name, len(facts.channels), outputs, dimensions, route, options)
    batch = _batch(patch, dimensions, wishes, budget, device, facts.n_cases, reasons)
    preparation = Preparation(
        tuple(facts.channels),
        facts.units,
        dimensions,
        spacing,
        shape,
        patch,
        facts.is_planar,
        choose_normalisation(facts, reasons),
    )
    return preparation, network, batch


def smallest(facts: Fingerprint) -> np.ndarray:
    """(3,) Z, Y, X in voxels of the canonical grid: the 10th percentile of the objects' extents, of the smallest class."""
    rows: np.ndarray = np.array([f.sizes for f in facts.objects.values() if f.count], dtype=float)  # (K, 5, 3)
    result: np.ndarray = rows[:, 1].min(axis=0)
    return result


def stride_of(small: np.ndarray, dimensions: int) -> tuple[int, ...]:
    """Largest step of the answer along each axis: 4 where small objects span 2.5 of them, 2 where they do (1.5 in 3D), else 1.

    small  (3,) Z, Y, X extents in voxels that the network sees; long and slim objects lie either way, so in the plane the
           mean of both counts
    """
    across = float(np.sqrt(small[1] * small[2]))
    small = np.array([small[0], across, across])
    least = {USUAL_STRIDE: CELLS, LEAST_STRIDE: CELLS if dimensions == 2 else CELLS_OF_A_VOLUME}
    return tuple(int(next((s for s, cells in least.items() if e >= cells * s), 1)) for e in small[3 - dimensions :])


def seen_sizes(facts: Fingerprint, preparation: Preparation) -> Mapping[str, np.ndarray]:
    """Class -> (5, 3) percentiles of the objects' extents in voxels of the prepared grid."""
    factor = np.ones(3)
    if preparation.spacing is not None and facts.median_spacing is not None:
        factor = np.array(facts.median_spacing) / np.array(preparation.spacing)
    elif preparation.shape is not None:
        factor = np.full(3, _fit(facts, preparation.shape))
    factor[0] = 1.0 if preparation.dimensions == 2 else factor[0]
    return {name: np.array(f.sizes, dtype=float) * factor for name, f in facts.objects.items() if f.count}


def _fit(facts: Fingerprint, shape: Shape) -> float:
    return float(min(shape[k] / facts.median_shape[k] for k in (1, 2)))


def _plane(
    facts: Fingerprint, small: np.ndarray, wishes: Wishes, budget: Budget, device: str, reasons: dict[str, str]
) -> tuple[tuple[float, float, float] | None, Shape | None, Stages, np.ndarray]:
    """The whole film at a fixed shape where its small objects survive that, else windows at as coarse a spacing as they allow."""
    median = np.array(facts.median_shape)[1:]
    across = float(np.sqrt(np.prod(small[1:])))
    ample = max(LEAST_EDGE, AMPLE[device] / across * float(median.max()))
    edge = min(budget.object_edge_2d, float(median.max()), ample)
    factor = edge / float(median.max())
    if wishes.spacing == "auto" and (wishes.patch != "auto" or across * factor >= CELLS * LEAST_STRIDE):
        window = np.array(wishes.patch[1:], float) if wishes.patch != "auto" else np.ceil(median * factor / 32) * 32
        stages = plan_stages([int(v) for v in window], [1.0, 1.0], base_features=budget.base_features)
        shape: Shape = (1, stages.patch[0], stages.patch[1])
        factor = _fit(facts, shape)
        reasons["spacing"] = "films are scaled by one factor to the input shape, aspect kept"
        reasons["patch"] = (
            "set in project.toml"
            if wishes.patch != "auto"
            else (
                f"the whole film fits in {shape[1]} x {shape[2]}: the small objects (10th percentile) are {across:.0f} pixels "
                f"across, and {across * factor:.0f} there"
                + (", enough for their outline: more steps in the time teach more than more pixels" if edge == ample else "")
            )
        )
        return None, shape, stages, np.array([1.0, factor, factor])
    spacing, scale = None, 1.0
    if facts.spacing_known:
        own = np.array(facts.median_spacing)
        wanted = min(1.0, CELLS * USUAL_STRIDE / across)
        steps = own / wanted if wishes.spacing == "auto" else np.array(wishes.spacing, float)
        spacing = (round(float(own[0]), 4), round(float(steps[1]), 4), round(float(steps[2]), 4))
        scale = float(own[1] / spacing[1])
    elif wishes.spacing != "auto":
        raise OverreadError(
            "[training] spacing is set, but the files carry no spacing.", "set [training] patch = [1, height, width] instead"
        )
    reasons["spacing"] = (
        "set in project.toml"
        if wishes.spacing != "auto"
        else f"the small objects (10th percentile) are {across:.0f} pixels across; scaled to {edge:.0f} pixels they would be "
        f"{across * factor:.1f}, so windows are read"
        + (f" at {in_mm(spacing)}, where they are {across * scale:.0f}" if spacing else " of the pixels as they are")
    )
    whole = np.maximum(np.concatenate([[1.0], median * scale]), 1)
    _, stages = plan_window(whole, np.ones(3), 2, wishes, budget, device, reasons)
    return spacing, None, stages, np.array([1.0, scale, scale])


def _volume(
    facts: Fingerprint, small: np.ndarray, wishes: Wishes, budget: Budget, device: str, reasons: dict[str, str]
) -> tuple[tuple[float, float, float] | None, Stages, np.ndarray]:
    """Coarser than the median spacing only where reading would take too many windows, and never so that small objects vanish."""
    spacing = choose_spacing(facts, wishes, reasons)
    own = np.array(facts.median_spacing or (1.0, 1.0, 1.0))
    steps = np.array(spacing) if spacing is not None else own.copy()
    edges = np.array(facts.median_shape) * own
    if spacing is not None and wishes.spacing == "auto":
        room = budget.patch_voxels * budget.windows
        coarsest = np.maximum(small * own / (CELLS * LEAST_STRIDE), steps)
        before = steps.copy()
        while np.prod(edges / steps) > room and (steps < coarsest - 1e-9).any():
            axis = int(np.argmin(np.where(steps < coarsest - 1e-9, steps, np.inf)))  # the finest first, towards cubes
            steps[axis] = min(steps[axis] * GAIN, coarsest[axis])
        spacing = (round(float(steps[0]), 3), round(float(steps[1]), 3), round(float(steps[2]), 3))
        if not np.allclose(before, steps):
            reasons["spacing"] += f"; coarser, {in_mm(steps)}, so that a case is read in few windows"
        if np.prod(edges / steps) > 1.05 * room:
            reasons["spacing"] += (
                f"; not coarser: the small objects (10th percentile {in_mm(small * own)}) would be lost. "
                f"A case takes about {np.prod(edges / steps) / budget.patch_voxels:.0f} windows to read"
            )
    median = np.maximum(np.rint(edges / steps), 1).astype(int)
    small_enough = replace(budget, patch_voxels=_window_voxels(facts, own / steps, budget, device))
    _, stages = plan_window(median, steps, 3, wishes, small_enough, device, reasons)
    if wishes.patch == "auto" and small_enough.patch_voxels < budget.patch_voxels:
        reasons["patch"] += ": objects fill a small part of a volume, and more steps in the time teach more than wider windows"
    return spacing, stages, own / steps


def _window_voxels(facts: Fingerprint, scale: np.ndarray, budget: Budget, device: str) -> int:
    """Voxels of a window: few, so that there are many steps, but room for the 90th percentile of objects and as much around."""
    if device not in OBJECT_WINDOW:
        return budget.patch_voxels
    large: np.ndarray = np.array([f.sizes for f in facts.objects.values() if f.count], dtype=float)[:, 3].max(axis=0) * scale
    return int(np.clip(np.prod(ROOM * large), OBJECT_WINDOW[device], budget.patch_voxels))


def _batch(
    patch: Shape, dimensions: int, wishes: Wishes, budget: Budget, device: str, cases: int, reasons: dict[str, str]
) -> int:
    if wishes.batch != "auto":
        reasons["batch"] = "set in project.toml"
        return int(wishes.batch)
    room = budget.batch_voxels if dimensions == 3 else PLANE_VOXELS[device] * 4 // 3
    batch = int(np.clip(room // np.prod(patch), 2, 2 if dimensions == 3 and device == "cpu" else 16))
    batch = min(batch, max(2, cases))
    reasons["batch"] = f"{batch} images of {np.prod(patch) / 1e3:.0f} thousand voxels: more steps in the time teach more"
    return batch
