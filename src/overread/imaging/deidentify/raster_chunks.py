"""PNG and JPEG: everything that is not needed to draw the picture is left out; the coded pixels stay byte for byte.

PNG: chunks (ISO/IEC 15948 11). JPEG: marker segments (ISO/IEC 10918-1 B.1); an EXIF orientation is kept, alone.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from pathlib import Path

from PIL import Image as Pillow

from overread.core.errors import Refused
from overread.imaging.made import kept_words

PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_KEPT = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"pHYs", b"bKGD"}
PNG_TEXTS = {b"tEXt", b"zTXt", b"iTXt"}
ORIENTATION = 0x0112
APP0, APP1, APP14, COMMENT, SCAN = 0xE0, 0xE1, 0xEE, 0xFE, 0xDA
ADOBE_LENGTH = 16  # bytes: how the colours are coded, and nothing else
WITHOUT_LENGTH = {0x01, 0xD8, *range(0xD0, 0xD8)}


def clear_png(path: Path, written: Path, log: Counter[tuple[str, str]]) -> None:
    content = path.read_bytes()
    if not content.startswith(PNG_START):
        raise _damaged(path)
    kept, at, kind = [PNG_START], len(PNG_START), b""
    texts = ""
    while kind != b"IEND":
        if at + 12 > len(content):
            raise _damaged(path)
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        chunk = content[at : at + 12 + length]
        if len(chunk) < 12 + length:
            raise _damaged(path)
        at += 12 + length
        if kind in PNG_KEPT:
            if kind == b"IDAT" and (mark := kept_words(texts)):  # what is not a patient's image stays known as such
                kept.append(_chunk(b"tEXt", b"Description\0" + mark.encode()))
                texts = ""
            kept.append(chunk)
        else:
            texts += f"{chunk.decode('latin-1')}\n" if kind in PNG_TEXTS else ""
            log[f"PNG {kind.decode('latin-1')}", "removed"] += 1
    if at < len(content):
        log["PNG bytes after the end", "removed"] += 1
    written.write_bytes(b"".join(kept))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def clear_jpeg(path: Path, written: Path, log: Counter[tuple[str, str]]) -> None:
    content = path.read_bytes()
    if not content.startswith(b"\xff\xd8"):
        raise _damaged(path)
    with Pillow.open(path) as picture:
        orientation = int(picture.getexif().get(ORIENTATION, 1) or 1)
    kept, at = [b"\xff\xd8"], 2
    if 2 <= orientation <= 8:
        kept.append(_orientation(orientation))
    while at < len(content):
        marker, segment = _segment(path, content, at)
        at += len(segment)
        if marker == 0xD9:
            kept.append(segment)
            break
        if marker == APP0:
            segment = _without_thumbnail(segment)
        if marker == APP14 and len(segment) != ADOBE_LENGTH:
            segment = b""
        if (APP0 <= marker <= 0xEF and marker not in (APP0, APP14)) or marker == COMMENT or not segment:
            log[f"JPEG {'comment' if marker == COMMENT else f'APP{marker - APP0}'}", "removed"] += 1
            continue
        kept.append(segment)
        if marker == SCAN:
            end = _end_of_scan(content, at)
            kept.append(content[at:end])
            at = end
    else:
        raise _damaged(path)
    if at < len(content):
        log["JPEG bytes after the end", "removed"] += 1
    written.write_bytes(b"".join(kept))


def _segment(path: Path, content: bytes, at: int) -> tuple[int, bytes]:
    """The marker at `at` and its segment, fill bytes included."""
    start = at
    while content[at : at + 2] == b"\xff\xff":
        at += 1
    if at + 2 > len(content) or content[at] != 0xFF:
        raise _damaged(path)
    marker = content[at + 1]
    if marker in WITHOUT_LENGTH or marker == 0xD9:
        return marker, content[start : at + 2]
    length = struct.unpack(">H", content[at + 2 : at + 4])[0] if at + 4 <= len(content) else 0
    if length < 2 or at + 2 + length > len(content):
        raise _damaged(path)
    return marker, content[start : at + 2 + length]


def _end_of_scan(content: bytes, at: int) -> int:
    """Where the next marker stands that is neither a stuffed byte nor a restart."""
    while (at := content.find(b"\xff", at)) >= 0:
        following = content[at + 1] if at + 1 < len(content) else 0
        if following != 0 and not 0xD0 <= following <= 0xD7:
            return at
        at += 2
    return len(content)


def _without_thumbnail(segment: bytes) -> bytes:
    """JFIF without its small copy of the picture; b"" for other uses of APP0."""
    if segment[4:9] != b"JFIF\0" or len(segment) < 18:
        return b""
    return b"\xff\xe0\x00\x10" + segment[4:16] + b"\0\0"


def _orientation(value: int) -> bytes:
    """An EXIF segment with one entry."""
    tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, ORIENTATION, 3, 1, value, 0, 0)
    exif = b"Exif\0\0" + tiff
    return b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif


def _damaged(path: Path) -> Refused:
    return Refused("unreadable", f"{path.name} is damaged or cut.", "fetch the file again")
