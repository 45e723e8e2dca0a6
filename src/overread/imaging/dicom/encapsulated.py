"""Compressed frames of a file, found by the lengths of their fragments, and what a frame says of its own size.

Source: DICOM PS3.5 A.4 (encapsulated pixel data); markers from ITU-T T.81 (JPEG), T.87 (JPEG-LS), T.800 (JPEG 2000).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from overread.core.errors import Refused

ITEM, SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD
STARTS = (b"\xff\xd8", b"\xff\x4f", b"\0\0\0\x0cjP")  # JPEG and JPEG-LS, JPEG 2000, JPEG 2000 in a file of its own
# Start Of Frame of every JPEG process and of JPEG-LS; C4, C8 and CC are other markers.
FRAME_STARTS = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})


@dataclass(frozen=True, slots=True)
class StreamSize:
    """What a compressed frame says of itself."""

    rows: int
    columns: int
    samples: int
    bits: int


class FrameIndex:
    """Where each frame of an encapsulated file lies.

    fragments  (byte, length) of every fragment, in order
    offsets    byte of each frame's first fragment, counted from the first fragment; empty where the file has no table
    """

    def __init__(self, file: BinaryIO, pixel_at: int, extended: Sequence[int] = ()) -> None:
        self.file = file
        file.seek(0, 2)
        size = file.tell()
        self.fragments: list[tuple[int, int]] = []
        at, table, is_cut = pixel_at, None, False
        while at + 8 <= size:
            file.seek(at)
            group, element, length = struct.unpack("<HHI", file.read(8))
            if group << 16 | element != ITEM:
                is_cut = group << 16 | element != SEQUENCE_END
                break
            at += 8
            if table is None:
                table = (at, length)
            else:
                self.fragments.append((at, min(length, size - at)))
            at += length
        self.is_cut = is_cut or at > size
        self.offsets = tuple(extended) or self._offset_table(table)

    def _offset_table(self, place: tuple[int, int] | None) -> tuple[int, ...]:
        if place is None or place[1] < 4:
            return ()
        self.file.seek(place[0])
        held = self.file.read(place[1])
        return struct.unpack(f"<{len(held) // 4}I", held[: len(held) // 4 * 4])

    def frame(self, index: int, frames: int, name: str) -> bytes:
        """The compressed bytes of one of `frames` frames."""
        first, last = self._span(index, frames, name)
        pieces = []
        for at, length in self.fragments[first:last]:
            self.file.seek(at)
            pieces.append(self.file.read(length))
        return b"".join(pieces)

    def _span(self, index: int, frames: int, name: str) -> tuple[int, int]:
        count = len(self.fragments)
        if frames == 1 and count:
            return 0, count
        if count == frames:
            return index, index + 1
        starts = self._starts(frames)
        if len(starts) != frames:
            code = "truncated" if count < frames or self.is_cut else "unreadable"
            what = f"{name} says it has {frames} frames; its pixels are in {count} pieces that cannot be told apart as frames."
            raise Refused(code, what, "fetch the file again")
        return starts[index], starts[index + 1] if index + 1 < frames else count

    def _starts(self, frames: int) -> list[int]:
        """Number of the first fragment of each frame, by the offset table or by how a compressed image begins."""
        if len(self.offsets) >= frames and self.fragments:
            base = self.fragments[0][0] - 8
            numbers = {at - 8 - base: number for number, (at, _) in enumerate(self.fragments)}
            found = [numbers[offset] for offset in self.offsets[:frames] if offset in numbers]
            if len(found) == frames and found == sorted(set(found)) and found[0] == 0:
                return found
        starts = []
        for number, (at, length) in enumerate(self.fragments):
            self.file.seek(at)
            if self.file.read(min(length, 8)).startswith(STARTS):
                starts.append(number)
        return starts


def stream_size(frame: bytes) -> StreamSize | None:
    """Size, samples and bits as a JPEG, JPEG-LS or JPEG 2000 stream states them; None where it states none."""
    try:
        if frame[:2] == b"\xff\xd8":
            return _jpeg_size(frame)
        at = 0 if frame[:4] == b"\xff\x4f\xff\x51" else frame.find(b"\xff\x4f\xff\x51", 0, 4096)
        return _jpeg2000_size(frame, at) if at >= 0 else None
    except (struct.error, IndexError):
        return None


def _jpeg_size(frame: bytes) -> StreamSize | None:
    at = 2
    while at + 4 <= len(frame):
        if frame[at] != 0xFF:
            return None
        marker = frame[at + 1]
        if marker == 0xFF or marker in WITHOUT_LENGTH:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in FRAME_STARTS:
            bits, rows, columns, samples = struct.unpack_from(">BHHB", frame, at + 4)
            return StreamSize(rows, columns, samples, bits)
        at += 2 + struct.unpack_from(">H", frame, at + 2)[0]
    return None


def _jpeg2000_size(frame: bytes, at: int) -> StreamSize:
    right, bottom, left, top = struct.unpack_from(">4I", frame, at + 8)
    samples, depth = struct.unpack_from(">HB", frame, at + 40)
    return StreamSize(bottom - top, right - left, samples, (depth & 0x7F) + 1)
