"""What a file says of how to show it: windows and tables. For display only; values never change.

Source: DICOM PS3.3 C.11.2 (VOI LUT), C.7.6.16.2.10 (frame VOI LUT).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian

from overread.core.errors import Refused
from overread.imaging.dicom.lookup import LookUp, read_look_up
from overread.imaging.dicom.pixels import FrameSlot
from overread.imaging.dicom.values import floats, items, text, words

FUNCTIONS = {"": "linear", "LINEAR": "linear", "LINEAR_EXACT": "linear exact", "SIGMOID": "sigmoid"}


def display_of(slots: Sequence[FrameSlot], lines: Sequence[tuple[float, float]] | None) -> dict[str, Any]:
    """Entries for an image's source: ``window``, ``windows`` and ``voi_lut``; those of the middle slice.

    lines  (N,) (a, b): a times a value of the file's own modality scale plus b is a value of the image; None where
           there is no such line, and the windows say nothing of the image

    ``window`` is (centre, width) of the first; ``windows`` a list of {name, centre, width, function}, in the image's
    units, where a linear one has its ends exactly half a width from its centre; ``voi_lut`` {name, first, table,
    bits, slope, intercept}, looked up at (value - intercept) / slope.
    """
    if lines is None:
        return {}
    middle = len(slots) // 2
    slot, (slope, intercept) = slots[middle], lines[middle]
    held = slot.group("FrameVOILUTSequence")
    found: dict[str, Any] = {}
    windows = [_moved(window, slope, intercept) for window in _windows(held)]
    if windows:
        found["window"] = (windows[0]["centre"], windows[0]["width"])
        found["windows"] = windows
    table = _table(held, slot)
    if table is not None:
        found["voi_lut"] = {"name": table.name, "first": table.first, "table": table.table.tolist(), "bits": table.bits}
        found["voi_lut"] |= {"slope": slope, "intercept": intercept}
    return found


def _windows(tags: Dataset) -> list[tuple[float, float, str, str]]:
    """(centre, width, function, name) of each window; a width that makes no sense is left out."""
    function = FUNCTIONS.get(text(tags, "VOILUTFunction").upper())
    if function is None:
        return []
    names = words(tags, "WindowCenterWidthExplanation")
    pairs = zip(floats(tags, "WindowCenter") or (), floats(tags, "WindowWidth") or (), strict=False)
    lowest = 1.0 if function == "linear" else 0.0
    return [
        (centre, width, function, names[k] if k < len(names) else "")
        for k, (centre, width) in enumerate(pairs)
        if width > 0 and width >= lowest
    ]


def _moved(window: tuple[float, float, str, str], slope: float, intercept: float) -> dict[str, Any]:
    centre, width, function, name = window
    if function == "linear":  # its ends lie at centre - 0.5 -+ (width - 1) / 2
        centre, width, function = centre - 0.5, max(width - 1, 1e-6), "linear exact"
    return {"name": name, "centre": slope * centre + intercept, "width": abs(slope) * width, "function": function}


def _table(tags: Dataset, slot: FrameSlot) -> LookUp | None:
    """The first table of the VOI LUT Sequence (0028,3010); None where there is none that can be used."""
    header = slot.header
    is_signed = header.is_signed or (header.intercept or 0) < 0
    try:
        tables = items(tags, "VOILUTSequence")
        return (
            None if not tables else read_look_up(tables[0], is_signed, header.transfer_syntax == ExplicitVRBigEndian, header.name)
        )
    except Refused:  # only the display suffers, and a window or percentiles take its place
        return None
