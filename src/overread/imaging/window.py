"""Windows: how a range of values becomes grey on a screen. For display only; nothing learns from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from overread.core.image import Image

SUBSAMPLE = 200_000  # voxels that are enough to estimate percentiles
SIGMOID = "sigmoid"
LINEAR = "linear exact"


@dataclass(frozen=True)
class Window:
    """Centre and width in the image's units.

    function  "linear exact": 0 to 1 from half a width below the centre to half a width above it;
              "sigmoid": 1 / (1 + exp(-4 (value - centre) / width)), DICOM PS3.3 C.11.2.1.3
    """

    centre: float
    width: float
    function: str = LINEAR
    name: str = ""

    @property
    def range(self) -> tuple[float, float]:
        return self.centre - self.width / 2, self.centre + self.width / 2

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Values of any shape to 0..1 float32."""
        if self.function != SIGMOID:
            return window(values, self.centre, self.width)
        steps = np.clip(-4 * (np.asarray(values, dtype=np.float32) - self.centre) / max(self.width, 1e-12), -80, 80)
        return np.asarray(1 / (1 + np.exp(steps)), dtype=np.float32)


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
SUV_RANGE = (0.0, 10.0)  # g/ml; liver at 2 is dark grey, most tumours are bright


def window(array: np.ndarray, centre: float, width: float) -> np.ndarray:
    """Values to 0..1 float32: 0 at and below centre - width / 2, 1 at and above centre + width / 2."""
    low = centre - width / 2
    scaled = (np.asarray(array, dtype=np.float32) - low) / max(width, 1e-12)
    return np.clip(scaled, 0, 1, out=scaled)


def file_windows(image: Image) -> tuple[Window, ...]:
    """The windows that the image's own file names, in its order; empty where it names none."""
    return tuple(Window(w["centre"], w["width"], w["function"], w["name"]) for w in image.source.get("windows", ()))


def display_range(image: Image) -> tuple[float, float]:
    """(low, high) to show an image with.

    CT in HU gets the abdomen window and SUV 0 to 10; colour and 8-bit pictures their full range; all else the file's
    own window where it has one, or the 0.5 and 99.5 percentiles of what is not background.
    """
    if image.units == "HU":
        return WINDOWS["abdomen"].range
    if image.units == "SUV":
        return SUV_RANGE
    is_colour = image.channels == ("red", "green", "blue")
    if is_colour and image.array.dtype.kind == "u":
        return 0.0, float(np.iinfo(image.array.dtype).max)
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


def shown(image: Image, chosen: Window | None = None) -> np.ndarray:
    """(C, Z, Y, X) float32, 0 to 1, as a viewer shows it.

    chosen  a window; None takes the file's own table or first window where it has one and the units are
            arbitrary, else `display_range`
    """
    own = file_windows(image)
    table = image.source.get("voi_lut")
    if chosen is not None:
        grey = chosen.apply(image.array)
    elif table and image.units == "a.u.":
        grey = _through_table(image.array, table)
    elif own and image.units == "a.u.":
        grey = own[0].apply(image.array)
    else:
        low, high = display_range(image)
        grey = window(image.array, (low + high) / 2, high - low)
    return 1 - grey if image.source.get("shown_inverted") else grey


def _through_table(array: np.ndarray, table: dict[str, Any]) -> np.ndarray:
    entries = np.array(table["table"], np.float32) / ((1 << table["bits"]) - 1)
    places = np.rint((array.astype(np.float64) - table["intercept"]) / table["slope"]).astype(np.int64) - table["first"]
    grey = entries[np.clip(places, 0, len(entries) - 1)]
    return 1 - grey if table["slope"] < 0 else grey  # values that were turned are shown turned back, and inverted
