"""Windows: how a range of values becomes grey on a screen. For display only; nothing learns from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from overread.core.image import Image

SUBSAMPLE = 200_000  # voxels that are enough to estimate percentiles


@dataclass(frozen=True)
class Window:
    """Centre and width in HU."""

    centre: float
    width: float

    @property
    def range(self) -> tuple[float, float]:
        return self.centre - self.width / 2, self.centre + self.width / 2


# Centre and width as usually set at the CT workstation.
WINDOWS: dict[str, Window] = {
    "abdomen": Window(50, 400),
    "liver": Window(80, 150),
    "soft tissue": Window(40, 400),
    "mediastinum": Window(50, 350),
    "lung": Window(-600, 1500),
    "bone": Window(400, 1800),
    "brain": Window(40, 80),
    "stroke": Window(35, 30),
    "subdural": Window(75, 215),
    "temporal bone": Window(600, 2800),
    "angiography": Window(300, 600),
}


def window(array: np.ndarray, centre: float, width: float) -> np.ndarray:
    """Values to 0..1 float32: 0 at and below centre - width / 2, 1 at and above centre + width / 2."""
    low = centre - width / 2
    scaled = (np.asarray(array, dtype=np.float32) - low) / max(width, 1e-12)
    return np.clip(scaled, 0, 1, out=scaled)


def display_range(image: Image) -> tuple[float, float]:
    """(low, high) to show an image with.

    CT in HU gets the abdomen window; 8-bit pictures their full range; all else the file's own window
    where it has one, or the 0.5 and 99.5 percentiles of what is not background.
    """
    if image.units == "HU":
        return WINDOWS["abdomen"].range
    given = image.source.get("window")
    if given:
        return Window(*given).range
    if image.array.dtype == np.uint8:
        return 0.0, 255.0
    values = image.array.reshape(-1)
    values = values[:: max(1, values.size // SUBSAMPLE)].astype(np.float32)
    foreground = values[values > values.min()]
    low, high = np.percentile(foreground if foreground.size else values, [0.5, 99.5])
    return float(low), float(max(high, low + 1e-6))
