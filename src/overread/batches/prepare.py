"""The preparation, applied to an image or a truth, and undone for an answer.

This is the only place where it happens; training and reading both come here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from overread.batches.clinical import told
from overread.batches.objects import (
    ObjectTable,
    PreparedObjects,
    boxes_between,
    boxes_of_numbers,
    number_layers,
    resample_numbers,
)
from overread.core.errors import OverreadError, Refused
from overread.core.grid import Grid
from overread.core.image import Image, cropped, reorient, reorient_back
from overread.core.kinds import Boxes, Instances, LabelMap, Picture, Piece
from overread.core.preparation import Normalisation, Preparation
from overread.core.region import RegionBox
from overread.imaging.resample import resample_image, resample_labels

Axes = tuple[tuple[int, int, int], tuple[bool, bool, bool]]


@dataclass(frozen=True)
class Scale:
    """Intensities are clipped to [low, high], then (value - mean) / std."""

    low: float
    high: float
    mean: float
    std: float


@dataclass(frozen=True)
class Prepared:
    """An image as the network sees it, and the way back.

    array   (C, Z, Y, X) float32, normalised
    grid    where these voxels lie
    source  the grid of the image as it came
    axes    the permutation and flips from source to canonical orientation
    clinical  (D,) float32 numbers of the clinical variables; None where the preparation has none
    region    the part of the source that was read; None where all of it was
    scales    how the intensities of each channel were scaled
    """

    array: np.ndarray
    grid: Grid
    source: Grid
    axes: Axes
    clinical: np.ndarray | None = None
    region: RegionBox | None = None
    scales: tuple[Scale, ...] = ()


def prepare_image(image: Image, preparation: Preparation) -> Prepared:
    """Orient, resample, normalise; another unit or number of channels than trained on is refused."""
    if len(image.channels) != len(preparation.channels):
        raise Refused(
            "channels",
            f"This image has {len(image.channels)} channel(s) ({', '.join(image.channels)}); "
            f"the preparation expects {len(preparation.channels)} ({', '.join(preparation.channels)}).",
            "give every channel that the model was trained with, in the same order",
        )
    if image.grid.is_planar != preparation.is_planar:
        seen, wanted = ("a planar image", "volumes") if image.grid.is_planar else ("a volume", "planar images")
        raise Refused(
            "planar",
            f"This is {seen}; the preparation was fitted on {wanted}.",
            "read images of the kind that the model was trained on",
        )
    known = (preparation.units, *preparation.also)
    if image.units not in known:
        raise Refused(
            "units",
            f"This image is in {image.units}; the preparation was fitted on {' and '.join(known)}.",
            "read images of the modality that the model was trained on",
        )
    axes = image.grid.canonical_axes()
    canonical = _seen(image, preparation).reoriented(*axes)
    grid = target_grid(canonical.grid, preparation)
    scales = scales_of(canonical.array, preparation.normalisation)
    array = scaled(canonical.array, scales)  # in place of origin: resampling first would blur the clip
    missing = [image.channels.index(c) for c in image.source.get("missing_channels", ())]
    array[missing] = 0  # nothing is known of them: the middle of the scale
    fill = array.reshape(array.shape[0], -1).min(axis=1)
    moved = _resample(array, canonical.grid, grid, fill)
    values = None if preparation.clinical is None else told(image.clinical, preparation.clinical)
    box = None if preparation.region is None else image.region
    return Prepared(np.ascontiguousarray(moved, dtype=np.float32), grid, image.grid, axes, values, box, scales)


def of_second_kind(preparation: Preparation, units: str) -> Preparation:
    """Without pairs: how images of the kind that is answered are prepared, whose scale may be another (CT read, MR answered).

    units  of that kind; where they are those of the first kind, both are prepared alike
    """
    if units == preparation.units:
        return preparation
    return replace(preparation, units=units, normalisation=scaled_by_itself(preparation))


def of_both_kinds(preparation: Preparation, units: str) -> Preparation:
    """One preparation for what describes images of both kinds: units that differ have no scale in common."""
    if units == preparation.units:
        return preparation
    return replace(preparation, also=(units,), normalisation=scaled_by_itself(preparation))


def scaled_by_itself(preparation: Preparation) -> tuple[Normalisation, ...]:
    """Each image by its own percentiles, mean and spread, channel by channel."""
    return tuple(Normalisation("per-image") for _ in preparation.channels)


def _seen(image: Image, preparation: Preparation) -> Image:
    """What is read of an image: all of it, or the region that a first model has found in it."""
    if preparation.region is None:
        return image
    if image.region is None or image.region.of != preparation.region:
        raise ValueError("nobody has looked where the region of this image lies")
    return cropped(image)


def prepare_truth(truth: LabelMap, prepared: Prepared) -> np.ndarray:
    """(L, Z, Y, X) label layers of the truth on the prepared grid; values stay what they were."""
    layers = reorient(truth.layers, *prepared.axes)
    canonical = prepared.source.reoriented(*prepared.axes)
    if canonical.is_same(prepared.grid):
        return np.ascontiguousarray(layers)
    return resample_labels(layers, canonical, prepared.grid)


def prepare_mask(mask: LabelMap, preparation: Preparation) -> tuple[np.ndarray, Grid]:
    """A mask without its image, treated as with it: (L, Z, Y, X) label layers, and the grid that the network sees."""
    if mask.grid.is_planar != preparation.is_planar:
        seen, wanted = ("a planar mask", "volumes") if mask.grid.is_planar else ("a mask of a volume", "planar images")
        raise Refused(
            "planar", f"This is {seen}; the model makes {wanted}.", "give masks of the kind that the model was trained on"
        )
    axes = mask.grid.canonical_axes()
    canonical = mask.grid.reoriented(*axes)
    grid = target_grid(canonical, preparation)
    layers = reorient(mask.layers, *axes)
    return np.ascontiguousarray(layers) if canonical.is_same(grid) else resample_labels(layers, canonical, grid), grid


def prepare_picture(truth: Picture, prepared: Prepared, preparation: Preparation) -> np.ndarray:
    """(K, Z, Y, X) float32 of a true picture on the prepared grid, scaled as the network is to answer it."""
    canonical = prepared.source.reoriented(*prepared.axes)
    array = scaled(reorient(truth.array, *prepared.axes), picture_scales(prepared, preparation))
    return np.ascontiguousarray(_resample(array, canonical, prepared.grid, array.reshape(len(array), -1).min(axis=1)))


def picture_scales(prepared: Prepared, preparation: Preparation) -> tuple[Scale, ...]:
    """How each channel of a picture is scaled: fitted on training cases, or as the image that was read."""
    return tuple(
        prepared.scales[k] if rule.scheme == "as-read" else Scale(rule.low, rule.high, rule.mean, rule.std)
        for k, rule in enumerate(preparation.answer)
    )


def undo_picture(raw: np.ndarray, prepared: Prepared, preparation: Preparation) -> np.ndarray:
    """(K, Z, Y, X) float32: what the network answered, in the units of the image, on the source grid.

    Beyond the field of view lies the lowest value that the channel can have.
    """
    answered = []
    for values, scale in zip(raw, picture_scales(prepared, preparation), strict=True):
        units = values * scale.std + scale.mean
        floor = scale.low if np.isfinite(scale.low) else float(units.min())
        answered.append(np.clip(undo_map(units - floor, prepared) + floor, scale.low, scale.high, dtype=np.float32))
    return np.stack(answered)


def prepare_objects(truth: Boxes | Instances, prepared: Prepared, classes: Sequence[str]) -> PreparedObjects:
    """The objects of a truth on the prepared grid, in the order in which they came.

    classes  of the question, in order
    Where voxels are known, each box is the smallest around the object's voxels on the prepared grid, so that box and voxels
    agree; an object too small for that grid keeps the voxel nearest to its centre.
    """
    corners = boxes_between(truth.corners, prepared.source, prepared.grid)
    boxes = corners.reshape(-1, 6).astype(np.float32)
    layers = None
    if isinstance(truth, Instances):
        numbered = reorient(number_layers(truth.pieces, prepared.source.shape), *prepared.axes)
        canonical = prepared.source.reoriented(*prepared.axes)
        layers = resample_numbers(np.ascontiguousarray(numbered), canonical, prepared.grid, corners.mean(axis=1))
        boxes = boxes_of_numbers(layers, len(truth.pieces))
    places = {name: place for place, name in enumerate(classes)}
    return PreparedObjects(ObjectTable(boxes, np.array([places[c] for c in truth.classes], dtype=np.int32)), layers)


def undo_boxes(boxes: np.ndarray, prepared: Prepared) -> np.ndarray:
    """(N, 6) boxes on the prepared grid -> (N, 2, 3) on the source grid, cut to the image; one outside it has no extent."""
    return boxes_between(np.asarray(boxes).reshape(-1, 2, 3), prepared.grid, prepared.source)


def undo_piece(piece: Piece, prepared: Prepared) -> Piece:
    """The voxels of one object on the prepared grid -> on the source grid; only its surroundings are resampled.

    A piece outside the image becomes one without a voxel; one too small for the source grid keeps the nearest voxel.
    """
    canonical = prepared.source.reoriented(*prepared.axes)
    first = np.array(piece.start)
    around = _part(prepared.grid, first - 1, np.array(piece.mask.shape) + 2)
    faces = np.stack([first - 0.5, first - 0.5 + piece.mask.shape])[None]
    low, high = boxes_between(faces, prepared.grid, canonical)[0]
    if (high <= low).any():
        return Piece((0, 0, 0), np.zeros((0, 0, 0), bool))
    start = np.clip(np.floor(low).astype(int), 0, None)
    stop = np.minimum(np.ceil(high).astype(int) + 1, canonical.shape)
    padded = np.pad(piece.mask, 1).astype(np.uint8)
    moved = resample_numbers(padded[None], around, _part(canonical, start, stop - start), ((low + high) / 2 - start)[None])[0]
    whole_start = _place_back(start, moved.shape, canonical.shape, prepared.axes)
    cut = Piece.of(reorient_back(moved, *prepared.axes) > 0)
    z, y, x = (a + b for a, b in zip(whole_start, cut.start, strict=True))
    return Piece((z, y, x), cut.mask)


def _part(grid: Grid, start: np.ndarray, shape: np.ndarray) -> Grid:
    """A part of a grid, which may reach beyond it."""
    affine = np.array(grid.affine)
    affine[:3, 3] = grid.to_world(start)
    return replace(grid, shape=(int(shape[0]), int(shape[1]), int(shape[2])), affine=affine)


def _place_back(start: np.ndarray, size: tuple[int, ...], shape: tuple[int, ...], axes: Axes) -> tuple[int, int, int]:
    """First voxel of a part of the canonical grid, on the source grid."""
    order, flips = axes
    unflipped = [shape[k] - int(start[k]) - size[k] if flips[k] else int(start[k]) for k in range(3)]
    z, y, x = (unflipped[order.index(axis)] for axis in range(3))
    return z, y, x


def target_grid(canonical: Grid, preparation: Preparation) -> Grid:
    """The grid that the network sees, for an image already in canonical orientation.

    With a fixed input shape the field of view is centred on it: cropped or padded where spacing is
    known; else scaled by one factor until it fits, so that the aspect is kept.
    """
    if preparation.spacing is not None:
        _ = canonical.spacing_mm  # an image without spacing is refused by name
        grid = canonical.with_spacing(preparation.spacing)
    else:
        grid = canonical
    if preparation.shape is None:
        return grid
    if preparation.spacing is None:
        spatial = [k for k in range(3) if not (preparation.is_planar and k == 0)]
        factor = max(grid.shape[k] / preparation.shape[k] for k in spatial)
        spacing = tuple(s if preparation.is_planar and k == 0 else s * factor for k, s in enumerate(grid.spacing))
        grid = grid.with_spacing(spacing)  # type: ignore[arg-type]
    return _centred(grid, preparation.shape)


def _centred(grid: Grid, shape: tuple[int, int, int]) -> Grid:
    offset = (np.array(grid.shape) - np.array(shape)) // 2
    affine = np.array(grid.affine)
    affine[:3, 3] = grid.to_world(offset)
    return replace(grid, shape=shape, affine=affine)


def _resample(array: np.ndarray, source: Grid, target: Grid, fill: np.ndarray) -> np.ndarray:
    if source.is_same(target):
        return array
    moved = [resample_image(array[c : c + 1], source, target, order=1, fill=float(fill[c])) for c in range(array.shape[0])]
    return np.concatenate(moved)


def normalise(array: np.ndarray, rules: Iterable[Normalisation]) -> np.ndarray:
    """(C, Z, Y, X) intensities -> float32 around 0 with spread about 1; one rule per channel."""
    return scaled(array, scales_of(array, rules))


def scales_of(array: np.ndarray, rules: Iterable[Normalisation]) -> tuple[Scale, ...]:
    """How each channel of an image (C, Z, Y, X) is scaled by its rule."""
    return tuple(_scale_of(array[channel], rule) for channel, rule in enumerate(rules))


def _scale_of(values: np.ndarray, rule: Normalisation) -> Scale:
    if rule.scheme == "window":
        return Scale(rule.low, rule.high, rule.mean, max(rule.std, 1e-6))
    if rule.scheme not in ("per-image", "unclipped"):
        raise OverreadError(f"Unknown normalisation '{rule.scheme}'; known are window, per-image and unclipped.")
    values = values.astype(np.float32)
    if rule.scheme == "unclipped":
        return Scale(-np.inf, np.inf, float(values.mean()), max(float(values.std()), 1e-6))
    low, high = (float(v) for v in np.percentile(_thinned(values), (0.5, 99.5)))
    clipped = np.clip(values, low, high)
    return Scale(low, high, float(clipped.mean()), max(float(clipped.std()), 1e-6))


def scaled(array: np.ndarray, scales: Sequence[Scale]) -> np.ndarray:
    """(C, Z, Y, X) intensities -> float32, clipped and scaled, one scale per channel."""
    result = np.empty(array.shape, dtype=np.float32)
    for channel, scale in enumerate(scales):
        values = array[channel].astype(np.float32)
        np.clip(values, scale.low, scale.high, out=values)
        values -= scale.mean
        values /= scale.std
        result[channel] = values
    return result


def _thinned(values: np.ndarray, limit: int = 2_000_000) -> np.ndarray:
    """Every n-th value, so that percentiles of a large volume cost no sort of all of it."""
    flat = values.ravel()
    return flat[:: max(1, flat.size // limit)]


def undo_map(values: np.ndarray, prepared: Prepared) -> np.ndarray:
    """(Z, Y, X) float on the prepared grid -> float32 on the source grid; 0 outside the field of view."""
    canonical = prepared.source.reoriented(*prepared.axes)
    if not canonical.is_same(prepared.grid):
        values = resample_image(values[None], prepared.grid, canonical, order=1, fill=0.0)[0]
    return np.ascontiguousarray(reorient_back(values, *prepared.axes), dtype=np.float32)


def undo_argmax(probabilities: np.ndarray, prepared: Prepared) -> np.ndarray:
    """(K, Z, Y, X) class probabilities, class 0 background -> (Z, Y, X) uint8 class index on the source grid.

    Classes are moved one at a time and compared as they come, so that a large scan needs three
    volumes of memory and not K.
    """
    best = np.zeros(prepared.source.shape, dtype=np.uint8)
    highest = undo_map(probabilities[0], prepared)
    total = highest.copy()
    for index in range(1, probabilities.shape[0]):
        values = undo_map(probabilities[index], prepared)
        total += values
        better = values > highest
        best[better] = index
        highest[better] = values[better]
    best[total < 0.5] = 0  # where the network did not look there is no structure
    return best
