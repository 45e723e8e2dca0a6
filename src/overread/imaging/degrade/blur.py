"""Blur: a softer kernel, a larger focus, a thick plate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from overread.core.image import Image
from overread.imaging.degrade.degradation import Degradation, Level, length_words
from overread.imaging.degrade.values import as_stored

IN_MM = (0.5, 1.0, 2.0)
IN_PIXELS = (1.0, 2.0, 4.0)


def levels(image: Image) -> tuple[Level, ...]:
    chosen = IN_MM if image.grid.spacing_known else IN_PIXELS
    return tuple(Level(v, length_words(image, v, "sigma")) for v in chosen)


def blur(image: Image, amount: float, random: np.random.Generator) -> Image:
    """A Gaussian of standard deviation `amount` mm (pixels where the spacing is unknown), alike in all directions of the grid."""
    sigma = [0.0 if image.grid.is_planar and axis == 0 else amount / s for axis, s in enumerate(image.grid.spacing)]
    soft = [ndimage.gaussian_filter(values.astype(np.float32), sigma, mode="nearest") for values in image.array]
    return replace(image, array=as_stored(np.stack(soft), image))


BLUR = Degradation("blur", "Blur", "the image is smoothed by a Gaussian, alike in all directions", levels, blur)
