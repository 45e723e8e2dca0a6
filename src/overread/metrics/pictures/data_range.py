"""The range of intensities that PSNR and SSIM count errors against: without it neither is a number that can be compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

HU_WINDOW = (-1000.0, 1000.0)  # air to dense bone
AIR_HU = -1000.0


@dataclass(frozen=True)
class DataRange:
    """From the lowest to the highest intensity that counts.

    words   how it was chosen, for the list of rules
    is_cut  intensities beyond are cut off before PSNR and SSIM
    """

    low: float
    high: float
    words: str
    is_cut: bool = False

    @property
    def length(self) -> float:
        return self.high - self.low

    def cut(self, array: np.ndarray) -> np.ndarray:
        return np.clip(array, self.low, self.high) if self.is_cut else array


def units_by_channel(units: str, channels: int) -> tuple[str, ...]:
    """ "HU, SUV" of two channels -> each; one unit is that of all."""
    each = tuple(units.split(", "))
    return each if len(each) == channels else (units,) * channels


def range_of(truth: np.ndarray, units: str) -> DataRange:
    """HU: the fixed window -1000 to 1000, the same for every case. Other units: from the lowest to the highest of this truth.

    truth  (Z, Y, X) one channel of the true image
    """
    if units == "HU":
        return DataRange(*HU_WINDOW, "-1000 to 1000 HU, beyond which intensities are cut off", is_cut=True)
    return DataRange(float(truth.min()), float(truth.max()), f"from the lowest to the highest of each truth ({units})")
