"""What one training case contributes to the fingerprint: its grid, some of its voxels, what is drawn in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from overread.cohort.index import Cohort
from overread.cohort.load import class_of_value, load_image, load_truth, open_case_objects
from overread.cohort.object_facts import SeenObject, seen_object
from overread.core.case import Case
from overread.core.image import Image, cropped, reorient
from overread.core.kinds import LabelMap, Picture
from overread.core.region import RegionBox


@dataclass(frozen=True)
class Drawn:
    """What is drawn in a case.

    places       flat indices of the voxels inside
    volumes      structure -> ml, or voxels where the spacing is not known
    spans        structure -> canonical extent (Z, Y, X) in voxels
    have_voxels  no object is a box alone
    """

    places: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    volumes: Mapping[str, float] = field(default_factory=dict)
    spans: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    objects: tuple[SeenObject, ...] = ()
    have_voxels: bool = True


@dataclass(frozen=True)
class Looked:
    """What one case contributes. Intensities are (N, C) float32.

    extremes  (2, C) smallest and largest value
    answered, answered_extremes  the same of the picture that is to be answered; of no voxel where none is
    changed   root mean square of what a degradation changed, in spreads of the image that is read, one per channel
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    spacing_known: bool
    is_planar: bool
    channels: tuple[str, ...]
    units: str
    modality: str
    voxels: np.ndarray
    inside: np.ndarray
    extremes: np.ndarray
    drawn: Drawn
    answered: np.ndarray
    answered_extremes: np.ndarray
    changed: tuple[float, ...]


def look(cohort: Cohort, case: Case, share: int, *, with_region: bool = False) -> Looked:
    """share  from about so many voxels the intensities are taken, evenly
    with_region  of the part that a second model will read, and of nothing else
    """
    whole = load_image(cohort, case) if with_region else replace(load_image(cohort, case), region=None)
    image = cropped(whole)
    grid = image.grid.reoriented(*image.grid.canonical_axes())  # sizes count along the patient's axes, however it was cut
    channels = image.array.shape[0]
    flat = image.array.reshape(channels, -1)
    lacking = [image.channels.index(c) for c in image.source.get("missing_channels", ())]
    if lacking:
        flat = flat.astype(np.float32)
        flat[lacking] = np.nan  # was filled with zeros, which say nothing of the channel's intensities
    step = max(1, flat.shape[1] // share)
    drawn = _drawn(cohort, case, image, whole.region)
    inside = drawn.places[:: max(1, len(drawn.places) // share)]
    return Looked(
        grid.shape,
        grid.spacing,
        image.grid.spacing_known,
        image.grid.is_planar,
        image.channels,
        image.units,
        str(image.source.get("modality") or (image.channels[0] if image.channels[0] != "image" else "")),
        flat[:, ::step].T.astype(np.float32),
        flat[:, inside].T.astype(np.float32),
        np.stack([flat.min(1), flat.max(1)]).astype(np.float32),
        drawn,
        *_answered(cohort, case, image, step),
    )


def _answered(cohort: Cohort, case: Case, read: Image, step: int) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """Every so many voxels of the picture that is to be answered, its smallest and largest values, and what was changed of it."""
    if not cohort.question.is_of_pictures:
        return np.zeros((0, 0), np.float32), np.zeros((2, 0), np.float32), ()
    truth = load_truth(cohort, case)
    assert isinstance(truth, Picture)
    flat = truth.array.reshape(len(truth.array), -1)
    seen, extremes = flat[:, ::step].T.astype(np.float32), np.stack([flat.min(1), flat.max(1)]).astype(np.float32)
    return seen, extremes, _changed(read, truth) if cohort.question.degradation else ()


def _changed(read: Image, truth: Picture) -> tuple[float, ...]:
    spreads = [max(float(channel.std(dtype=np.float64)), 1e-6) for channel in read.array]
    errors = [float(np.sqrt(np.mean((r.astype(np.float32) - t) ** 2))) for r, t in zip(read.array, truth.array, strict=True)]
    return tuple(error / spread for error, spread in zip(errors, spreads, strict=True))


def _drawn(cohort: Cohort, case: Case, image: Image, region: RegionBox | None) -> Drawn:
    if case.truth is None:
        return Drawn()
    if cohort.question.task == "segmentation":
        return _structures(cohort, case, image, region)
    return _objects(cohort, case, image) if cohort.question.is_of_objects else Drawn()


def _structures(cohort: Cohort, case: Case, image: Image, region: RegionBox | None) -> Drawn:
    truth = load_truth(cohort, case)
    assert isinstance(truth, LabelMap)
    inside = (slice(None),) * 3 if region is None else region.place
    axes = image.grid.canonical_axes()
    size = image.grid.voxel_ml if image.grid.spacing_known else 1.0
    volumes: dict[str, float] = {}
    spans: dict[str, tuple[int, int, int]] = {}
    for name in truth.names:
        mask = truth.mask(name)[inside]
        count = int(mask.sum())
        if count:
            volumes[name], spans[name] = count * size, _span(reorient(mask, *axes))
    return Drawn(np.flatnonzero(np.asarray(truth.layers.any(0))[inside].reshape(-1)), volumes, spans)


def _objects(cohort: Cohort, case: Case, image: Image) -> Drawn:
    found, called = open_case_objects(cohort, case), class_of_value(cohort.question)
    order, _ = image.grid.canonical_axes()
    seen = tuple(seen_object(called[o.value], o.corners, image.grid, order) for o in found.objects)
    return Drawn(found.voxels(), objects=seen, have_voxels=all(o.piece is not None for o in found.objects))


def _span(mask: np.ndarray) -> tuple[int, int, int]:
    """Extent of a mask along each axis, in voxels."""
    lengths = []
    for axis in range(3):
        hits = np.flatnonzero(mask.any(axis=tuple(k for k in range(3) if k != axis)))
        lengths.append(int(hits[-1] - hits[0] + 1))
    return lengths[0], lengths[1], lengths[2]
