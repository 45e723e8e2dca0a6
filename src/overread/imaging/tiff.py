"""What a TIFF says of its pages: slices of one volume or not, and spacing where a unit of length is stated.

Sources: ImageJ's description ("ImageJ=1.54", "slices=", "spacing=", "unit="); OME-TIFF,
https://docs.openmicroscopy.org/ome-model/ (Pixels, PhysicalSizeX).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from PIL import Image as Pillow

from overread.core.errors import Refused

DESCRIPTION, X_RESOLUTION, Y_RESOLUTION = 270, 282, 283  # TIFF tags
MILLIMETRES = {"nm": 1e-6, "um": 1e-3, "micron": 1e-3, "microns": 1e-3, "micrometer": 1e-3, "µm": 1e-3, "μm": 1e-3}
MILLIMETRES |= {"\\u00b5m": 1e-3, "mm": 1.0, "millimeter": 1.0, "cm": 10.0, "m": 1000.0, "inch": 25.4}
LONGEST_XML = 4 << 20
UNKNOWN_ORIENTATION = "the file names no orientation; spacing only"

Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class Stack:
    """The pages of a TIFF.

    is_volume  they are the slices of one volume
    spacing    (Z, Y, X) mm where all that the image needs are stated; 1 along Z for a single picture
    """

    is_volume: bool = False
    spacing: Spacing | None = None
    notes: tuple[str, ...] = ()


def read_stack(name: str, file: Pillow.Image) -> Stack:
    """Of any picture; what is no TIFF is one page and states nothing."""
    tags = getattr(file, "tag_v2", None)
    if tags is None:
        return Stack()
    text = _as_utf8(str(tags.get(DESCRIPTION, "")))
    pages = getattr(file, "n_frames", 1)
    if text.startswith("ImageJ="):
        return _imagej(name, dict(line.partition("=")[::2] for line in text.splitlines()), tags, pages)
    if "<OME" in text[:2000]:
        return _ome(text, pages)
    return Stack()


def _imagej(name: str, fields: dict[str, str], tags: Any, pages: int) -> Stack:
    counts = {field: _count(fields.get(field, "1")) for field in ("images", "slices", "channels", "frames")}
    if counts["images"] > pages:
        what = f"{name} says that it holds {counts['images']} pictures, and {pages} can be found."
        raise Refused("truncated", what, "save it again as a TIFF with one directory per page (ImageJ: below 4 GB)")
    is_volume = counts["slices"] == pages > 1
    unit = MILLIMETRES.get(fields.get("unit", "").strip().lower())
    if unit is None or (pages > 1 and not is_volume):
        return Stack(is_volume)
    per_unit = [_positive(tags.get(tag)) for tag in (Y_RESOLUTION, X_RESOLUTION)]
    depth = _positive(fields.get("spacing")) if is_volume else 1.0 / unit
    return _stated(is_volume, [depth, *(1 / n if n else None for n in per_unit)], unit)


def _ome(text: str, pages: int) -> Stack:
    if len(text) > LONGEST_XML or "<!" in text.replace("<!--", ""):
        return Stack(notes=("its OME description was not read",))
    try:
        found = [element for element in ElementTree.fromstring(text.encode()).iter() if element.tag.endswith("}Pixels")]
    except (ElementTree.ParseError, ValueError):
        return Stack(notes=("its OME description cannot be read",))
    if len(found) != 1:
        return Stack()
    about = found[0].attrib
    depth, times = _count(about.get("SizeZ", "1")), _count(about.get("SizeT", "1"))
    is_volume = depth == pages > 1 and times == 1
    if pages > 1 and not is_volume:
        return Stack()
    sizes: list[float | None] = []
    for axis in "ZYX":
        unit = MILLIMETRES.get(about.get(f"PhysicalSize{axis}Unit", "µm").lower())
        value = _positive(about.get(f"PhysicalSize{axis}"))
        sizes.append(value * unit if value and unit else 1.0 if axis == "Z" and not is_volume else None)
    return _stated(is_volume, sizes, 1.0)


def _stated(is_volume: bool, sizes: list[float | None], unit: float) -> Stack:
    known = [size * unit for size in sizes if size is not None]
    if len(known) < 3:
        return Stack(is_volume, notes=("only some of its spacings are stated, so none was taken",) if known[1:] else ())
    return Stack(is_volume, (known[0], known[1], known[2]), (UNKNOWN_ORIENTATION,) if is_volume else ())


def _as_utf8(text: str) -> str:
    """Pillow reads latin-1; most writers mean UTF-8."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _count(text: str) -> int:
    return int(text) if text.strip().isdigit() and len(text) < 9 else 1


def _positive(value: Any) -> float | None:
    """A number above zero, or None."""
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) and number > 0 else None
