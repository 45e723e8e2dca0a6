"""What the headers of the training cases said, and what an image's header says against it.

Nothing here identifies: modality, body part, view, side, direction of the slices, sizes in millimetres.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from overread.core.grid import Grid
from overread.core.image import Image
from overread.reading.refusal.concern import Concern
from overread.reading.refusal.families import modality_family, plain, region_words, regions, view_family

NAMES = {"modality": "modality", "body_part": "body part", "view": "view", "laterality": "side of the body", "plane": "plane"}
SIZES = {
    "slice": ("spacing", "distance of slices"),
    "pixel": ("spacing", "size of pixels"),
    "fov_z": ("field-of-view", "field of view from feet to head"),
    "fov_y": ("field-of-view", "field of view from front to back"),
    "fov_x": ("field-of-view", "field of view from right to left"),
}
COMMON = 0.9  # share of training cases whose header says something, from which on silence is worth a warning
THICK = 1.5  # slices further apart than this many pixels have a plane
WARNED, REFUSED = 1.25, 2.5  # factors outside of the range of training
INTERPOLATED = 0.1  # share of slices beyond that of training that were not measured; a tenth of a volume is too much
PLANES = ("sagittal", "coronal", "axial")  # normal along x, y, z of the patient


@dataclass(frozen=True)
class Header:
    """What one image says of itself; a value is missing where the file says nothing.

    words         field of `NAMES` -> value
    sizes         name of `SIZES` -> mm; none where the spacing is not known
    interpolated  share of the slices that were missing and filled in
    """

    words: Mapping[str, str]
    sizes: Mapping[str, float]
    interpolated: float = 0.0


def header_of(image: Image) -> Header:
    words = {name: plain(image.source.get(name) or "") for name in ("modality", "body_part", "view", "laterality")}
    words["plane"] = plane_of(image.grid)
    filled = image.source.get("interpolated_slices", ())
    return Header({k: v for k, v in words.items() if v}, _sizes(image.grid), len(filled) / max(image.grid.shape[0], 1))


def plane_of(grid: Grid) -> str:
    """Direction of thick slices; "" for films, for voxels that are nearly cubes, and where the spacing is not known."""
    if grid.is_planar or not grid.spacing_known or max(grid.spacing) < THICK * float(np.median(grid.spacing)):
        return ""
    normal = grid.affine[:3, int(np.argmax(grid.spacing))]
    return PLANES[int(np.argmax(np.abs(normal)))]


def _sizes(grid: Grid) -> dict[str, float]:
    if not grid.spacing_known:
        return {}
    order, _ = grid.canonical_axes()
    z, y, x = (grid.spacing[k] * grid.shape[k] for k in order)
    if grid.is_planar:
        return {"pixel": min(grid.spacing[1:]), "fov_y": y, "fov_x": x}
    return {"slice": max(grid.spacing), "pixel": min(grid.spacing), "fov_z": z, "fov_y": y, "fov_x": x}


@dataclass(frozen=True)
class HeaderRules:
    """What the headers of training and tuning cases said.

    values        field -> every value that was seen
    said          field -> share of the cases that said something
    ranges        size -> (smallest, largest) in mm
    interpolated  largest share of slices that were filled in
    """

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    said: Mapping[str, float] = field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    interpolated: float = 0.0

    @classmethod
    def of(cls, headers: Iterable[Header], patients: Sequence[str]) -> HeaderRules:
        """What no table knows of a value that only one patient has may be a name: it is not kept.

        patients  of the headers; (N,)
        """
        every = list(headers)
        said: Counter[str] = Counter()
        holders: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        sizes: dict[str, list[float]] = defaultdict(list)
        for header, patient in zip(every, patients, strict=True):
            said.update(header.words.keys())
            for name, value in header.words.items():
                holders[name][value].add(patient)
            for name, size in header.sizes.items():
                sizes[name].append(size)
        kept = {
            name: tuple(sorted({word for value, who in of.items() for word in _kept(name, value, len(who))}))
            for name, of in holders.items()
        }
        return cls(
            {name: values for name, values in kept.items() if values},
            {name: round(count / len(every), 4) for name, count in said.items()},
            {name: (round(min(v), 4), round(max(v), 4)) for name, v in sizes.items()},
            round(max((header.interpolated for header in every), default=0.0), 4),
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "values": {k: list(v) for k, v in self.values.items()},
            "said": dict(self.said),
            "ranges": {k: list(v) for k, v in self.ranges.items()},
            "interpolated": self.interpolated,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> HeaderRules:
        return cls(
            {k: tuple(v) for k, v in values["values"].items()},
            dict(values["said"]),
            {k: (v[0], v[1]) for k, v in values["ranges"].items()},
            values["interpolated"],
        )

    def judge(self, header: Header) -> list[Concern]:
        """Everything in which a header differs from those of training, what contradicts them first."""
        found = [concern for name in NAMES for concern in self._of_words(name, header)]
        found += self._silence(header)
        found += [concern for name in SIZES for concern in self._of_size(name, header)]
        found += self._of_gaps(header)
        return sorted(found, key=lambda concern: not concern.is_refusal)

    def _of_words(self, name: str, header: Header) -> list[Concern]:
        seen, value = self.values.get(name, ()), header.words.get(name)
        if not seen or value is None or value in seen:
            return []
        code, known = name.replace("_", "-"), ", ".join(seen)
        against = CONTRADICTS[name](value, seen)
        if against is None:
            return []
        shown = " ".join(_plainly(name, value)) or value  # a refusal stands in the record of a run: no word that may be a name
        words = f"its {NAMES[name]} is {shown}; training cases had {known}"
        return [Concern(code, words, against)]

    def _silence(self, header: Header) -> list[Concern]:
        names = ("modality", "body_part", "view")
        silent = [NAMES[n] for n in names if self.said.get(n, 0) >= COMMON and n in self.values and n not in header.words]
        if not silent:
            return []
        said = f"its header does not say the {' or the '.join(silent)}, as those of training did; its content alone was looked at"
        return [Concern("header-unknown", said, False)]

    def _of_size(self, name: str, header: Header) -> list[Concern]:
        if name not in self.ranges or name not in header.sizes:
            return []
        (low, high), size = self.ranges[name], header.sizes[name]
        factor = max(size / max(high, 1e-9), low / max(size, 1e-9))
        if factor <= WARNED:
            return []
        code, what = SIZES[name]
        words = f"its {what} is {size:.4g} mm; training cases had {_range(low, high)} mm"
        is_finer = code == "spacing" and size < low  # is sampled to the model's own grid, and loses nothing that it knows
        return [Concern(code, words, factor > REFUSED and not is_finer)]

    def _of_gaps(self, header: Header) -> list[Concern]:
        if header.interpolated <= self.interpolated:
            return []
        share, most = f"{header.interpolated:.0%}", f"{self.interpolated:.0%}"
        words = f"{share} of its slices were missing and are interpolated; in training at most {most}"
        return [Concern("missing-slices", words, header.interpolated > self.interpolated + INTERPOLATED)]


def _range(low: float, high: float) -> str:
    return f"{low:.4g}" if f"{low:.4g}" == f"{high:.4g}" else f"{low:.4g} to {high:.4g}"


def _kept(name: str, value: str, patients: int) -> tuple[str, ...]:
    return (value,) if patients > 1 else _plainly(name, value)


def _plainly(name: str, value: str) -> tuple[str, ...]:
    """What the tables know of a value; nothing where they do not know it."""
    if name == "body_part":
        return region_words(value)
    tables: dict[str, Callable[[str], object]] = {"modality": modality_family, "view": view_family}
    known = bool(tables[name](value)) if name in tables else name == "plane" or value in ("L", "R", "B", "U")
    return (value,) if known else ()


def _by_family(family: Callable[[str], str]) -> Callable[[str, tuple[str, ...]], bool | None]:
    def against(value: str, seen: tuple[str, ...]) -> bool | None:
        return bool(family(value)) and all(map(family, seen)) and family(value) not in {family(v) for v in seen}

    return against


def _body_part(value: str, seen: tuple[str, ...]) -> bool | None:
    """Contradicts where it names a region and none of training; the same regions under another name are no concern."""
    own, learned = regions(value), frozenset[str]().union(*map(regions, seen))
    if own and own <= learned:
        return None
    return bool(own) and all(map(regions, seen)) and not own & learned


def _side(value: str, seen: tuple[str, ...]) -> bool | None:
    """Left against right; both sides, or an unpaired organ, are no concern."""
    return not {"B", "U"} & set(seen) if value in ("L", "R") else None


CONTRADICTS: dict[str, Callable[[str, tuple[str, ...]], bool | None]] = {  # True refuses, False warns, None is no concern
    "modality": _by_family(modality_family),
    "body_part": _body_part,
    "view": _by_family(view_family),
    "laterality": _side,
    "plane": lambda value, seen: True,
}
