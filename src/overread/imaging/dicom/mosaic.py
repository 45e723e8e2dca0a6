"""Siemens mosaics: all slices of a volume tiled into one picture, with or without the header that says so.

A mosaic's one position belongs to no slice in it, so it must never pass for a slice. Sources: the maker's
conformance statement (CSA Image Header 0029,xx10; NumberOfImagesInMosaic 0019,xx0A), DICOM PS3.3 C.8.3 (MR).
"""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from overread.imaging.dicom.values import floats, number, text, words
from overread.imaging.dicom.varying import MOSAIC_COUNT, private_numbers

CSA_TAGS = (Tag(0x0029, 0x0010), Tag(0x0029, 0x1010))
CSA_CREATOR = "SIEMENS CSA HEADER"
CSA_COUNT = b"NumberOfImagesInMosaic\0"
CSA_ITEMS, CSA_FIRST, CSA_HEAD = 76, 84, 16  # bytes from a name to its number of items, to its first item, and that item's head
FEWEST_ACROSS = 3  # zero filling doubles a matrix; three times and more in both directions is a row of tiles


def mosaic_tiles(tags: Dataset) -> int:
    """How many slices a picture tiles; 0 where it is no mosaic, 1 where their number is not stated."""
    count = private_numbers(tags, *MOSAIC_COUNT)
    if count and count[0] > 1:
        return int(count[0])
    stated = _stated_in_csa(tags)
    if stated > 1:
        return stated
    return 1 if "MOSAIC" in (word.upper() for word in words(tags, "ImageType")) or _is_tiled_matrix(tags) else 0


def _stated_in_csa(tags: Dataset) -> int:
    owner, held = tags.get((0x0029, 0x0010)), tags.get((0x0029, 0x1010))
    if owner is None or held is None or str(owner.value).strip("\0 ").upper() != CSA_CREATOR or not isinstance(held.value, bytes):
        return 0
    start = held.value.find(CSA_COUNT)
    items = held.value[start + CSA_ITEMS : start + CSA_ITEMS + 4]
    if start < 0 or int.from_bytes(items, "little") == 0:
        return 0
    digits = held.value[start + CSA_FIRST + CSA_HEAD : start + CSA_FIRST + CSA_HEAD + 16].split(b"\0")[0].strip()
    return int(digits) if digits.isdigit() else 0


def _is_tiled_matrix(tags: Dataset) -> bool:
    """A square MR picture several times larger than what was acquired, whatever its tags left out."""
    acquired = [int(n) for n in floats(tags, "AcquisitionMatrix", 4) or () if n > 0]
    if text(tags, "Modality").upper() != "MR" or len(acquired) != 2 or acquired[0] != acquired[1]:
        return False
    rows, columns, side = int(number(tags, "Rows") or 0), int(number(tags, "Columns") or 0), acquired[0]
    return rows % side == 0 and columns % side == 0 and min(rows, columns) >= FEWEST_ACROSS * side
