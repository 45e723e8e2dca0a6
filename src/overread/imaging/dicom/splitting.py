"""Several volumes in one series: phases, echoes, b-values, time points, reconstructions, told apart by what varies.

Frames that lie in one place must differ in some tag. A tag separates them when each of its values covers the
stack; what is left is separated by the next tag. Where no tag does, nothing is split, and the stack is refused.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from overread.core.errors import Refused
from overread.imaging.dicom.header import Header
from overread.imaging.dicom.planes import Plane
from overread.imaging.dicom.stack import UNIFORM, frame_axes, places_of, refuse_damaged
from overread.imaging.dicom.varying import Value

FEWEST = 3  # slices that show a regular distance
MOST_STACKS = 12  # more parts than this are slices with a label each, not stacks
BESIDE_MM = 5.0  # stacks that lie side by side are at least this far apart

# How a trait names a volume. {rank} counts its values in order. The first trait that separates is taken.
EXACT = {
    "stack": "stack {rank}",
    "beside": "stack {rank}",
    "component": "{value}",
    "contrast": "{value}",
    "echo time": "echo {rank}",
    "echo number": "echo {value}",
    "inversion time": "inversion {rank}",
    "b-value": "b {value}",
    "direction": "direction {rank}",
    "flip angle": "flip {value} degrees",
    "temporal position": "time {rank}",
    "cardiac percentage": "cardiac {value} %",
    "trigger time": "cardiac {rank}",
    "frame reference time": "time {rank}",
    "kernel": "kernel {value}",
    "tube voltage": "{value} kV",
    "thickness": "{value} mm thick",
    "repetition time": "repetition {rank}",
    "description": "{value}",
    "series number": "series {value}",
    "image type": "type {rank}",
    "acquisition": "phase {rank}",
}
RANKED = {"trigger time": "cardiac {rank}", "frame reference time": "time {rank}"}  # may differ a little from slice to slice
CLOCKS = {"acquisition time": "time {rank}", "content time": "time {rank}"}  # count only where volumes followed one another
STACKS = ("stack", "kernel", "thickness", "description", "series number", "image type")  # may tell stacks in different places
ABOUT = {
    "echo time": "echo_time_ms",
    "b-value": "b_value",
    "inversion time": "inversion_time_ms",
    "flip angle": "flip_angle_degrees",
    "kernel": "kernel",
    "tube voltage": "kvp",
    "thickness": "thickness_mm",
    "description": "description",
}


@dataclass(frozen=True)
class Slot:
    """One frame of one file."""

    header: Header
    plane: Plane


@dataclass(frozen=True)
class Part:
    """Frames of one volume: its name among the others, and what it differs in."""

    slots: tuple[Slot, ...]
    label: str = ""
    traits: tuple[tuple[str, Value | None], ...] = ()


@dataclass(frozen=True)
class _Frame:
    slot: Slot
    place: int
    depth: float
    values: dict[str, Value]


def slots_of(headers: Sequence[Header]) -> list[Slot]:
    return [Slot(header, plane) for header in headers for plane in header.planes]


def split_by_traits(slots: Sequence[Slot]) -> list[Part]:
    """Parallel frames of one geometry as one volume or several; one where nothing separates them."""
    whole = [Part(tuple(slots))]
    try:
        refuse_damaged([slot.plane for slot in slots], "")
        frames = _frames(slots)
    except Refused:
        return whole
    parts = _separated(frames) if _most(frames) > 1 else _stacks(frames)
    if not parts or max(len(part.slots) for part in parts) < 2:
        return whole
    return parts


def differing(parts: Sequence[Part]) -> str:
    """The traits that tell volumes apart, for messages."""
    names = [name for part in parts for name, _ in part.traits]
    return " and ".join(dict.fromkeys(names)) or "geometry"


def as_headers(part: Part, number: int, prefix: str = "") -> list[Header]:
    """The files of a part; each holds only the planes of its volume, and the volume's name.

    number  of the part among all of the files; kept for multi-frame files, where it is needed to open it again
    """
    planes: dict[int, list[Plane]] = defaultdict(list)
    files: dict[int, Header] = {}
    for slot in part.slots:
        planes[id(slot.header)].append(slot.plane)
        files[id(slot.header)] = slot.header
    own = {ABOUT[name]: value for name, value in part.traits if name in ABOUT and value is not None}
    about: dict[str, Any] = {**own, "volume": f"{prefix} {part.label}".strip()}
    return [
        replace(
            header,
            planes=tuple(planes[key]),
            about={**header.about, **about},
            volume=number if header.frames > 1 else None,
        )
        for key, header in files.items()
    ]


def _frames(slots: Sequence[Slot]) -> list[_Frame]:
    axes = frame_axes(slots[0].plane, "")
    positions = np.array([slot.plane.position for slot in slots]) - slots[0].plane.position
    depth = positions @ axes[0]
    order = np.argsort(depth, kind="stable")
    places = np.empty(len(slots), int)
    places[order] = places_of(depth[order])
    beside = np.rint(positions @ axes[1:].T / BESIDE_MM).astype(int)
    return [
        _Frame(
            slot,
            int(places[k]),
            float(depth[k]),
            {**dict(slot.plane.varies), "beside": f"{beside[k][0]:+06d}{beside[k][1]:+06d}"},
        )
        for k, slot in enumerate(slots)
    ]


def _most(frames: Sequence[_Frame]) -> int:
    """How many frames share a place, at most."""
    return max(Counter(frame.place for frame in frames).values())


def _separated(frames: Sequence[_Frame]) -> list[Part] | None:
    """One part per volume; None where some frames cannot be told apart."""
    if _most(frames) == 1:
        return [Part(tuple(frame.slot for frame in frames))]
    names = [*EXACT, *sorted({name for name in frames[0].values if name.startswith("dimension ")})]
    for name in names:
        groups = _by_value(frames, name)
        if not _covers(groups, frames):
            continue
        inner = [_separated(group) for group in groups.values()]
        if all(inner):
            form = EXACT.get(name, f"{name.removeprefix('dimension ')} {{rank}}")
            return _named(name, form, list(groups), [parts or [] for parts in inner])
    for name, form in {**RANKED, **CLOCKS}.items():
        parts = _in_order(frames, name, form)
        if parts:
            return parts
    return None


def _by_value(frames: Sequence[_Frame], name: str) -> dict[Value | None, list[_Frame]]:
    """Frames by value of a trait, values in order, those without one first."""
    groups: dict[Value | None, list[_Frame]] = defaultdict(list)
    for frame in frames:
        groups[frame.values.get(name)].append(frame)
    return {value: groups[value] for value in sorted(groups, key=_sortable)}


def _sortable(value: Value | None) -> tuple[int, float, str]:
    if value is None:
        return 0, 0.0, ""
    return (2, 0.0, value) if isinstance(value, str) else (1, value, "")


def _covers(groups: dict[Value | None, list[_Frame]], frames: Sequence[_Frame]) -> bool:
    """Whether each value stands for whole volumes: it lies in most places equally often, or is a regular stack itself."""
    if not 2 <= len(groups) <= _most(frames):
        return False
    places = len({frame.place for frame in frames})
    for group in groups.values():
        often = Counter(Counter(frame.place for frame in group).values()).most_common(1)[0]
        is_stack = often[0] == 1 and _most(group) == 1 and len(group) >= FEWEST and _is_regular(group)
        if 2 * often[1] <= places and not is_stack:
            return False
    return True


def _in_order(frames: Sequence[_Frame], name: str, form: str) -> list[Part] | None:
    """Volumes by the order of times within each place; None unless every place has the same number of different times."""
    at: dict[int, list[_Frame]] = defaultdict(list)
    for frame in frames:
        if not isinstance(frame.values.get(name), float):
            return None
        at[frame.place].append(frame)
    count = _most(frames)
    time: Callable[[_Frame], float] = lambda frame: float(frame.values[name])  # noqa: E731
    ordered = [sorted(group, key=time) for group in at.values()]
    if any(len(group) != count or len({time(frame) for frame in group}) != count for group in ordered):
        return None
    volumes = [[group[k] for group in ordered] for k in range(count)]
    if name in CLOCKS and any(max(map(time, one)) >= min(map(time, following)) for one, following in pairwise(volumes)):
        return None
    ranks: list[Value | None] = [float(k + 1) for k in range(count)]
    return _named(name, form, ranks, [[Part(tuple(frame.slot for frame in volume))] for volume in volumes])


def _stacks(frames: Sequence[_Frame]) -> list[Part] | None:
    """Regular stacks in different places that together are irregular; None where the frames are regular as they are."""
    if _is_regular(frames):
        return None
    for name in STACKS:
        groups = _by_value(frames, name)
        if 2 <= len(groups) <= MOST_STACKS and all(len(g) >= FEWEST and _is_regular(g) for g in groups.values()):
            return _named(name, EXACT[name], list(groups), [[Part(tuple(f.slot for f in g))] for g in groups.values()])
    return None


def _is_regular(frames: Sequence[_Frame]) -> bool:
    gaps = np.diff(np.sort([frame.depth for frame in frames]))
    return len(gaps) == 0 or bool(np.ptp(gaps) <= 2 * UNIFORM * np.median(gaps))


def _named(name: str, form: str, values: Sequence[Value | None], inner: Sequence[Sequence[Part]]) -> list[Part]:
    """Parts of each value, named by it and by what separates them further."""
    named = []
    for rank, (value, parts) in enumerate(zip(values, inner, strict=True), start=1):
        if value is None and "{value}" in form:
            label = f"no {name}"
        else:
            label = form.format(rank=rank, value=f"{value:g}" if isinstance(value, float) else value)
        for part in parts:
            named.append(Part(part.slots, f"{label} {part.label}".strip(), ((name, value), *part.traits)))
    return named
