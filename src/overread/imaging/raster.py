"""PNG, JPEG, TIFF and BMP: pixels, without millimetres unless a TIFF states them in so many words.

Resolution in dots per inch is what a printer or a scanner of paper once wanted, not the size of anatomy: it is never
taken for pixel spacing. A TIFF of ImageJ or OME that names a unit of length is believed (`overread.imaging.tiff`).
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

from overread.core.errors import Refused
from overread.core.grid import Grid
from overread.core.image import Image
from overread.imaging.finite import refuse_not_finite
from overread.imaging.made import Made, made_in
from overread.imaging.raster_pixels import grey_of, label_values, pixels, refuse_unsafe_tiff
from overread.imaging.tiff import Stack, read_stack
from overread.imaging.volumes import check_index, open_for_reading, refuse_large

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
FORMATS = ("PNG", "JPEG", "TIFF", "BMP")
FAULTS = (  # what Pillow raises over a damaged file
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    MemoryError,
    struct.error,
    zlib.error,
)
COLOURS = ("red", "green", "blue")
SYNTHETIC_WORD = "PHANTOM"
TAIL_BYTES = 4096  # how far from its end a JPEG may carry its end marker; cameras append padding
EXIF_ORIENTATION = 0x0112
Decode = Callable[[Pillow.Image], tuple[np.ndarray, list[str]]]


@dataclass(frozen=True)
class RasterHeader:
    """What a raster file says before its pixels are decoded.

    shape    (Z, Y, X); Z is 1 but for a TIFF that says that its pages are slices
    pages    pictures in the file, slices of one volume counting as one
    spacing  (Z, Y, X) mm where the file states it
    made     "synthetic" or "derived" where a network made or changed the picture; ""
    """

    shape: tuple[int, int, int]
    mode: str
    pages: int
    is_simulated: bool
    spacing: tuple[float, float, float] | None = None
    notes: tuple[str, ...] = ()
    made: str = ""


def is_raster(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def read_raster_header(path: Path) -> RasterHeader:
    with _opened(path) as file:
        width, height = file.size
        if _is_turned(file):
            width, height = height, width
        refuse_unsafe_tiff(Path(path), file)
        stack = read_stack(Path(path).name, file)
        pages = getattr(file, "n_frames", 1)
        depth = pages if stack.is_volume else 1
        refuse_large(Path(path).name, (depth, height, width, len(file.getbands())), np.dtype(np.float32))
        shape = (depth, height, width)
        pages = 1 if stack.is_volume else pages
        is_simulated, made = _origin(file)
        header = RasterHeader(shape, file.mode, pages, is_simulated, stack.spacing, stack.notes, made.kind if made else "")
    _refuse_truncated(Path(path))
    return header


def open_raster(path: Path, index: int | None = None) -> Image:
    """One picture as a planar image, or the slices of one TIFF as a volume.

    index    page of a TIFF with several
    returns  (1, Z, Y, X), or (3, Z, Y, X) red, green, blue; uint8, uint16, int32 or float32 as stored.
             Grey stored in colour comes back as one channel, and the source says so (`raster_pixels.grey_of`)
    """
    path = Path(path)
    with _opened(path) as file:
        stack = read_stack(path.name, file)
        (is_simulated, made), is_turned = _origin(file), _exif(file).get(EXIF_ORIENTATION, 1) != 1
        is_jpeg = file.format in ("JPEG", "MPO")
        array, notes = _decoded(path, file, stack, index)
    if is_turned:
        notes = [*notes, "turned as its EXIF orientation says"]
    if array.shape[0] == 3:
        array, note = grey_of(array, is_jpeg)
        notes = [*notes, note] if note else notes
    refuse_not_finite(array, path.name)
    source: dict[str, Any] = {"format": "raster", "is_simulated": is_simulated}
    if made is not None:
        source["made"] = made.kind
    if notes:
        source["notes"] = notes
    return Image(array, _grid(array, stack), "a.u.", COLOURS if len(array) == 3 else ("image",), source)


def open_raster_labels(path: Path, index: int | None = None) -> tuple[np.ndarray, Grid]:
    """A picture of label values: (1, Z, Y, X) integers and its grid.

    A palette in colours names classes, as Pascal VOC does: its indices are the values. Of a grey palette the
    grey levels are, and both must be the same
    """
    path = Path(path)
    with _opened(path) as file:
        stack = read_stack(path.name, file)
        array = _each_page(path, file, stack, index, lambda page: (label_values(path, page), []))[0]
    return array, _grid(array, stack)


def _decoded(path: Path, file: Pillow.Image, stack: Stack, index: int | None) -> tuple[np.ndarray, list[str]]:
    array, notes = _each_page(path, file, stack, index, lambda page: pixels(path, page))
    return array, [*stack.notes, *notes]


def _each_page(path: Path, file: Pillow.Image, stack: Stack, index: int | None, decode: Decode) -> tuple[np.ndarray, list[str]]:
    """(C, Z, Y, X) of the wanted page, or of all where they are the slices of a volume; and notes."""
    count = getattr(file, "n_frames", 1)
    if index is None and count > 1 and not stack.is_volume:
        raise Refused("several-pages", f"{path.name} has {count} pages; expected one picture.", "save each page as a file")
    if index is not None:
        check_index(index, count, path.name)
    wanted = range(count) if stack.is_volume and index is None else [index or 0]
    pages: list[np.ndarray] = []
    notes: list[str] = []
    for number in wanted:
        try:
            file.seek(number)
            refuse_unsafe_tiff(path, file)
            refuse_large(path.name, (len(wanted), *file.size[::-1], len(file.getbands())), np.dtype(np.float32))
            array, notes = decode(ImageOps.exif_transpose(file) if _is_upright_needed(file) else file)
        except Refused:
            raise
        except FAULTS as error:
            raise Refused("truncated", f"{path.name} is cut short or damaged: {error}.", "fetch the file again") from error
        if pages and array.shape != pages[0].shape:
            raise Refused("mixed-size", f"{path.name} has pages of different sizes.", "save the slices with one size")
        pages.append(array)
    return np.stack(pages, axis=1), notes


def _grid(array: np.ndarray, stack: Stack) -> Grid:
    shape = (array.shape[1], array.shape[2], array.shape[3])
    spacing = stack.spacing or (1.0, 1.0, 1.0)
    return Grid.from_spacing(shape, spacing, spacing_known=stack.spacing is not None, is_planar=shape[0] == 1)


@contextmanager
def _opened(path: Path) -> Iterator[Pillow.Image]:
    path = open_for_reading(Path(path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a large film is no attack (the error limit stays); odd tags are no errors
        try:
            with Pillow.open(path, formats=FORMATS) as file:
                yield file
        except UnidentifiedImageError as error:
            what = f"{path.name} is not a readable {path.suffix.lstrip('.').upper()} file."
            raise Refused("unreadable", what, "fetch the file again, or remove it") from error
        except Pillow.DecompressionBombError as error:
            raise Refused("too-large", f"{path.name}: {error}", "cut it into smaller images") from error
        except FAULTS as error:
            raise Refused("unreadable", f"{path.name} cannot be read: {error}.", "fetch the file again") from error


def _is_upright_needed(file: Pillow.Image) -> bool:
    return file.format in ("JPEG", "MPO") and bool(_exif(file))  # Pillow turns a TIFF itself


def _is_turned(file: Pillow.Image) -> bool:
    """EXIF orientations 5 to 8 swap rows and columns."""
    try:
        return int(_exif(file).get(EXIF_ORIENTATION, 1) or 1) >= 5
    except (TypeError, ValueError):
        return False


def _exif(file: Pillow.Image) -> dict[int, Any]:
    """Of photographs; Pillow would decode a whole PNG to look for it."""
    if file.format not in ("JPEG", "MPO", "TIFF"):
        return {}
    try:
        return dict(file.getexif())
    except FAULTS:
        return {}  # a broken note about the picture is no broken picture


def _origin(file: Pillow.Image) -> tuple[bool, Made | None]:
    """(simulated, made by a network), as a text chunk (PNG) or the image description (TIFF, JPEG) says.

    The word PHANTOM marks simulated pictures; of a picture that a network made, its mark says whether it is of a phantom.
    """
    texts = [str(value) for value in file.info.values() if isinstance(value, str)]
    texts += [str(value) for value in _exif(file).values() if isinstance(value, str)]
    made = made_in(texts)
    return (made.is_phantom if made else any(SYNTHETIC_WORD in text.upper() for text in texts)), made


def _refuse_truncated(path: Path) -> None:
    """PNG and JPEG say where they end; without that mark they were cut."""
    end = {".png": b"IEND", ".jpg": b"\xff\xd9", ".jpeg": b"\xff\xd9"}.get(path.suffix.lower())
    with open(path, "rb") as file:
        head = file.read(4)
        file.seek(max(path.stat().st_size - TAIL_BYTES, 0))
        tail = file.read()
    is_named_right = head.startswith(b"\x89PNG") if end == b"IEND" else head.startswith(b"\xff\xd8")
    if end is not None and is_named_right and end not in tail:
        raise Refused("truncated", f"{path.name} has no end mark: it was cut short.", "fetch the file again")
