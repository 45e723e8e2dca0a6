"""Stored pixels to values: decode, cut unused bits, rescale slice by slice.

Sources: DICOM PS3.5 section 8 (encoding), PS3.3 C.7.6.3 (image pixel), C.11.1 (modality LUT).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pydicom
from pydicom import config
from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from overread.core.errors import Refused
from overread.imaging.dicom.header import Header

NO_CODEC = ("missing dependencies", "does not support", "no pixel data decoders")  # what pydicom says without a decoder
PLUGINS = "pip install pyjpegls pylibjpeg-openjpeg pylibjpeg-rle python-gdcm"


def stored_frame(header: Header, frame: int | None = None) -> np.ndarray:
    """One frame as stored: (Y, X) integers, or (Y, X, 3) red, green, blue.

    frame  index inside a multi-frame file; None for a file of one frame
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what pydicom only warns about is judged here by shape and length
        array = _native_frame(header, frame)
        if array is None:
            array = _decoded_frame(header, frame)
    expected = (header.rows, header.columns)
    if array.ndim == 3 and array.shape[0] == 1:
        array = array[0]
    if array.shape[:2] != expected or array.ndim > 3:
        what = f"{header.name} decodes to {array.shape}; its header says {expected[0]} x {expected[1]}."
        raise Refused("unreadable", what, "fetch the file again")
    return _without_unused_bits(array, header) if array.ndim == 2 else array


def is_colour(header: Header) -> bool:
    return header.samples == 3 or header.photometric == "PALETTE COLOR"


def has_plain_integers(headers: Sequence[Header], slopes: np.ndarray, intercepts: np.ndarray) -> bool:
    """Slope 1 and whole intercepts everywhere: the values are integers and can stay 16 bits."""
    is_integer = all(h.bits_allocated in (8, 16) and not h.has_modality_lut for h in headers)
    return is_integer and bool((slopes == 1).all() and (intercepts == np.rint(intercepts)).all())


def rescaled(stored: np.ndarray, slopes: np.ndarray, intercepts: np.ndarray, plain: bool) -> np.ndarray:
    """Turn stored values into real ones, slope and intercept per slice.

    stored   (N, Y, X) integers as decoded
    slopes, intercepts  (N,) Rescale Slope (0028,1053) and Intercept (0028,1052)
    plain    keep integers where slope is 1 and the intercept whole
    returns  (N, Y, X); the smallest of uint8, int16, uint16, int32 that holds plain values, else float32
    """
    if not plain:
        result = np.empty(stored.shape, np.float32)
        for k in range(len(stored)):
            np.multiply(stored[k], np.float32(slopes[k]), out=result[k], casting="unsafe")
            result[k] += np.float32(intercepts[k])
        return result
    offsets = intercepts.astype(np.int64)
    low = min(int(stored[k].min()) + int(offsets[k]) for k in range(len(stored)))
    high = max(int(stored[k].max()) + int(offsets[k]) for k in range(len(stored)))
    dtype = _smallest(low, high, stored.dtype)
    if stored.dtype == dtype and not offsets.any():
        return stored
    if stored.dtype.itemsize == dtype.itemsize:  # addition wraps around, and the sum fits: no second array is needed
        result = stored.view(dtype)
        for k in range(len(result)):
            result[k] += np.array(offsets[k]).astype(dtype)
        return result
    return np.stack([(stored[k].astype(np.int64) + offsets[k]).astype(dtype) for k in range(len(stored))])


def through_modality_lut(stored: np.ndarray, header: Header) -> np.ndarray:
    """(Y, X) stored values through the Modality LUT Sequence (0028,3000), float32."""
    tags = pydicom.dcmread(header.path, stop_before_pixels=True, force=True)
    return np.asarray(apply_modality_lut(stored, tags)).astype(np.float32)


def inverted(stored: np.ndarray, header: Header) -> np.ndarray:
    """MONOCHROME1 (low values are bright) turned to MONOCHROME2, on stored values; the range stays."""
    if header.is_signed:
        return -1 - stored
    return (np.array((1 << header.bits_stored) - 1, stored.dtype) - stored).astype(stored.dtype)


def _native_frame(header: Header, frame: int | None) -> np.ndarray | None:
    """The fast way for uncompressed grey of 8 or 16 bits: straight from the file into an array."""
    if header.pixel_offset is None or header.samples != 1 or header.bits_allocated not in (8, 16):
        return None
    if header.photometric == "PALETTE COLOR":
        return None
    kind = np.dtype(("<i" if header.is_signed else "<u") + str(header.bits_allocated // 8))
    count = header.rows * header.columns
    offset = header.pixel_offset + (frame or 0) * count * kind.itemsize
    array = np.fromfile(header.path, kind, count, offset=offset)
    if array.size < count:
        raise Refused("truncated", f"{header.name} ends inside its pixels.", "fetch the file again")
    return array.reshape(header.rows, header.columns)


def _decoded_frame(header: Header, frame: int | None) -> np.ndarray:
    """Any other coding, through pydicom's plug-ins."""
    syntax = _syntax_name(header)
    index = frame if header.frames > 1 else None
    try:
        if (
            header.transfer_syntax == DeflatedExplicitVRLittleEndian
            or header.photometric == "PALETTE COLOR"
            or not _has_preamble(header)
        ):
            return _through_dataset(header, index)
        return pixel_array(header.path, raw=not is_colour(header), index=index)
    except Refused:
        raise
    except (RuntimeError, NotImplementedError) as error:
        if not isinstance(error, NotImplementedError) and not any(sign in str(error) for sign in NO_CODEC):
            raise _damaged(header, error) from error
        raise Refused(
            "missing-codec",
            f"{header.name} is coded as {syntax} with {header.bits_stored} bits, which nothing installed here can decode.",
            f"{PLUGINS}; or export the series uncompressed",
        ) from error
    except Exception as error:  # decoders are many and raise whatever they like; the user needs the file and the words
        raise _damaged(header, error) from error


def _through_dataset(header: Header, index: int | None) -> np.ndarray:
    tags = pydicom.dcmread(header.path, force=True)
    if not hasattr(tags.file_meta, "TransferSyntaxUID"):
        tags.file_meta.TransferSyntaxUID = UID(header.transfer_syntax, config.IGNORE)
    array = np.asarray(tags.pixel_array)
    array = array if index is None else array[index]
    return np.asarray(apply_color_lut(array, tags)) if header.photometric == "PALETTE COLOR" else array


def _syntax_name(header: Header) -> str:
    return str(UID(header.transfer_syntax, config.IGNORE).name)


def _has_preamble(header: Header) -> bool:
    with open(header.path, "rb") as file:
        return file.read(132)[128:] == b"DICM"


def _damaged(header: Header, error: Exception) -> Refused:
    words = " ".join(str(error).split())[:200]
    code = "truncated" if "less than" in words or isinstance(error, EOFError) else "unreadable"
    what = f"{header.name} ({_syntax_name(header)}) cannot be decoded: {words}"
    return Refused(code, what, "fetch the file again")


def _without_unused_bits(array: np.ndarray, header: Header) -> np.ndarray:
    """Clear bits above Bits Stored: old files keep overlays there."""
    bits = header.bits_stored
    if array.dtype.kind not in "iu" or not 0 < bits < array.dtype.itemsize * 8:
        return array
    if header.is_signed:
        low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        if array.min() >= low and array.max() <= high:
            return array
        shift = array.dtype.itemsize * 8 - bits
        return (array << shift) >> shift
    return array if array.max() < (1 << bits) else array & np.array((1 << bits) - 1, array.dtype)


def _smallest(low: int, high: int, stored: np.dtype) -> np.dtype:
    """Prefer the stored type, then types of its width, then wider ones."""
    for dtype in (stored, np.dtype(np.int16), np.dtype(np.uint16)):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return np.dtype(dtype)
    return np.dtype(np.int32)
