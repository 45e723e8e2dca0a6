"""Stored values to real ones, frame by frame, and what they are then measured in.

Sources: DICOM PS3.3 C.11.1 (modality LUT), C.7.6.16.2.9 (pixel value transformation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from pydicom.uid import ExplicitVRBigEndian

from overread.core.errors import Refused
from overread.imaging.dicom.lookup import LookUp, read_look_up
from overread.imaging.dicom.padding import find_padding, settle_padding
from overread.imaging.dicom.pixels import FrameSlot
from overread.imaging.dicom.real_world import SUV, RealWorldMap, choose_maps, read_maps
from overread.imaging.dicom.suv import suv_factors
from overread.imaging.dicom.values import items, number, text

HOUNSFIELD_TYPES = ("", "HU", "US")  # Rescale Type (0028,1054); US is "unspecified"
PREFERRED = {"PT": (SUV, "Bq/ml"), "CT": ("HU",)}


@dataclass(frozen=True, slots=True)
class ToReal:
    """Slope and intercept, applied after the table where there is one."""

    slope: float = 1.0
    intercept: float = 0.0
    look_up: LookUp | None = None

    @property
    def is_whole(self) -> bool:
        """Whether integers stay integers."""
        return self.slope == round(self.slope) and self.intercept == round(self.intercept) and abs(self.slope) < 2**15

    def apply(self, stored: np.ndarray) -> np.ndarray:
        values = stored if self.look_up is None else self.look_up.apply(stored)
        return values * np.float64(self.slope) + np.float64(self.intercept)


@dataclass
class RealValues:
    """What became of the stored values.

    array    (N, Y, X) integers where all is whole, else float32
    units    ``HU``, ``SUV``, a UCUM code, or ``a.u.``
    shown    (N,) (a, b): a times a value of the file's own modality scale plus b is a value here; for windows.
             None where there is no such line
    """

    array: np.ndarray
    units: str
    shown: list[tuple[float, float]] | None = None
    notes: list[str] = field(default_factory=list)


def real_values(slots: Sequence[FrameSlot], stored: np.ndarray, is_inverted: bool, name: str) -> RealValues:
    """Everything that happens to grey values between decoding and learning.

    stored       (N, Y, X) as decoded; overwritten where the result has its type
    is_inverted  MONOCHROME1 of a film: turned, so that bright means dense
    """
    padded = find_padding(slots, stored)
    own = [modality_transform(slot) for slot in slots]
    transforms, units, notes = _transforms(slots, stored, own, name)
    shown = _shown(own, transforms)
    if is_inverted:
        sums = _invert(stored, slots, transforms)
        shown = [(-a, total - b) for (a, b), total in zip(shown, sums, strict=True)] if shown else None
        notes.append("MONOCHROME1 inverted, so that bright means dense")
    array = _rescaled(stored, transforms)
    note = settle_padding(array, padded, units)
    return RealValues(array, units, shown, [*notes, note] if note else notes)


def modality_transform(slot: FrameSlot) -> ToReal:
    """Slope and intercept, or the table, that a frame's own tags give; the identity where they give none."""
    header, tags = slot.header, slot.file.elements.tags
    tables = items(tags, "ModalityLUTSequence")
    if tables:
        where = f"{header.name}, Modality LUT Sequence (0028,3000)"
        return ToReal(look_up=read_look_up(tables[0], header.is_signed, header.transfer_syntax == ExplicitVRBigEndian, where))
    own = (slot.plane.slope, slot.plane.intercept) if slot.plane is not None and header.frames > 1 else (None, None)
    if own == (None, None) and header.frames > 1:
        held = slot.group("PixelValueTransformationSequence")
        own = (number(held, "RescaleSlope"), number(held, "RescaleIntercept"))
    slope = own[0] if own[0] is not None else header.slope
    intercept = own[1] if own[1] is not None else header.intercept
    _refuse_senseless(slot, slope, intercept)
    return ToReal(1.0 if slope is None else slope, 0.0 if intercept is None else intercept)


def _refuse_senseless(slot: FrameSlot, slope: float | None, intercept: float | None) -> None:
    """A slope or intercept that is there and is no number, or a slope of zero, must not pass for "no rescale"."""
    for keyword, value in (("RescaleSlope", slope), ("RescaleIntercept", intercept)):
        held = slot.file.elements.tags.get_item(keyword)
        raw = getattr(held, "value", None)
        written = raw.decode("latin-1") if isinstance(raw, bytes) else str(raw or "")
        if value == 0 and keyword == "RescaleSlope":
            written = "0"
        elif value is not None or not written.strip(" \0"):
            continue
        what = f"{slot.header.name}: {keyword} is '{written.strip()[:40]}'; expected a number{' other than 0' * (value == 0)}."
        raise Refused("rescale", what, "fetch the file again")


def _transforms(
    slots: Sequence[FrameSlot], stored: np.ndarray, own: Sequence[ToReal], name: str
) -> tuple[list[ToReal], str, list[str]]:
    """One transform per frame, the units, and notes: real-world map or modality transform, then SUV for PET."""
    modality = slots[0].header.modality
    transforms = list(own)
    units = "HU" if _is_hounsfield(slots) else "a.u."
    notes: list[str] = []
    maps: tuple[RealWorldMap, ...] = ()
    if units != "HU":
        maps, note = _real_world(slots, stored, PREFERRED.get(modality, ()))
        notes += [note] if note else []
    if maps:
        units = maps[0].units
        transforms = [_by_map(chosen) for chosen in maps]
    if modality == "PT":
        factors, said = suv_factors([slot.header for slot in slots], units if maps else "", name)
        pairs = zip(transforms, factors.tolist(), strict=True)
        transforms = [ToReal(t.slope * f, t.intercept * f, t.look_up) for t, f in pairs]
        units, notes = SUV, [*notes, *said]
    return transforms, units, notes


def _is_hounsfield(slots: Sequence[FrameSlot]) -> bool:
    """CT that says how stored values become HU; a material map or a missing rescale is in arbitrary units."""
    for slot in slots:
        header = slot.header
        if header.modality != "CT" or header.has_modality_lut:
            return False
        held = slot.group("PixelValueTransformationSequence") if header.frames > 1 else None
        kind = text(held, "RescaleType").upper() if held is not None and "RescaleType" in held else header.rescale_type
        has_rescale = header.intercept is not None or bool(slot.plane and slot.plane.intercept is not None)
        if kind not in HOUNSFIELD_TYPES or not has_rescale:
            return False
    return True


def _real_world(slots: Sequence[FrameSlot], stored: np.ndarray, preferred: Sequence[str]) -> tuple[tuple[RealWorldMap, ...], str]:
    frames = []
    for slot in slots:
        held = slot.group("RealWorldValueMappingSequence")
        # an enhanced object has the sequence as its functional group; a classic one among its tags
        given = items(held, "RealWorldValueMappingSequence") or ([held] if "MeasurementUnitsCodeSequence" in held else [])
        given = given or items(slot.file.elements.tags, "RealWorldValueMappingSequence")
        maps = read_maps(given, slot.header.is_signed, slot.header.bits_allocated)
        is_pet = slot.header.modality == "PT"  # only what becomes SUV is of use
        frames.append(tuple(m for m in maps if not is_pet or m.units in preferred))
    if not any(frames):
        return (), ""
    ranges = [(float(frame.min()), float(frame.max())) for frame in stored]
    return choose_maps(frames, ranges, preferred)


def _by_map(chosen: RealWorldMap) -> ToReal:
    if chosen.table is None:
        return ToReal(chosen.slope, chosen.intercept)
    return ToReal(look_up=LookUp(int(chosen.first), chosen.table, 64))


def _shown(modality: Sequence[ToReal], transforms: Sequence[ToReal]) -> list[tuple[float, float]] | None:
    """How a window, which speaks of the modality's own scale, moves to the scale in use."""
    lines = []
    for own, used in zip(modality, transforms, strict=True):
        if own.look_up is not None and used.look_up is not None and own.look_up is used.look_up:
            lines.append((1.0, 0.0))
        elif own.look_up is not None or used.look_up is not None:
            return None
        else:
            ratio = used.slope / own.slope
            lines.append((ratio, used.intercept - own.intercept * ratio))
    return lines


def _invert(stored: np.ndarray, slots: Sequence[FrameSlot], transforms: list[ToReal]) -> list[float]:
    """Low values are bright: turn them, on stored values, or on the table's entries where there is one.

    returns  what a value before and after add up to, for each frame
    """
    sums = []
    for k, slot in enumerate(slots):
        used, bits = transforms[k], slot.header.bits_stored
        table = used.look_up
        if table is not None:
            turned = LookUp(table.first, (table.highest - table.table.astype(np.int64)).astype(table.table.dtype), table.bits)
            transforms[k] = ToReal(used.slope, used.intercept, turned)
            total = table.highest
        elif stored.dtype.kind == "f":
            total = 0
            np.negative(stored[k], out=stored[k])
        elif slot.header.is_signed:
            total = -1
            np.invert(stored[k], out=stored[k])  # -1 - value
        else:
            total = (1 << bits) - 1
            np.subtract(np.array(total, stored.dtype), stored[k], out=stored[k])
        sums.append(used.slope * total + 2 * used.intercept)
    return sums


def _rescaled(stored: np.ndarray, transforms: Sequence[ToReal]) -> np.ndarray:
    """(N, Y, X): the smallest of uint8, int16, uint16, int32, uint32 that holds whole values, else float32."""
    if any(t.look_up is not None for t in transforms):
        return _looked_up(stored, transforms)
    if stored.dtype.kind not in "iu" or not all(t.is_whole for t in transforms):
        result = np.empty(stored.shape, np.float32)
        for k, transform in enumerate(transforms):
            result[k] = transform.apply(stored[k])
        return result
    if all(t == transforms[0] for t in transforms):
        ends = [(int(stored.min()), int(stored.max()), transforms[0])]
    else:
        ends = [(int(frame.min()), int(frame.max()), t) for frame, t in zip(stored, transforms, strict=True)]
    reached = [value * round(t.slope) + round(t.intercept) for low, high, t in ends for value in (low, high)]
    dtype = _smallest(min(reached), max(reached), stored.dtype)
    if dtype is None:
        return np.stack([t.apply(frame) for frame, t in zip(stored, transforms, strict=True)]).astype(np.float32)
    return _in_integers(stored, transforms, dtype)


def _in_integers(stored: np.ndarray, transforms: Sequence[ToReal], dtype: np.dtype) -> np.ndarray:
    if stored.dtype == dtype and all(t == ToReal() for t in transforms):
        return stored
    # Of one width, sums wrap around and come out right: no second array is needed.
    result = stored.view(dtype) if stored.dtype.itemsize == dtype.itemsize else stored.astype(dtype)
    for k, transform in enumerate(transforms):
        for number_, step in ((round(transform.slope), np.multiply), (round(transform.intercept), np.add)):
            if number_ != (1 if step is np.multiply else 0):
                step(result[k], np.array(number_).astype(dtype), out=result[k])
    return result


def _looked_up(stored: np.ndarray, transforms: Sequence[ToReal]) -> np.ndarray:
    frames = [t.look_up.apply(frame) if t.look_up else frame for frame, t in zip(stored, transforms, strict=True)]
    if all(t.slope == 1 and t.intercept == 0 for t in transforms) and all(f.dtype.kind in "iu" for f in frames):
        return np.stack(frames)
    return np.stack([t.apply(frame) for frame, t in zip(stored, transforms, strict=True)]).astype(np.float32)


def _smallest(low: int, high: int, stored: np.dtype) -> np.dtype | None:
    """Prefer the stored type, then 16 bits, then 32; None where not even those hold the values."""
    for kind in (stored, np.int16, np.uint16, np.int32, np.uint32):
        dtype = np.dtype(kind)
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return dtype
    return None
