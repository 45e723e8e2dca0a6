"""Frames of one series that face different ways, or differ in size or pixels: split only where that leaves volumes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from overread.core.errors import Refused
from overread.imaging.dicom.splitting import Slot, split_by_traits
from overread.imaging.dicom.stack import ORIENTATION, find_fault, frame_axes, plane_name, same_pixels, stack_planes

LOCALIZER_SLICES = 30  # at most this many slices in perpendicular planes are a localizer, whatever its name
PERPENDICULAR = 0.5  # cosine between normals below which two planes cross rather than lean
FEWEST = 3  # slices that make a volume beyond doubt


def split_by_geometry(slots: Sequence[Slot]) -> list[tuple[str, list[Slot]]]:
    """(name, frames) of each geometry; one without a name where all agree, or where splitting would leave no volume."""
    clusters = _clusters(slots)
    if len(clusters) < 2 or _is_localizer(clusters) or not any(_holds_volume(cluster) for cluster in clusters):
        return [("", list(slots))]
    return list(zip(_names(clusters), clusters, strict=True))


def _clusters(slots: Sequence[Slot]) -> list[list[Slot]]:
    found: list[list[Slot]] = []
    known: dict[tuple[object, ...], int] = {}
    for slot in slots:
        exact = (slot.header.rows, slot.header.columns, slot.plane.orientation, slot.plane.spacing)
        if exact not in known:
            known[exact] = next((k for k, members in enumerate(found) if _is_alike(slot, members[0])), len(found))
            if known[exact] == len(found):
                found.append([])
        found[known[exact]].append(slot)
    return found


def _is_alike(one: Slot, other: Slot) -> bool:
    turned = max(abs(a - b) for a, b in zip(one.plane.orientation, other.plane.orientation, strict=True))
    is_size = (one.header.rows, one.header.columns) == (other.header.rows, other.header.columns)
    return is_size and turned <= ORIENTATION and same_pixels(one.plane.spacing, other.plane.spacing)


def _is_localizer(clusters: Sequence[Sequence[Slot]]) -> bool:
    """Few slices in planes that cross."""
    if sum(map(len, clusters)) > LOCALIZER_SLICES:
        return False
    normals = [_normal(cluster[0]) for cluster in clusters]
    return any(abs(float(a @ b)) < PERPENDICULAR for k, a in enumerate(normals) for b in normals[:k])


def _holds_volume(cluster: Sequence[Slot]) -> bool:
    for part in split_by_traits(cluster):
        planes = [slot.plane for slot in part.slots]
        shapes = [(slot.header.rows, slot.header.columns) for slot in part.slots]
        try:
            if len(planes) >= FEWEST and find_fault(stack_planes(planes, shapes, ""), "", tilt="resample") is None:
                return True
        except Refused:
            continue
    return False


def _normal(slot: Slot) -> np.ndarray:
    try:
        return np.asarray(frame_axes(slot.plane, "")[0])
    except Refused:
        return np.zeros(3)


def _names(clusters: Sequence[Sequence[Slot]]) -> list[str]:
    """What each differs in from the others; numbered where that is not enough."""
    firsts = [cluster[0] for cluster in clusters]
    columns = [
        [plane_name(_normal(slot)) for slot in firsts],
        [f"{slot.header.rows} x {slot.header.columns}" for slot in firsts],
        ["{:.3g} x {:.3g} mm".format(*slot.plane.spacing) for slot in firsts],
    ]
    telling = [column for column in columns if len(set(column)) > 1]
    plain = [" ".join(words) for words in zip(*telling, strict=True)] if telling else ["stack"] * len(clusters)
    counts, seen = Counter(plain), Counter[str]()
    names = []
    for name in plain:
        seen[name] += 1
        names.append(f"{name} {seen[name]}" if counts[name] > 1 else name)
    return names
