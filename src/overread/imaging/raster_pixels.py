"""From Pillow's modes to numbers: 16 bits stay 16, colours stay 8, and what would lose something is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from overread.core.errors import Refused
from overread.imaging.volumes import as_working

DEEP_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N")
GREY_MODES = ("1", "L", "F", *DEEP_MODES)
PRINT_MODES = ("CMYK", "LAB", "HSV")
BITS, PHOTOMETRIC, ORIENTATION, SAMPLE_FORMAT = 258, 262, 274, 339  # TIFF tags
SIDEWAYS = 5  # from this orientation on rows and columns change places
WHITE_IS_ZERO, SIGNED = 0, 2
TINT, BLACK = 40, 16  # levels of 255; tinted and noisy grey stays below the first, colours that mean something do not
MARKS, MOST_MARKS, MARGIN = 0.005, 0.2, 0.1  # shares of what is not black inside the margins, and in all; of a side
SPREAD = {2: 85, 4: 17}  # Pillow spreads grey of 2 and 4 bits over 0 to 255


def pixels(path: Path, file: Pillow.Image) -> tuple[np.ndarray, list[str]]:
    """(1 or 3, Y, X) as stored, and notes."""
    _refuse_lossy(path, file)
    if file.mode in GREY_MODES:
        return _grey(file)
    notes = _transparency(path, file)
    if file.mode in ("LA", "La"):
        return np.asarray(file.getchannel(0))[None], notes
    array = np.asarray(file.convert("RGB"))  # a palette and YCbCr are ways to store a colour
    return array.transpose(2, 0, 1), notes


def grey_of(array: np.ndarray, is_jpeg: bool) -> tuple[np.ndarray, str]:
    """Grey pictures that were stored in colour as one channel, and a note; others as they are.

    array    (3, ...) red, green, blue, 0 to 255
    is_jpeg  the file has no exact values; without it only three equal channels are grey

    A JPEG is grey where its three channels differ by no more than a tint or the noise of JPEG brings about (`TINT`
    of 255 levels), but for marks drawn on it: a cross-hair, a letter, a banner or a scale in its margin. Its luminance
    (ITU-R BT.601, the one that JPEG itself stores) is kept. Where more than `MARKS` of what is not black inside the
    margins is coloured, as in a Doppler image, or most of the whole picture, the colour may mean something and stays.
    """
    spread = array.max(axis=0) - array.min(axis=0)
    most = int(spread.max(initial=0))
    if most == 0:
        return array[:1], "grey stored as red, green, blue; one channel kept"
    if not is_jpeg:
        return array, ""
    is_coloured, is_lit = spread > TINT, array.max(axis=0) > BLACK
    inside = (..., *(slice(int(n * MARGIN), n - int(n * MARGIN)) for n in spread.shape[-2:]))
    share = _share(is_coloured, is_lit)
    if _share(is_coloured[inside], is_lit[inside]) > MARKS or share > MOST_MARKS:
        return array, ""
    red, green, blue = array.astype(np.uint32)
    grey = ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16).astype(np.uint8)[None]  # as Pillow and libjpeg do
    if share == 0:
        return grey, f"grey with a tint or the noise of JPEG (channels differ by up to {most} of 255); luminance kept"
    return grey, f"grey with coloured marks in {100 * share:.2g} % of what is not black; luminance kept"


def _share(part: np.ndarray, whole: np.ndarray) -> float:
    return int(np.count_nonzero(part)) / max(int(np.count_nonzero(whole)), 1)


def refuse_unsafe_tiff(path: Path, file: Pillow.Image) -> None:
    """Two kinds of TIFF that Pillow decodes to other numbers than stored, or other places (seen in 13.0), and says nothing."""
    tags = getattr(file, "tag_v2", None)
    if tags is None:
        return
    is_packed = any(tile[0] == "libtiff" for tile in getattr(file, "tile", ()))
    if is_packed and tags.prefix == b"MM" and max(tags.get(BITS, (1,))) > 16:
        what = f"{path.name} is a packed TIFF of 32-bit numbers with the high byte first."
        raise Refused("packed-big-endian", what, "save it without packing, or with the low byte first")
    if tags.get(ORIENTATION, 1) >= SIDEWAYS:
        what = f"{path.name} is a TIFF stored sideways (orientation {tags[ORIENTATION]})."
        raise Refused("sideways", what, "save it upright")


def label_values(path: Path, file: Pillow.Image) -> np.ndarray:
    """(1, Y, X) integers."""
    if file.mode in ("P", "PA"):
        return _palette_values(path, file)[None]
    array, _ = pixels(path, file)
    if len(array) == 3:
        if (array[0] == array[1]).all() and (array[0] == array[2]).all():
            return array[:1]
        what = f"{path.name} is a colour picture; a mask holds one label value per pixel."
        raise Refused("colour-mask", what, "save the label values as grey (8 or 16 bit)")
    if array.dtype.kind == "f" and (array != np.rint(array)).any():
        odd = float(array[array != np.rint(array)][0])
        what = f"{path.name} holds the value {odd:g}; label values are whole numbers."
        raise Refused("not-labels", what, "save the mask without interpolation, or threshold the probabilities")
    array = array // SPREAD.get(_bits(path, file), 1) if file.mode == "L" else array
    return array.astype(np.int32) if array.dtype.kind == "f" else array


def _palette_values(path: Path, file: Pillow.Image) -> np.ndarray:
    """Indices, unless a grey palette says that another number is meant."""
    index = np.asarray(file if file.mode == "P" else file.getchannel(0))
    colours = np.array((file.getpalette("RGB") or [])[: 256 * 3], dtype=int).reshape(-1, 3)
    used = np.unique(index)
    used_colours = colours[used[used < len(colours)]]
    is_grey = (used_colours == used_colours[:, :1]).all()
    if is_grey and len(used_colours) == len(used) and (used_colours[:, 0] != used).any():
        k = int(np.argmax(used_colours[:, 0] != used))
        raise Refused(
            "grey-palette",
            f"{path.name} shows its stored value {used[k]} as grey {used_colours[k, 0]}; either could be the label.",
            "save the label values as plain grey, without a palette",
        )
    return index


def _grey(file: Pillow.Image) -> tuple[np.ndarray, list[str]]:
    array = np.asarray(file)
    tags = getattr(file, "tag_v2", {})
    bits, is_signed = tags.get(BITS, (0,))[0], tags.get(SAMPLE_FORMAT, (1,))[0] == SIGNED
    if tags and file.mode == "L" and bits == 8 and is_signed:
        array = array.view(np.int8)
    if tags and file.mode == "I" and bits == 32 and not is_signed:
        array = array.view(np.uint32)
    notes: list[str] = []
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO and file.mode != "L" and file.mode != "1":  # Pillow turns those itself
        if array.dtype.kind == "u" and array.dtype.itemsize == 2:
            array, notes = np.iinfo(np.uint16).max - array, ["stored with white as zero; turned over"]
        else:
            notes = ["says that white is zero; values kept as stored"]
    return as_working(array)[None], notes


def _refuse_lossy(path: Path, file: Pillow.Image) -> None:
    if file.mode in PRINT_MODES:
        what = f"{path.name} is in the colours of printing ({file.mode}), which are no measurement."
        raise Refused("print-colours", what, "save it as grey or RGB from the original image")
    if file.mode not in GREY_MODES and _bits(path, file) > 8:
        raise Refused(
            "colour-16-bit",
            f"{path.name} is a colour picture of {_bits(path, file)} bits; only 8 bits per colour can be read without loss.",
            "save it with 8 bits per colour, or as 16-bit grey",
        )


def _transparency(path: Path, file: Pillow.Image) -> list[str]:
    """Transparency is left out with a word; where it is all that varies, the picture is drawn in it."""
    if file.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        alpha = np.asarray(file.getchannel(len(file.getbands()) - 1))
    elif file.mode == "P" and "transparency" in file.info:
        alpha = np.asarray(file.convert("RGBA").getchannel(3))
    else:
        return []
    if alpha.min() == 255:
        return []
    colour = np.asarray(file.convert("RGB"))
    if alpha.min() != alpha.max() and (colour == colour[0, 0]).all():
        what = f"{path.name} has one colour throughout; its picture is in the transparency."
        raise Refused("drawn-in-alpha", what, "save it on a background, without transparency")
    return ["transparency left out"]


def _bits(path: Path, file: Pillow.Image) -> int:
    """Bits per channel of a PNG or TIFF; 0 for other formats."""
    tags = getattr(file, "tag_v2", None)
    if tags is not None:
        return int(max(tags.get(BITS, (1,))))
    with open(path, "rb") as stream:
        head = stream.read(25)
    return head[24] if head.startswith(b"\x89PNG") and len(head) == 25 else 0
