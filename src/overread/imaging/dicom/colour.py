"""Colour: palettes looked up, planes put together, and what counts as a colour image.

Sources: DICOM PS3.3 C.7.6.3.1 (photometric interpretation), C.7.9 (palette).
"""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut

from overread.core.errors import Refused
from overread.imaging.dicom.header import Header

GREY = {"MONOCHROME1", "MONOCHROME2", ""}
COLOURS = ("red", "green", "blue")
SUPPORTED = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT"}


def is_palette(header: Header) -> bool:
    return header.photometric == "PALETTE COLOR"


def is_colour(header: Header) -> bool:
    return header.samples == 3 or is_palette(header)


def refuse_other_colours(header: Header) -> None:
    """Refuse a number of samples and a photometric interpretation that do not go together, or that are retired."""
    expected = {1: GREY | {"PALETTE COLOR"}, 3: SUPPORTED}.get(header.samples)
    if expected is None or header.photometric not in expected:
        samples = f"{header.samples} sample{'s' if header.samples != 1 else ''} per pixel"
        what = f"{header.name} has {samples} and the photometric interpretation '{header.photometric}'; that is not read."
        raise Refused("pixel-colour", what, "export it as MONOCHROME2 or RGB")


def through_palette(stored: np.ndarray, tags: Dataset, header: Header) -> np.ndarray:
    """(Y, X) palette indices -> (Y, X, 3) red, green, blue; uint8 where the palette is one of 8 bits written as 16."""
    try:
        colours = np.asarray(apply_color_lut(stored, tags))
    except Exception as error:  # pydicom raises whatever it likes on a damaged palette; the user needs the file and the words
        what = f"{header.name}: its palette cannot be used: {' '.join(str(error).split())[:200]}."
        raise Refused("pixel-colour", what, "fetch the file again") from error
    if colours.dtype != np.uint16:
        return colours
    high, low = colours >> 8, colours & 0xFF
    if (low == high).all() or not low.any():
        return high.astype(np.uint8)
    return colours
