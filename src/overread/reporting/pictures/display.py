"""From stored values to what is seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from overread.core.image import Image
from overread.imaging.window import shown


def grey(image: Image, window: tuple[float, float] | None = None) -> np.ndarray:
    """Scale an image for display: (Z, Y, X) grey or (Z, Y, X, 3) colour, 0 to 1.

    window  lowest and highest value shown; None shows it as a viewer does, by the file's own window or the usual range
            of its units

    The first channel is shown, or all three where they are red, green and blue.
    """
    is_colour = image.channels == ("red", "green", "blue")
    count = 3 if is_colour else 1
    first = replace(image, array=image.array[:count], channels=image.channels[:count], units=image.units.split(", ")[0])
    if window is None:
        scaled = shown(first)
    else:
        low, high = window
        scaled = np.clip((first.array.astype(np.float32) - low) / max(high - low, 1e-6), 0, 1)
    return np.moveaxis(scaled, 0, -1) if is_colour else scaled[0]
