"""Numbers to the whole ones that DICOM stores, with the rescale that gives them back.

Source: DICOM PS3.3 C.11.1 (Modality LUT): value = stored x slope + intercept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydicom.valuerep import DSfloat

MOST = 65535


@dataclass(frozen=True)
class Stored:
    """Values as they are stored.

    array             (N, rows, columns) int16 or uint16
    slope, intercept  as they are written, at most 16 characters each; half a slope is the most that a value is off
    """

    array: np.ndarray
    slope: float
    intercept: float


def stored_values(values: np.ndarray, *, whole: bool = False) -> Stored:
    """Whole numbers stay exactly as they are where 16 bits hold them; others are spread over 16 bits.

    values  (N, rows, columns) float32, finite
    whole   round to whole numbers first, as scanners store Hounsfield units
    """
    rounded = np.rint(values)
    low, high = float(values.min()), float(values.max())
    if whole or (rounded == values).all():
        for dtype in (np.int16, np.uint16):
            limits = np.iinfo(dtype)
            if limits.min <= rounded.min() and rounded.max() <= limits.max:
                return Stored(rounded.astype(dtype), 1.0, 0.0)
    slope, intercept = written((high - low) / MOST), written(low)
    spread = np.rint((values.astype(np.float64) - intercept) / slope)
    return Stored(np.clip(spread, 0, MOST).astype(np.uint16), slope, intercept)


def written(number: float) -> float:
    """The number as a decimal string holds it (value representation DS, 16 characters)."""
    return float(str(DSfloat(number, auto_format=True)))
