"""From stored values to what is seen."""

from __future__ import annotations

import numpy as np

from overread.core.image import Image
from overread.imaging.window import display_range


def grey(image: Image, window: tuple[float, float] | None = None) -> np.ndarray:
    """Scale an image for display: (Z, Y, X) grey or (Z, Y, X, 3) colour, 0 to 1.

    window  lowest and highest value shown; None takes the usual range for the image's units

    The first channel is shown, or all three where they are red, green and blue.
    """
    is_colour = image.channels == ("red", "green", "blue")
    array = np.asarray(image.array[:3] if is_colour else image.array[:1], dtype=np.float32)
    low, high = window or display_range(image)
    scaled = np.clip((array - low) / max(high - low, 1e-6), 0, 1)
    return np.moveaxis(scaled, 0, -1) if is_colour else scaled[0]
