"""All per-case metrics of one truth and one answer that are label maps, structure by structure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import LabelMap
from overread.core.score import Score
from overread.metrics import overlap, surface

PLANAR = "a 2D image has no volume"


@dataclass(frozen=True)
class StructureScores:
    """The metrics of one structure in one case.

    scores                 metric key -> Score
    truth_ml, answer_ml    volumes; None where the spacing is not known or the image is 2D
    in_truth, in_answer    the structure holds at least one voxel there
    """

    scores: dict[str, Score]
    truth_ml: float | None
    answer_ml: float | None
    in_truth: bool
    in_answer: bool


def score_label_maps(
    truth: LabelMap, answer: LabelMap, names: tuple[str, ...], tolerance_mm: float
) -> dict[str, StructureScores]:
    """Metrics of every named structure.

    truth, answer  on one grid; a structure may lie in different layers of them
    tolerance_mm   of the surface Dice
    """
    if truth.grid.shape != answer.grid.shape:
        raise OverreadError(f"Truth and answer lie on different grids: {truth.grid.shape} and {answer.grid.shape} voxels.")
    boxes = [_boxes(label_map) for label_map in (truth, answer)]
    return {name: _score_structure(truth, answer, name, boxes, tolerance_mm) for name in names}


def _boxes(label_map: LabelMap) -> dict[str, tuple[slice, ...] | None]:
    """The bounding box of each structure, found in one pass over what each layer holds."""
    found = [_objects(layer) for layer in label_map.layers]
    return {s.name: found[s.layer].get(s.value) for s in label_map.structures}


def _objects(layer: np.ndarray) -> dict[int, tuple[slice, ...]]:
    """Value -> its bounding box; slices and rows of nothing are left out first, which is most of a body scan."""
    slices = _extent(layer.max(axis=(1, 2), initial=0))
    shadow = layer[slices].max(axis=0, initial=0)
    box = (slices, _extent(shadow.max(axis=1, initial=0)), _extent(shadow.max(axis=0, initial=0)))
    inside = layer[box]
    if not inside.size:
        return {}
    found = ndimage.find_objects(inside if inside.dtype.kind in "iu" else inside.astype(np.int32))
    return {
        value: tuple(slice(outer.start + own.start, outer.start + own.stop) for outer, own in zip(box, place, strict=True))
        for value, place in enumerate(found, 1)
        if place is not None
    }


def _extent(line: np.ndarray) -> slice:
    """From the first to the last place that is not 0."""
    places = np.flatnonzero(line)
    return slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 0)


def _score_structure(
    truth: LabelMap, answer: LabelMap, name: str, boxes: list[dict[str, tuple[slice, ...] | None]], tolerance_mm: float
) -> StructureScores:
    box = _union(boxes[0].get(name), boxes[1].get(name))
    masks = [_crop(label_map, name, box) for label_map in (truth, answer)]
    counts = overlap.count(*masks)
    voxel_ml, no_volume = _voxel(truth.grid)
    scores = {
        "dice": overlap.dice(counts),
        "iou": overlap.iou(counts),
        "voxel_sensitivity": overlap.voxel_sensitivity(counts),
        "voxel_ppv": overlap.voxel_ppv(counts),
        "volume_error_ml": overlap.volume_error_ml(counts, voxel_ml, no_volume),
        "volume_error_percent": overlap.volume_error_percent(counts),
        "absolute_volume_error_percent": overlap.absolute_volume_error_percent(counts),
        **_surface_scores(counts, masks, truth.grid, tolerance_mm),
    }
    volumes = [None if voxel_ml is None else n * voxel_ml for n in (counts.truth, counts.answer)]
    return StructureScores(scores, volumes[0], volumes[1], counts.truth > 0, counts.answer > 0)


def _surface_scores(counts: overlap.Counts, masks: list[np.ndarray], grid: Grid, tolerance_mm: float) -> dict[str, Score]:
    absent = counts.absence or ("" if grid.spacing_known else surface.NO_SPACING)
    if absent:
        return {key: Score(None, absent) for key in ("hd95", "assd", "surface_dice")}
    distances = surface.surface_distances(masks[0], masks[1], grid.spacing_mm)  # a planar mask has one slice, which adds nothing
    return {
        "hd95": surface.hd95(distances),
        "assd": surface.average_surface_distance(distances),
        "surface_dice": surface.surface_dice(distances, tolerance_mm),
    }


def _voxel(grid: Grid) -> tuple[float | None, str]:
    if grid.is_planar:
        return None, PLANAR
    return (grid.voxel_ml, "") if grid.spacing_known else (None, "the images have no spacing, so a volume in ml does not exist")


def _union(first: tuple[slice, ...] | None, second: tuple[slice, ...] | None) -> tuple[slice, ...] | None:
    if first is None or second is None:
        return first or second
    return tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(first, second, strict=True))


def _crop(label_map: LabelMap, name: str, box: tuple[slice, ...] | None) -> np.ndarray:
    """(Z, Y, X) bool inside the box with a margin of one voxel of nothing, so that the box is no surface of its own."""
    structure = next((s for s in label_map.structures if s.name == name), None)
    if box is None or structure is None:
        shape = (0, 0, 0) if box is None else tuple(s.stop - s.start for s in box)
        return np.zeros(shape, bool) if box is None else _margin(np.zeros(shape, bool), label_map.grid.is_planar)
    return _margin(label_map.layers[structure.layer][box] == structure.value, label_map.grid.is_planar)


def _margin(mask: np.ndarray, is_planar: bool) -> np.ndarray:
    return np.pad(mask, [(0, 0) if is_planar else (1, 1), (1, 1), (1, 1)])
