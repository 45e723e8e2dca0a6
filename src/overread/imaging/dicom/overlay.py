"""Overlays: graphics and regions drawn over an image. Told as present, read as masks, never part of the values.

Source: DICOM PS3.3 C.9.2 (Overlay Plane), PS3.5 8.1.2 (old overlays in unused bits of the pixels).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from overread.core.errors import Refused
from overread.imaging.dicom.header import Header, read_header
from overread.imaging.dicom.parse import parse
from overread.imaging.dicom.pixels import PixelFile

ROWS, COLUMNS, FRAMES, DESCRIPTION, KIND, ORIGIN, FIRST_FRAME = 0x0010, 0x0011, 0x0015, 0x0022, 0x0040, 0x0050, 0x0051
BIT, LABEL, DATA = 0x0102, 0x1500, 0x3000  # elements of every group 60xx
KINDS = {"G": "graphics", "R": "region"}


@dataclass(frozen=True)
class Overlay:
    """One overlay plane.

    kind  "graphics" or "region"
    name  what the file calls it, or ""
    mask  (N, Y, X) bool on the image's frames and pixels; what lies outside the image is cut off
    """

    group: int
    kind: str
    name: str
    mask: np.ndarray


def told(files: Sequence[PixelFile]) -> tuple[str, ...]:
    """A note where overlays are present; nothing is decoded."""
    with_overlays = [file for file in files if file.elements.overlays]
    if not with_overlays:
        return ()
    count = f"{len(with_overlays)} of {len(files)} files carry" if len(files) > 1 else "the file carries"
    return (f"{count} overlays (graphics or regions); they are not part of the values",)


def read_overlays(path: Path) -> tuple[Overlay, ...]:
    """Every overlay of a file, in the order of its groups."""
    header = read_header(Path(path))
    try:
        tags = parse(Path(header.path))
        groups = sorted({tag.group for tag in tags.keys() if 0x6000 <= tag.group <= 0x60FF})  # noqa: SIM118
    except Refused:
        raise
    except Exception as error:  # a damaged file can break the parser anywhere; whatever it says goes to the user
        raise Refused("unreadable", f"{header.name} has a damaged DICOM header: {error}.", "fetch the file again") from error
    return tuple(_overlay(tags, group, header) for group in groups if (group, 0x0010) in tags)


def _overlay(tags: Dataset, group: int, header: Header) -> Overlay:
    rows, columns = _whole(tags, group, ROWS), _whole(tags, group, COLUMNS)
    frames = _whole(tags, group, FRAMES) or 1
    if rows <= 0 or columns <= 0 or frames <= 0:
        raise _broken(header, group, f"{frames} frames of {rows} x {columns} pixels")
    data = _value(tags, group, DATA)
    if data:
        drawn = _unpacked(data, (frames, rows, columns), header, group)
    else:
        drawn = _from_unused_bits(_whole(tags, group, BIT), header, group)
    first = (_whole(tags, group, FIRST_FRAME) or 1) - 1
    origin = _value(tags, group, ORIGIN)
    top, left = (int(v) - 1 for v in origin) if isinstance(origin, (list, tuple, MultiValue)) and len(origin) == 2 else (0, 0)
    mask = np.zeros((header.frames, header.rows, header.columns), bool)
    _lay(mask, drawn, (first, top, left))
    kind = KINDS.get(str(_value(tags, group, KIND) or "").strip().upper(), "graphics")
    return Overlay(group, kind, str(_value(tags, group, LABEL) or _value(tags, group, DESCRIPTION) or ""), mask)


def _value(tags: Dataset, group: int, element: int) -> Any:
    """The value of an element of a repeating group, or None."""
    try:
        return tags[group, element].value if (group, element) in tags else None
    except Exception:  # pydicom converts on access, and a damaged value can fail in any way; a value that is not there
        return None


def _whole(tags: Dataset, group: int, element: int) -> int:
    value = _value(tags, group, element)
    return int(value) if isinstance(value, (int, float)) else 0


def _unpacked(data: Any, shape: tuple[int, int, int], header: Header, group: int) -> np.ndarray:
    """Bits, the lowest of each byte first, without gaps between rows or frames."""
    held = data if isinstance(data, bytes) else b""
    count = int(np.prod(shape, dtype=np.int64))
    if len(held) * 8 < count:
        raise _broken(header, group, f"{len(held)} bytes for {count} pixels")
    return np.unpackbits(np.frombuffer(held, np.uint8), count=count, bitorder="little").reshape(shape).astype(bool)


def _from_unused_bits(bit: int, header: Header, group: int) -> np.ndarray:
    """An old overlay in a bit of the pixels above those of the image."""
    at, size = header.pixel_offset, header.rows * header.columns * header.frames
    if at is None or header.samples != 1 or header.bits_allocated != 16 or not 0 < bit < 16:
        raise _broken(header, group, "no data of its own, and no bit of the pixels that could hold it")
    raw = np.fromfile(header.path, "<u2", size, offset=at).reshape(header.frames, header.rows, header.columns)
    return (raw >> np.uint16(bit)) & 1 == 1


def _lay(mask: np.ndarray, drawn: np.ndarray, origin: tuple[int, int, int]) -> None:
    """Put a smaller or larger block into the mask at an origin that may be negative."""
    to, of = [], []
    for start, here, there in zip(origin, mask.shape, drawn.shape, strict=True):
        first, last = max(start, 0), min(start + there, here)
        to.append(slice(first, max(last, first)))
        of.append(slice(first - start, max(last, first) - start))
    mask[tuple(to)] = drawn[tuple(of)]


def _broken(header: Header, group: int, what: str) -> Refused:
    return Refused("overlay", f"{header.name}: overlay {group:04X} has {what}.", "fetch the file again")
