"""PNG, JPEG, TIFF and BMP: pixels without millimetres."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
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

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
COLOURS = ("red", "green", "blue")
GREY_MODES = {"1", "L", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"}
SYNTHETIC_WORD = "PHANTOM"
TAIL_BYTES = 4096  # how far from its end a JPEG may carry its end marker; cameras append padding
EXIF_ORIENTATION = 0x0112


@dataclass(frozen=True)
class RasterHeader:
    """What a raster file says before its pixels are decoded."""

    shape: tuple[int, int, int]  # (1, Y, X)
    mode: str
    pages: int
    is_simulated: bool


def is_raster(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def read_raster_header(path: Path) -> RasterHeader:
    with _opened(path) as file:
        width, height = file.size
        if _is_turned(file):
            width, height = height, width
        header = RasterHeader((1, height, width), file.mode, getattr(file, "n_frames", 1), _is_simulated(file))
    _refuse_truncated(Path(path))
    return header


def open_raster(path: Path, index: int | None = None) -> Image:
    """One picture as a planar image without spacing.

    index    page of a TIFF with several
    returns  (1, 1, Y, X), or (3, 1, Y, X) red, green, blue; uint8, uint16, int32 or float32 as stored.
             Grey stored as three equal channels comes back as one, and the source says so
    """
    path = Path(path)
    source: dict[str, Any] = {"format": "raster"}
    with _opened(path) as file:
        source["is_simulated"] = _is_simulated(file)
        _choose_page(path, file, index)
        if _exif(file).get(EXIF_ORIENTATION, 1) != 1:
            source["notes"] = ["turned as its EXIF orientation says"]
        try:
            array = _pixels(path, ImageOps.exif_transpose(file) if _exif(file) else file)
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise Refused("truncated", f"{path.name} is cut short or damaged: {error}.", "fetch the file again") from error
    if array.shape[0] == 3 and (array[0] == array[1]).all() and (array[0] == array[2]).all():
        array = array[:1]
        source["notes"] = [*source.get("notes", []), "grey stored as red, green, blue; one channel kept"]
    refuse_not_finite(array, path.name)
    grid = Grid.from_spacing((1, array.shape[-2], array.shape[-1]), spacing_known=False, is_planar=True)
    return Image(array[:, None], grid, "a.u.", COLOURS if len(array) == 3 else ("image",), source)


@contextmanager
def _opened(path: Path) -> Iterator[Pillow.Image]:
    path = Path(path)
    if not path.is_file():
        raise Refused("missing-file", f"{path} does not exist.", "check the path, or scan the folder again")
    if path.stat().st_size == 0:
        raise Refused("empty-file", f"{path.name} has zero bytes.", "fetch the file again")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)  # a large film is no attack; the error limit stays
        try:
            file = Pillow.open(path)
        except UnidentifiedImageError as error:
            what = f"{path.name} is not a readable {path.suffix.lstrip('.').upper()} file."
            raise Refused("unreadable", what, "fetch the file again, or remove it") from error
        except Pillow.DecompressionBombError as error:
            raise Refused("too-large", f"{path.name}: {error}", "cut it into smaller images") from error
        except (OSError, SyntaxError, ValueError) as error:
            raise Refused("unreadable", f"{path.name} cannot be read: {error}.", "fetch the file again") from error
        with file:
            yield file


def _choose_page(path: Path, file: Pillow.Image, index: int | None) -> None:
    pages = getattr(file, "n_frames", 1)
    if index is None and pages > 1:
        raise Refused("several-pages", f"{path.name} has {pages} pages; expected one picture.", "save each page as a file")
    if index is not None:
        if not 0 <= index < pages:
            raise Refused("no-such-page", f"{path.name} has {pages} pages; there is no page {index}.")
        file.seek(index)


def _pixels(path: Path, file: Pillow.Image) -> np.ndarray:
    """(1 or 3, Y, X) as stored."""
    if file.format in (None, "PNG") and _png_bits(path) == 16 and file.mode in ("RGB", "RGBA"):
        raise Refused(
            "colour-16-bit",
            f"{path.name} is a colour PNG of 16 bits; only 8 bits per colour can be read without loss.",
            "save it with 8 bits per colour, or as 16-bit grey",
        )
    if file.mode not in GREY_MODES and file.mode != "RGB":
        file = file.convert("L" if file.mode == "LA" else "RGB")  # palette, alpha, CMYK and YCbCr are ways to store a colour
    array = np.asarray(file)
    if array.dtype == bool:
        array = array.astype(np.uint8)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def _png_bits(path: Path) -> int:
    """Bits per channel from the IHDR chunk; 0 for other formats."""
    with open(path, "rb") as file:
        head = file.read(25)
    return head[24] if head.startswith(b"\x89PNG") and len(head) == 25 else 0


def _is_turned(file: Pillow.Image) -> bool:
    """EXIF orientations 5 to 8 swap rows and columns."""
    return int(_exif(file).get(EXIF_ORIENTATION, 1) or 1) >= 5


def _exif(file: Pillow.Image) -> dict[int, Any]:
    """Of photographs; Pillow would decode a whole PNG to look for it."""
    return dict(file.getexif()) if file.format in ("JPEG", "MPO", "TIFF") else {}


def _is_simulated(file: Pillow.Image) -> bool:
    """The word PHANTOM stands in a text chunk (PNG) or the image description (TIFF, JPEG)."""
    texts = [str(value) for value in file.info.values() if isinstance(value, str)]
    texts += [str(value) for value in _exif(file).values() if isinstance(value, str)]
    return any(SYNTHETIC_WORD in text.upper() for text in texts)


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
