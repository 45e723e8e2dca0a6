"""How large a change of the prepared image is in the units of the image as it came."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from overread.batches.prepare import normalise
from overread.core.image import Image
from overread.core.preparation import Preparation
from overread.imaging.window import display_range


@dataclass(frozen=True)
class Units:
    """What 1 of the prepared image, one SD, is in the image itself; of several channels that of the first.

    per_sd  in `name`
    name    "HU", "grey levels", "SUV" or "units"
    width   of the display window, in `name`
    """

    per_sd: float
    name: str
    width: float

    def words(self, size: float) -> str:
        """A size in SD: "0.012 SD = 0.74 grey levels, 0.3 % of the window"."""
        amount = size * self.per_sd
        return f"{size:.2g} SD = {amount:.2g} {self.name}, {100 * amount / self.width:.2g} % of the window"


def units_of(image: Image, preparation: Preparation) -> Units:
    """Measured on the image: what lies between the clips of the normalisation is scaled by one factor."""
    values = image.array[:1].astype(np.float64)
    scaled = normalise(image.array, preparation.normalisation)[:1].astype(np.float64)
    inside = (scaled > scaled.min()) & (scaled < scaled.max())
    span = float(np.ptp(scaled[inside])) if inside.any() else 0.0
    low, high = display_range(image)
    name = image.units.split(", ")[0]
    if name == "a.u.":
        name = "grey levels" if image.array.dtype.kind in "iu" else "units"
    return Units(float(np.ptp(values[inside])) / span if span > 0 else 1.0, name, max(high - low, 1e-6))
