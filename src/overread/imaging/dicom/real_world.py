"""Real-world value maps: stored values to a physical quantity with a coded unit.

The rule: a map is used where its unit is a unit (UCUM, other than "1"), where it speaks of every stored value that
occurs, and where each frame has one of the same unit. CT keeps its rescale to HU where it has one. PET takes a map to
SUV by body weight, else one to activity, and no other. Of several other maps that fit, with different units, none is
used, and a note says so.
Source: DICOM PS3.3 C.7.6.16.2.11 (Real World Value Mapping), PS3.16 CID 7181 and 84 (units).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from overread.imaging.dicom.values import floats, items, number, text

SUV = "SUV"
BECQUEREL = "Bq/ml"
UNITS = {  # UCUM codes that have a name here; every other unit keeps its code
    "[hnsf'U]": "HU",
    "{SUVbw}g/ml": SUV,
    "g/ml{SUVbw}": SUV,
    "Bq/mL": BECQUEREL,
    "Bq/ml": BECQUEREL,
}
WITHOUT_UNIT = {"", "1", "{ratio}"}


@dataclass(frozen=True, slots=True)
class RealWorldMap:
    """One map of one frame.

    first, last       stored values it speaks of
    slope, intercept  of a straight map
    table             (last - first + 1,) values instead; None for a straight map
    """

    units: str
    first: float
    last: float
    slope: float
    intercept: float
    table: np.ndarray | None

    def covers(self, low: float, high: float) -> bool:
        return self.first <= low and high <= self.last


def read_maps(items: Sequence[Dataset], is_signed: bool, bits: int) -> tuple[RealWorldMap, ...]:
    """The maps of a Real World Value Mapping Sequence (0040,9096) whose unit is a unit."""
    found = []
    for item in items:
        units = _units(item)
        first = _stored(item, "RealWorldValueFirstValueMapped", is_signed, bits)
        last = _stored(item, "RealWorldValueLastValueMapped", is_signed, bits)
        if units in WITHOUT_UNIT or first is None or last is None:
            continue
        slope, intercept = number(item, "RealWorldValueSlope"), number(item, "RealWorldValueIntercept")
        table = floats(item, "RealWorldValueLUTData")
        if table and len(table) == int(last - first) + 1:
            found.append(RealWorldMap(units, first, last, 1.0, 0.0, np.array(table)))
        elif slope:
            found.append(RealWorldMap(units, first, last, slope, intercept or 0.0, None))
    return tuple(found)


def choose_maps(
    frames: Sequence[tuple[RealWorldMap, ...]], ranges: Sequence[tuple[float, float]], preferred: Sequence[str]
) -> tuple[tuple[RealWorldMap, ...], str]:
    """One map for each frame and a note; no maps where the rule above finds none.

    ranges     lowest and highest stored value of each frame
    preferred  units that go before all others, in order
    """
    if not frames or not any(frames):
        return (), ""
    usable = [
        {m.units: m for m in reversed(maps) if m.covers(*around)} for maps, around in zip(frames, ranges, strict=True)
    ]  # the first of a unit counts
    everywhere = [units for units in usable[0] if all(units in own for own in usable)]
    if not everywhere:
        return (), "a real-world value map does not speak of every stored value; the rescale was used instead"
    units = next((u for u in preferred if u in everywhere), everywhere[0] if len(everywhere) == 1 else "")
    if not units:
        return (), f"real-world value maps to {', '.join(sorted(everywhere))}; none was chosen, the rescale was used instead"
    return tuple(own[units] for own in usable), f"values by the file's real-world value map, in {units}"


def _units(item: Dataset) -> str:
    codes = items(item, "MeasurementUnitsCodeSequence")
    if not codes or text(codes[0], "CodingSchemeDesignator") != "UCUM":
        return ""
    code = text(codes[0], "CodeValue")
    return UNITS.get(code, code)


def _stored(item: Dataset, keyword: str, is_signed: bool, bits: int) -> float | None:
    """A stored value; read as signed where the pixels are, whatever the element's own coding says."""
    exact = number(item, "DoubleFloat" + keyword)
    if exact is not None:
        return exact
    given = item.get(keyword)
    if isinstance(given, bytes):
        given = int.from_bytes(given[:2], "little")
    if not isinstance(given, int):
        return None
    return float(as_stored(given, is_signed, bits))


def as_stored(value: int, is_signed: bool, bits: int) -> int:
    """A 16-bit number given with or without sign, as pixels of that kind hold it."""
    value &= (1 << max(bits, 16)) - 1
    return value - (1 << max(bits, 16)) if is_signed and value >= 1 << (max(bits, 16) - 1) else value
