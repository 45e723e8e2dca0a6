"""Padding: stored values that stand for "no pixel here", outside the circle of a scanner or beside a film.

Source: DICOM PS3.3 C.7.5.1.1.2 (pixel padding value and range limit).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydicom.uid import ExplicitVRBigEndian

from overread.imaging.dicom.pixels import FrameSlot, PixelFile
from overread.imaging.dicom.real_world import as_stored

AIR_HU = -1024.0  # the lowest value of a 12-bit scanner; padding below it was never measured


def find_padding(slots: Sequence[FrameSlot], stored: np.ndarray) -> list[np.ndarray | None]:
    """Where each frame holds its padding value, packed eight to a byte; None where it holds none."""
    found: list[np.ndarray | None] = []
    for slot, frame in zip(slots, stored, strict=True):
        limits = padding_range(slot.file)
        mask = None
        if limits and stored.dtype.kind in "iu":
            mask = frame == limits[0] if limits[0] == limits[1] else (frame >= limits[0]) & (frame <= limits[1])
        found.append(np.packbits(mask) if mask is not None and mask.any() else None)
    return found


def padding_range(file: PixelFile) -> tuple[int, int] | None:
    """Lowest and highest stored value that stands for "no pixel here" (0028,0120) and (0028,0121)."""
    tags, header = file.elements.tags, file.header
    ends = []
    for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit"):
        given = tags.get(keyword)
        if isinstance(given, bytes) and len(given) >= 2:
            given = int.from_bytes(given[:2], "big" if header.transfer_syntax == ExplicitVRBigEndian else "little")
        if isinstance(given, int):
            ends.append(as_stored(given, header.is_signed, header.bits_allocated))
    return (min(ends), max(ends)) if ends and "PixelPaddingValue" in tags else None


def settle_padding(array: np.ndarray, padded: Sequence[np.ndarray | None], units: str) -> str:
    """Give padding a value that was, or could have been, measured. In place; returns a note, or "".

    HU below -1024 become -1024, air; in other units, padding that would shine becomes the lowest measured value.
    Padding that is dark already stays as it is, so that a background of 0 stays 0.
    """
    masks = {
        k: np.unpackbits(p, count=array[k].size).view(bool).reshape(array[k].shape) for k, p in enumerate(padded) if p is not None
    }
    if not masks:
        return ""
    if units == "HU":
        target = AIR_HU
        changed = {k: mask & (array[k] < target) for k, mask in masks.items()}
    else:
        measured = [array[k][~masks[k]] if k in masks else array[k] for k in range(len(array))]
        lowest = [values.min() for values in measured if values.size]
        if not lowest:
            return ""
        target = float(min(lowest))
        changed = {k: mask & (array[k] > target) for k, mask in masks.items()}
    count = sum(int(mask.sum()) for mask in changed.values())
    for k, mask in changed.items():
        array[k][mask] = target
    return f"{count} padded voxels set to {target:g}" if count else ""
