"""A picture that a network made or changed, as a PNG: marked in its text and, unless declined, in a corner of its pixels."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from overread import __version__
from overread.core.errors import OverreadError, Refused
from overread.core.kinds import Picture
from overread.imaging.corner import with_corner
from overread.imaging.made import SyntheticMark
from overread.imaging.raster import read_raster_header
from overread.record.files import write_with

CORNER, DRAWN = "Corner mark", "drawn"  # text of a PNG: whether a word stands in the corner of its pixels
BYTE, WORD = 255.0, 65535.0
DEEP = ("I", "I;16", "I;16L", "I;16B", "I;16N")  # modes of Pillow that hold 16 bits
FEWEST_LEVELS = 50  # a picture that spans fewer whole numbers is no picture in the levels of a file, and is spread


@dataclass(frozen=True)
class Window:
    """Which values become black and white: `low` is stored as 0 and `high` as `most`."""

    low: float
    high: float
    most: float

    @property
    def is_as_it_is(self) -> bool:
        return (self.low, self.high) == (0.0, self.most)

    @property
    def words(self) -> str:
        if self.is_as_it_is:
            return f"0 to {self.most:g}, values as they are, rounded"
        return f"{self.low:.6g} to {self.high:.6g} stored as 0 to {self.most:g}"


def write_picture_png(path: Path, picture: Picture, mark: SyntheticMark, source_files: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Write a flat picture: grey of 8 or 16 bits, or three colours.

    picture       (1 or 3, 1, Y, X); values in the levels of a file (0 to 255 or 0 to 65535) are stored as they are, others
                  (HU, 0 to 1) spread over 16 bits. What was stored as 0 and as the most stands in the text "Window"
    source_files  the picture that it was made from: then its levels count, and what lies beyond them is cut
    """
    path = Path(path)
    channels, depth = picture.array.shape[:2]
    if depth != 1 or channels not in (1, 3):
        raise OverreadError(
            f"{path.name}: a PNG holds one slice of one channel or three colours; the picture has {depth} slices of {channels}.",
            "write it as NIfTI (.nii.gz)",
        )
    if not np.isfinite(picture.array).all():
        raise Refused("not-finite", f"{path.name}: the picture holds NaN or infinity.", "write finite values")
    source = read_raster_header(Path(source_files[0])) if source_files else None
    if source is not None:
        mark = replace(mark, is_phantom=mark.is_phantom or source.is_simulated)
    window = _window(picture.array, None if source is None else source.mode)
    pixels = _pixels(picture.array[:, 0], window)
    if not mark.reason_without_corner:
        pixels = with_corner(pixels, mark.kind, 0, window.most)
    write_with(path, lambda beside: Pillow.fromarray(pixels).save(beside, format="PNG", pnginfo=_texts(mark, window)))
    return (path,)


def marked_png(content: bytes, mark: SyntheticMark) -> bytes:
    """A PNG that shows made images, such as a sheet of them, with the mark in its text; its pixels stay as they are."""
    info, written = PngInfo(), io.BytesIO()
    info.add_text("Description", mark.sentence)
    with Pillow.open(io.BytesIO(content)) as sheet:
        sheet.save(written, format="PNG", pnginfo=info, optimize=True)
    return written.getvalue()


def has_corner(path: Path) -> bool:
    """Whether a word was drawn into the corner of a made picture, as the text of a PNG says; other formats have none."""
    if path.suffix.lower() != ".png" or not path.is_file():  # a member of an archive is not looked at
        return False
    with Pillow.open(path) as file:
        return file.info.get(CORNER) == DRAWN


def _window(array: np.ndarray, mode: str | None) -> Window:
    """The levels of the source; without one, those that the values seem to be in."""
    if mode is not None:
        most = WORD if mode in DEEP else BYTE
        return Window(0.0, most, most)
    low, high = float(array.min()), float(array.max())
    if low >= 0 and high - low >= FEWEST_LEVELS and high <= WORD:
        most = BYTE if high <= BYTE else WORD
        return Window(0.0, most, most)
    return Window(low, high if high > low else low + 1.0, BYTE if len(array) == 3 else WORD)


def _pixels(array: np.ndarray, window: Window) -> np.ndarray:
    """(C, Y, X) float to (Y, X) or (Y, X, 3) as stored."""
    spread = (array.astype(np.float64) - window.low) / (window.high - window.low) * window.most
    stored = np.clip(np.rint(spread), 0, window.most).astype(np.uint8 if window.most == BYTE else np.uint16)
    if len(stored) == 3 and stored.dtype != np.uint8:
        raise OverreadError("A colour PNG holds 0 to 255 per colour; these values are larger.", "write it as NIfTI (.nii.gz)")
    return stored[0] if len(stored) == 1 else stored.transpose(1, 2, 0)


def _texts(mark: SyntheticMark, window: Window) -> PngInfo:
    """Text chunks (ISO/IEC 15948 11.3.4); the first is the one by which the mark is known again."""
    info = PngInfo()
    info.add_text("Description", mark.sentence)
    info.add_text("Software", f"Overread {__version__}")
    info.add_text("Window", window.words)
    info.add_text(CORNER, f"declined: {mark.reason_without_corner}" if mark.reason_without_corner else DRAWN)
    return info
