"""Which decoder reads which coding, tried in a fixed order, and what to install where there is none.

A stream that one decoder calls damaged is not handed to the next one until some decoder makes something of it.
"""

from __future__ import annotations

import warnings
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom import config
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.uid import UID

from overread.core.errors import Refused
from overread.imaging.dicom.encapsulated import stream_size
from overread.imaging.dicom.header import Header

BASELINE, EXTENDED, RLE = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.5"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
RLE_MOST = 64  # an RLE segment becomes at most this many times longer (PS3.5 G.3)
UNSUITABLE = ("does not support", "unable to decode", "only supported", "not supported")  # words of a decoder's refusal


@dataclass(frozen=True, slots=True)
class Codec:
    """Decoders in the order of trust and speed, and the package that brings one; "" where none is known."""

    decoders: tuple[str, ...]
    install: str


JPEG = Codec(("gdcm", "pillow"), "python-gdcm")
LOSSLESS_JPEG = Codec(("gdcm",), "python-gdcm")
JPEG_LS = Codec(("pyjpegls", "gdcm"), "pyjpegls")
JPEG_2000 = Codec(("pylibjpeg", "pillow", "gdcm"), "pylibjpeg pylibjpeg-openjpeg")
HIGH_THROUGHPUT = Codec(("pylibjpeg",), "pylibjpeg pylibjpeg-openjpeg")
CODECS = {
    BASELINE: JPEG,
    EXTENDED: JPEG,
    "1.2.840.10008.1.2.4.57": LOSSLESS_JPEG,
    "1.2.840.10008.1.2.4.70": LOSSLESS_JPEG,
    "1.2.840.10008.1.2.4.80": JPEG_LS,
    "1.2.840.10008.1.2.4.81": JPEG_LS,
    "1.2.840.10008.1.2.4.90": JPEG_2000,
    "1.2.840.10008.1.2.4.91": JPEG_2000,
    "1.2.840.10008.1.2.4.201": HIGH_THROUGHPUT,
    "1.2.840.10008.1.2.4.202": HIGH_THROUGHPUT,
    "1.2.840.10008.1.2.4.203": HIGH_THROUGHPUT,
    RLE: Codec(("pylibjpeg", "pydicom"), "pylibjpeg-rle"),
}
NO_CODEC = Codec((), "")


def is_compressed(syntax: str) -> bool:
    """Whether a library decodes it: slow, and a damaged stream may crash it, so it runs in processes of its own."""
    return syntax in CODECS


def decode(stream: bytes, header: Header, planar: int) -> np.ndarray:
    """One compressed frame, (Y, X) as stored or (Y, X, 3) red, green, blue.

    planar  Planar Configuration (0028,0006)
    """
    _refuse_other_size(stream, header)
    if header.transfer_syntax == DEFLATED_FRAMES:
        return _inflated(stream, header)
    if header.transfer_syntax == EXTENDED and header.bits_stored > 8:
        return _extended(stream, header)
    for name in _installed(header):
        try:
            return _by_plugin(name, stream, header, planar)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # decoders raise whatever they like, one of them its own kind of panic
            words = _words(error)
            if not any(sign in words.lower() for sign in UNSUITABLE):
                raise damaged(header, words) from error
    raise missing_codec(header)


def syntax_name(header: Header) -> str:
    return str(UID(header.transfer_syntax, config.IGNORE).name)


def damaged(header: Header, words: str) -> Refused:
    code = (
        "truncated" if any(sign in words for sign in ("less than", "truncated", "end of the data", "too short")) else "unreadable"
    )
    return Refused(code, f"{header.name} ({syntax_name(header)}) cannot be decoded: {words}.", "fetch the file again")


def missing_codec(header: Header) -> Refused:
    codec = CODECS.get(header.transfer_syntax, NO_CODEC)
    name, uid = syntax_name(header), header.transfer_syntax
    named = name if name == uid else f"{name} ({uid})"
    what = f"{header.name} is coded as {named} with {header.bits_stored} bits, "
    if not codec.install:
        raise Refused("missing-codec", f"{what}which Overread does not decode.", "export the series uncompressed")
    return Refused(
        "missing-codec",
        f"{what}and no decoder for it is installed.",
        f"pip install {codec.install}; or export the series uncompressed",
    )


def _installed(header: Header) -> tuple[str, ...]:
    try:
        available = get_decoder(header.transfer_syntax).available_plugins
    except NotImplementedError:
        return ()
    return tuple(name for name in CODECS.get(header.transfer_syntax, NO_CODEC).decoders if name in available)


def _by_plugin(name: str, stream: bytes, header: Header, planar: int) -> np.ndarray:
    # pydicom pads nothing: an odd length is not allowed inside an item
    held = encapsulate([stream + b"\0" * (len(stream) % 2)], has_bot=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what pydicom only warns about is judged here, by size and by damage
        array, _ = get_decoder(header.transfer_syntax).as_array(
            held, index=0, raw=header.samples == 1, decoding_plugin=name, **decoding_options(header, planar, 1)
        )
    return array


def decoding_options(header: Header, planar: int, frames: int) -> dict[str, Any]:
    """What pydicom's decoders must know of the pixels."""
    return {
        "rows": header.rows,
        "columns": header.columns,
        "bits_allocated": header.bits_allocated,
        "bits_stored": header.bits_stored,
        "samples_per_pixel": header.samples,
        "photometric_interpretation": header.photometric or "MONOCHROME2",
        "pixel_representation": int(header.is_signed),
        "planar_configuration": planar,
        "number_of_frames": frames,
        "pixel_keyword": "PixelData",
    }


def _refuse_other_size(stream: bytes, header: Header) -> None:
    """Refuse before anything is decoded: a damaged size would ask for gigabytes."""
    if not stream:
        raise damaged(header, "the frame is empty")
    if header.transfer_syntax == RLE:
        needed = header.rows * header.columns * header.samples * header.bits_allocated // 8
        if needed > len(stream) * RLE_MOST:
            raise damaged(header, f"{len(stream)} bytes are too short for {header.rows} x {header.columns} pixels")
        return
    if header.transfer_syntax not in CODECS:
        return
    size = stream_size(stream)
    if size is None:
        raise damaged(header, "the compressed frame does not say how large it is")
    said = (header.rows, header.columns, header.samples)
    if (size.rows, size.columns, size.samples) != said:
        words = (
            f"the compressed frame is {size.rows} x {size.columns} x {size.samples}, the header says {' x '.join(map(str, said))}"
        )
        raise damaged(header, words)
    if size.bits > header.bits_allocated:
        raise damaged(header, f"the compressed frame has {size.bits} bits, the header {header.bits_allocated}")


def _inflated(stream: bytes, header: Header) -> np.ndarray:
    """A frame of the Deflated Image Frame Compression (PS3.5 A.4.13)."""
    dtype = np.dtype(f"<{'i' if header.is_signed else 'u'}{header.bits_allocated // 8}")
    count = header.rows * header.columns * header.samples
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        held = inflater.decompress(stream, count * dtype.itemsize + 1)
    except zlib.error as error:
        raise damaged(header, str(error)) from error
    if len(held) < count * dtype.itemsize:
        raise damaged(header, f"{len(held)} bytes are less than the {count * dtype.itemsize} that its size needs")
    shape = (header.rows, header.columns, header.samples)[: 2 if header.samples == 1 else 3]
    return np.frombuffer(held, dtype, count).reshape(shape).copy()


def _extended(stream: bytes, header: Header) -> np.ndarray:
    """JPEG Extended with 12 bits: GDCM decodes it, pydicom does not ask it to."""
    try:
        import gdcm
    except ImportError as error:
        raise missing_codec(header) from error
    if header.samples != 1 or header.bits_allocated != 16:
        raise missing_codec(header)
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(stream + b"\0" * (len(stream) % 2))
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((header.columns, header.rows, 1))
    image.SetDataElement(element)
    kind = gdcm.PhotometricInterpretation.GetPIType(header.photometric)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(header.transfer_syntax)))
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, header.bits_stored, header.bits_stored - 1, int(header.is_signed)))
    pixels = (image.GetBuffer() or "").encode("utf-8", "surrogateescape")  # GDCM hands bytes over as text
    if len(pixels) != header.rows * header.columns * 2:
        raise damaged(header, "the decoder finds it damaged")
    return np.frombuffer(pixels, "<i2" if header.is_signed else "<u2").reshape(header.rows, header.columns).copy()


def _words(error: BaseException) -> str:
    """What the decoder said, without pydicom's frame around it."""
    words = " ".join(str(error).split())
    if ":" in words and words.startswith("Unable to decode as exceptions"):
        words = words.split(":", 2)[-1].strip()
    return "the decoder finds it damaged" if "NoneType" in words else words[:200].rstrip(".")
