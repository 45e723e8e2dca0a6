"""The bytes behind a text header (NRRD, MetaImage): raw, compressed or written out as text, never more than asked for."""

from __future__ import annotations

import bz2
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from overread.core.errors import Refused

CHUNK = 1 << 20
DEFLATE_RATIO = 1032  # zlib cannot pack tighter; a header that asks for more than this lies
HEADER_BYTES = 1 << 20  # a text header longer than this is none
MAXIMUM_TEXT = 256 << 20
SKIP_FROM_END = -1
ENCODINGS = ("raw", "zip", "bzip2", "text", "hex")


@dataclass(frozen=True)
class Piece:
    """One stretch of a file that holds voxels.

    offset     bytes before the first byte to look at
    encoding   "raw", "zip" (zlib or gzip), "bzip2", "text" (numbers) or "hex"
    line_skip  lines to leave out, before unpacking
    byte_skip  bytes to leave out, after unpacking; -1 takes the last bytes of a raw file
    """

    path: Path
    offset: int = 0
    encoding: str = "raw"
    line_skip: int = 0
    byte_skip: int = 0


def read_lines(path: Path, is_last: re.Pattern[bytes]) -> tuple[list[str], int]:
    """The lines of a text header and the offset of what follows.

    is_last  the line after which the header ends; else it ends with the file
    """
    lines: list[str] = []
    with open(path, "rb") as file:
        while file.tell() < HEADER_BYTES:
            line = file.readline(HEADER_BYTES)
            if not line:
                break
            lines.append(line.decode("utf-8", "replace").rstrip("\r\n"))
            if is_last.match(line):
                break
        return lines, file.tell()


def inside_folder(header: Path, name: str) -> Path:
    """The data file that a detached header names; it must lie in the header's folder or below."""
    path = Path(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise Refused(
            "data-file-elsewhere",
            f"{header.name} keeps its voxels in '{name}', outside its own folder.",
            "put the data file beside its header and name it there without a path",
        )
    found = header.parent / path
    if not _is_there(found):
        raise Refused(
            "missing-data-file", f"{header.name} keeps its voxels in '{name}', which is not there.", "put both files together"
        )
    return found


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name longer than any file can have
        return False


def numbered_names(header: Path, pattern: str, first: int, last: int, step: int) -> list[str]:
    """File names from a C pattern such as slice%03d.raw."""
    if not re.fullmatch(r"[^%]*%0?\d{0,3}[di][^%]*", pattern) or step == 0 or (last - first) // step < 0:
        raise Refused("bad-header", f"{header.name}: its data files '{pattern} {first} {last} {step}' cannot be listed.")
    if abs(last - first) // abs(step) > 100_000:
        raise Refused("bad-header", f"{header.name} names more than 100,000 data files.")
    return [pattern % number for number in range(first, last + (1 if step > 0 else -1), step)]


def check_pieces(pieces: Sequence[Piece], expected: int, name: str) -> tuple[str, ...]:
    """Refuse what is cut, as far as that shows without unpacking; a note where a raw file holds more than is used."""
    each = share(pieces, expected, name)
    spare = 0
    for piece in pieces:
        size = piece.path.stat().st_size - piece.offset
        if piece.encoding == "raw" and piece.line_skip == 0:
            size -= max(piece.byte_skip, 0)
            spare += max(size - each, 0) if piece.byte_skip != SKIP_FROM_END else 0
            _refuse_short(name, size, each)
        elif piece.encoding == "zip" and size * DEFLATE_RATIO < each:
            _refuse_short(name, size, each, "packed")
        elif piece.encoding == "text" and size < each // 16:
            _refuse_short(name, size, each, "of text")
    return (f"{spare} bytes after the voxels were left unread",) if spare else ()


def share(pieces: Sequence[Piece], expected: int, name: str) -> int:
    """Bytes that each of several files must hold."""
    if not pieces or expected % len(pieces):
        raise Refused("bad-header", f"{name}: {expected} bytes of voxels cannot be shared among {len(pieces)} data files.")
    return expected // len(pieces)


def read_voxels(pieces: Sequence[Piece], sizes: Sequence[int], dtype: np.dtype[Any], name: str) -> np.ndarray:
    """All voxels. sizes and result run from the slowest axis to the fastest."""
    count = int(np.prod(sizes, dtype=np.int64))
    each = share(pieces, count * dtype.itemsize, name)
    if len(pieces) == 1 and pieces[0].encoding == "raw" and pieces[0].line_skip == 0:
        return _from_file(pieces[0], count, dtype, name).reshape(sizes)
    parts = [_piece(piece, each, dtype, name) for piece in pieces]
    return (parts[0] if len(parts) == 1 else np.concatenate(parts)).reshape(sizes)


def _from_file(piece: Piece, count: int, dtype: np.dtype[Any], name: str) -> np.ndarray:
    start = piece.offset + max(piece.byte_skip, 0)
    if piece.byte_skip == SKIP_FROM_END:
        start = piece.path.stat().st_size - count * dtype.itemsize
    _refuse_short(name, piece.path.stat().st_size - start, count * dtype.itemsize)
    return np.fromfile(piece.path, dtype, count, offset=max(start, 0))


def _piece(piece: Piece, expected: int, dtype: np.dtype[Any], name: str) -> np.ndarray:
    if piece.encoding == "text":
        return _from_text(piece, expected // dtype.itemsize, dtype, name)
    if piece.byte_skip < 0 and piece.encoding != "raw":
        raise Refused("bad-header", f"{name}: a byte skip of {piece.byte_skip} is defined for raw voxels only.")
    with open(piece.path, "rb") as file:
        _skip_lines(file, piece)
        skip = piece.byte_skip
        if skip == SKIP_FROM_END:
            skip = piece.path.stat().st_size - file.tell() - expected
            _refuse_short(name, expected + skip, expected)
        content = bytearray()
        try:
            for block in _unpacked(file, piece.encoding, expected + skip):
                content += block
        except (zlib.error, OSError, ValueError, EOFError) as error:
            raise Refused("truncated", f"{name} is cut short or damaged: {error}.", "fetch the file again") from error
    _refuse_short(name, len(content) - skip, expected)
    return np.frombuffer(content, dtype, expected // dtype.itemsize, offset=skip)


def _skip_lines(file: IO[bytes], piece: Piece) -> None:
    file.seek(piece.offset)
    for _ in range(piece.line_skip):
        if not file.readline(CHUNK):
            break


def _unpacked(file: IO[bytes], encoding: str, wanted: int) -> Iterator[bytes]:
    """Blocks of at most `wanted` bytes in all."""
    if encoding == "raw":
        yield file.read(wanted)
    elif encoding == "hex":
        yield bytes.fromhex("".join(file.read(min(3 * wanted + CHUNK, MAXIMUM_TEXT)).decode("ascii", "replace").split()))[:wanted]
    else:
        yield from _inflated(file, encoding, wanted)


def _inflated(file: IO[bytes], encoding: str, wanted: int) -> Iterator[bytes]:
    """Members one after the other, as gzip and bzip2 allow; padding after the last is left alone."""
    left, packed = wanted, file.read(CHUNK)
    while left > 0 and packed:
        member: Any = zlib.decompressobj(zlib.MAX_WBITS | 32) if encoding == "zip" else bz2.BZ2Decompressor()
        is_first = left == wanted
        while left > 0 and not member.eof:
            try:
                block = member.decompress(packed, min(left, CHUNK))
            except (zlib.error, OSError):
                if is_first:
                    raise
                return
            packed = member.unconsumed_tail if encoding == "zip" else b""
            left -= len(block)
            yield block
            if member.eof:
                packed = member.unused_data
            elif not packed and (encoding == "zip" or member.needs_input):
                packed = file.read(CHUNK)
                if not packed and not block:
                    return
        packed = packed or file.read(CHUNK)


def _from_text(piece: Piece, count: int, dtype: np.dtype[Any], name: str) -> np.ndarray:
    with open(piece.path, "rb") as file:
        _skip_lines(file, piece)
        file.seek(max(piece.byte_skip, 0), 1)
        text = file.read(MAXIMUM_TEXT + 1)
    if len(text) > MAXIMUM_TEXT:
        raise Refused("too-large", f"{name} holds more than {MAXIMUM_TEXT >> 20} MiB of text.", "save the voxels raw or packed")
    words = text.replace(b",", b" ").split(maxsplit=count)[:count]
    _refuse_short(name, len(words) * dtype.itemsize, count * dtype.itemsize)
    try:
        numbers = np.fromiter((float(word) for word in words), np.float64, count)
    except ValueError as error:
        raise Refused("bad-voxels", f"{name} holds something that is no number: {error}.", "write the file again") from error
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if not (np.isfinite(numbers).all() and numbers.min() >= limits.min and numbers.max() <= limits.max):
            raise Refused("bad-voxels", f"{name} holds numbers that do not fit its type {dtype}.", "write the file again")
    return numbers.astype(dtype)


def _refuse_short(name: str, size: int, expected: int, how: str = "") -> None:
    if size < expected:
        what = f"{name} holds {max(size, 0)} {how + ' ' if how else ''}bytes of voxels; {expected} are needed."
        raise Refused("truncated", what, "fetch the file again, or correct the sizes in its header")
