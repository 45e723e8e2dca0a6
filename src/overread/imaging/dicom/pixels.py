"""Stored pixels of a file, frame by frame: native or compressed, bits in their place, colour as red, green, blue.

Sources: DICOM PS3.5 section 8 (encoding), PS3.3 C.7.6.3 (image pixel).
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import BinaryIO

import numpy as np
import pydicom
from pydicom import config
from pydicom.dataset import Dataset
from pydicom.pixels import get_decoder
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from overread.core.errors import Refused
from overread.imaging.dicom.codecs import RLE, damaged, decode, decoding_options
from overread.imaging.dicom.colour import is_palette, through_palette
from overread.imaging.dicom.elements import Elements, inflated, numbers_of, read_elements
from overread.imaging.dicom.encapsulated import FrameIndex
from overread.imaging.dicom.header import Header
from overread.imaging.dicom.multiframe import functional_groups, group
from overread.imaging.dicom.planes import Plane
from overread.imaging.dicom.values import number

NATIVE = {
    ImplicitVRLittleEndian: "<",
    ExplicitVRLittleEndian: "<",
    DeflatedExplicitVRLittleEndian: "<",
    ExplicitVRBigEndian: ">",
}
DEFLATE_MOST = 1032  # times that deflated bytes may grow
FLOATS = {"FloatPixelData": "f4", "DoubleFloatPixelData": "f8"}
KEYWORDS_TEXT = (
    "SpecificCharacterSet BitsAllocated BitsStored HighBit PixelRepresentation PlanarConfiguration PixelPaddingValue "
    "PixelPaddingRangeLimit ModalityLUTSequence RescaleSlope RescaleIntercept RescaleType WindowCenter WindowWidth "
    "WindowCenterWidthExplanation VOILUTFunction VOILUTSequence RealWorldValueMappingSequence SharedFunctionalGroupsSequence "
    "PerFrameFunctionalGroupsSequence RedPaletteColorLookupTableDescriptor GreenPaletteColorLookupTableDescriptor "
    "BluePaletteColorLookupTableDescriptor RedPaletteColorLookupTableData GreenPaletteColorLookupTableData "
    "BluePaletteColorLookupTableData SegmentedRedPaletteColorLookupTableData SegmentedGreenPaletteColorLookupTableData "
    "SegmentedBluePaletteColorLookupTableData ExtendedOffsetTable PixelDataProviderURL"
)
WANTED = numbers_of(KEYWORDS_TEXT.split())


class PixelFile:
    """One file opened for its pixels; a context manager that closes it.

    header  what the file says of itself; the frames' order and place come from there
    """

    def __init__(self, header: Header) -> None:
        self.header = header

    @cached_property
    def elements(self) -> Elements:
        return read_elements(self.header.path, self.header.transfer_syntax, WANTED)

    @cached_property
    def groups(self) -> list[tuple[Dataset, Dataset]]:
        """(own, shared) functional groups of every frame; empty in a classic file."""
        return functional_groups(self.elements.tags, self.header.frames)

    @cached_property
    def _file(self) -> BinaryIO:
        if self.header.transfer_syntax == DeflatedExplicitVRLittleEndian:
            return BytesIO(inflated(self.header.path, (self.elements.pixel_at or 0) + self.size))
        return open(self.header.path, "rb")

    @cached_property
    def _index(self) -> FrameIndex:
        table = self.elements.tags.get("ExtendedOffsetTable") or b""
        extended = np.frombuffer(table[: len(table) // 8 * 8], "<u8").tolist()
        return FrameIndex(self._file, self.elements.pixel_at or 0, extended)

    def close(self) -> None:
        if "_file" in self.__dict__:
            self._file.close()
            del self.__dict__["_file"]
            self.__dict__.pop("_index", None)

    def __enter__(self) -> PixelFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def size(self) -> int:
        """Bytes of all frames, uncompressed."""
        header = self.header
        bits = header.rows * header.columns * header.samples * header.frames * header.bits_allocated
        return (bits * 2 // 3 if header.photometric == "YBR_FULL_422" else bits) // 8

    @property
    def dtype(self) -> np.dtype:
        """The type of grey frames as stored."""
        if self.elements.pixel_name in FLOATS:
            return np.dtype(FLOATS[self.elements.pixel_name])
        width = 1 if self.header.bits_allocated == 1 else self.header.bits_allocated // 8
        return np.dtype(f"{'i' if self.header.is_signed else 'u'}{width}")

    def frame(self, index: int = 0) -> np.ndarray:
        """(Y, X) as stored, or (Y, X, 3) red, green, blue."""
        array = np.empty((self.header.rows, self.header.columns), self.dtype) if self._is_plain else None
        if array is not None:
            self.read_into(array, index)
            return array
        return self._decoded(index)

    def read_into(self, target: np.ndarray, index: int = 0) -> None:
        """Put a grey frame into a (Y, X) contiguous array of type `dtype`."""
        if not self._is_plain:
            target[...] = self._decoded(index)
            return
        assert self.elements.pixel_at is not None
        self._file.seek(self.elements.pixel_at + index * target.nbytes)
        if self._file.readinto(target.reshape(-1).view(np.uint8)) < target.nbytes:  # type: ignore[attr-defined]
            raise Refused("truncated", f"{self.header.name} ends inside its pixels.", "fetch the file again")
        if self._order == ">":
            target.byteswap(inplace=True)
        _put_bits_in_place(target, self.header, self._high_bit)

    @property
    def _order(self) -> str:
        return NATIVE.get(UID(self.header.transfer_syntax, config.IGNORE), "")

    @property
    def _high_bit(self) -> int:
        given = number(self.elements.tags, "HighBit")
        return int(given) if given is not None else self.header.bits_stored - 1

    @cached_property
    def _is_plain(self) -> bool:
        """Uncompressed grey of whole bytes, in their own order: straight from the file into an array."""
        header, elements = self.header, self.elements
        if not self._order or elements.pixel_at is None or header.samples != 1 or is_palette(header):
            return False
        if elements.pixel_name in FLOATS:
            return True
        return header.bits_allocated in ((8, 16, 32) if self._order == "<" else (16, 32))

    def _decoded(self, index: int) -> np.ndarray:
        header = self.header
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what pydicom only warns about is judged here by shape and length
            array = self._through_codec(index) if self._is_compressed else self._through_pydicom(index)
        if array.shape[:2] != (header.rows, header.columns) or array.ndim > 3:
            raise damaged(header, f"it decodes to {array.shape}, the header says {header.rows} x {header.columns}")
        if array.ndim == 3:
            return array
        is_stored_as_cells = not self._is_compressed or header.transfer_syntax == RLE
        _put_bits_in_place(array, header, self._high_bit if is_stored_as_cells else header.bits_stored - 1)
        return through_palette(array, self.elements.tags, header) if is_palette(header) else array

    @property
    def _is_compressed(self) -> bool:
        return not self._order and self.elements.pixel_at is not None

    @property
    def _planar(self) -> int:
        return int(number(self.elements.tags, "PlanarConfiguration") or 0)

    def _through_codec(self, index: int) -> np.ndarray:
        return decode(self._index.frame(index, self.header.frames, self.header.name), self.header, self._planar)

    def _through_pydicom(self, index: int) -> np.ndarray:
        """Uncompressed colour, single bits and odd files."""
        header, at = self.header, self.elements.pixel_at
        try:
            if at is not None and self._order == "<":
                self._file.seek(at)
                options = decoding_options(header, self._planar, header.frames)
                return get_decoder(ExplicitVRLittleEndian).as_array(self._file, index=index, raw=header.samples == 1, **options)[
                    0
                ]
            tags = pydicom.dcmread(header.path, force=True)
            tags.ensure_file_meta()
            tags.file_meta.TransferSyntaxUID = UID(header.transfer_syntax, config.IGNORE)
            return np.asarray(pydicom.pixels.pixel_array(tags, raw=header.samples == 1, index=index))
        except Exception as error:  # decoders raise whatever they like; the user needs the file and the words
            raise damaged(header, " ".join(str(error).split())[:200].rstrip(".")) from error


@dataclass(frozen=True)
class FrameSlot:
    """One frame to read: its file, its number in there, and its plane where it has one."""

    file: PixelFile
    frame: int
    plane: Plane | None = None

    @property
    def header(self) -> Header:
        return self.file.header

    def group(self, name: str) -> Dataset:
        """A functional group of this frame; the file's own tags where it has no such groups."""
        tags = self.file.elements.tags
        if "PerFrameFunctionalGroupsSequence" not in tags and "SharedFunctionalGroupsSequence" not in tags:
            return tags
        groups = self.file.groups
        return group(*groups[self.frame], name) if groups else Dataset()


def stored_frame(header: Header, frame: int | None = None) -> np.ndarray:
    """One frame as stored: (Y, X) integers or floats, or (Y, X, 3) red, green, blue.

    frame  index inside a multi-frame file; None for a file of one frame
    """
    with PixelFile(header) as file:
        return file.frame(frame or 0)


def refuse_unreadable(file: PixelFile) -> None:
    """Refuse pixels that no rule of the standard describes, before anything is decoded."""
    header, elements = file.header, file.elements
    if not elements.pixel_name:
        raise Refused("no-pixels", f"{header.name} has no pixels.", "fetch the file again")
    if elements.pixel_name in FLOATS:
        return
    if header.bits_allocated not in (1, 8, 16, 32):
        what = f"{header.name} has {header.bits_allocated} bits per pixel allocated; expected 1, 8, 16 or 32."
        raise Refused("pixel-bits", what, "export the series again with 8 or 16 bits")
    is_wrong = not 0 < header.bits_stored <= header.bits_allocated
    if is_wrong or not header.bits_stored - 1 <= file._high_bit < header.bits_allocated:
        what = (
            f"{header.name} says that {header.bits_stored} of {header.bits_allocated} bits are used, "
            f"the highest being number {file._high_bit}; that cannot be."
        )
        raise Refused("pixel-bits", what, "fetch the file again")
    held = os.path.getsize(header.path) * (DEFLATE_MOST if header.transfer_syntax == DeflatedExplicitVRLittleEndian else 1)
    if file._order and elements.pixel_at is not None and elements.pixel_at + file.size > held:
        what = f"{header.name} has {held - elements.pixel_at} bytes of pixels at most; its size needs {file.size}."
        raise Refused("truncated", what, "fetch the file again")


def _put_bits_in_place(array: np.ndarray, header: Header, high_bit: int) -> None:
    """Move stored bits down to bit 0 and clear those beside them: old files keep overlays there. In place."""
    bits = header.bits_stored
    width = array.dtype.itemsize * 8
    if array.dtype.kind not in "iu" or header.bits_allocated == 1 or not 0 < bits < width:
        return
    shift = min(high_bit, width - 1) + 1 - bits
    if array.dtype.kind == "i":
        low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        if shift > 0 or array.min() < low or array.max() > high:
            np.left_shift(array, width - bits - shift, out=array)
            np.right_shift(array, width - bits, out=array)
        return
    if shift > 0:
        np.right_shift(array, shift, out=array)
    if array.max() >= 1 << bits:
        np.bitwise_and(array, np.array((1 << bits) - 1, array.dtype), out=array)
