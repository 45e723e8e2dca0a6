"""Ways to damage any bytes, and the odd words and numbers that other ways take, too."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

Change = Callable[[random.Random, bytes], bytes]
HEAD = 2048  # bytes in which most decisions of a reader fall
TAIL = 1 << 22
NESTED = 10_000
NUMBERS_TEXT = "0 -1 1e308 1e999 -1e38 nan inf -inf 1e-320 99999999999999999999 0x10 1_0 ² ٣ 65535 2147483648"
NUMBERS = (*NUMBERS_TEXT.split(), "9" * 5000)
WORDS = (
    "",
    " ",
    "\0",
    "\\",
    "\x1b$B",
    "\ufeff",
    "\ud7ff",
    "ÿ",
    "x" * 300,
    "../../../etc/passwd",
    "a\nb",
    "'",
    '"',
    "<",
    "&#x1;",
    "=1+1",
)


def place(chance: random.Random, content: bytes) -> int:
    """Half of the time near the beginning."""
    end = min(len(content), HEAD) if chance.random() < 0.5 else len(content)
    return chance.randrange(max(end, 1))


def flip_bits(chance: random.Random, content: bytes) -> bytes:
    held = bytearray(content or b"\0")
    for _ in range(chance.choice((1, 1, 2, 5, 20, 200))):
        held[place(chance, held)] ^= 1 << chance.randrange(8)
    return bytes(held)


def odd_number(chance: random.Random, content: bytes) -> bytes:
    """A number that readers trip over, in any width and order of bytes."""
    held = bytearray(content.ljust(16, b"\0"))
    for _ in range(chance.choice((1, 1, 3))):
        form = chance.choice(("<H", ">H", "<I", ">I", "<Q", "<f", ">f", "<d"))
        whole = chance.choice((0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFF0, 0xFFFFFFFF))
        real = chance.choice((0.0, -1.0, float("nan"), float("inf"), 1e38, 1e-38))
        packed = struct.pack(form, real if form[1] in "fd" else whole & (256 ** struct.calcsize(form) - 1))
        at = place(chance, held)
        held[at : at + len(packed)] = packed
    return bytes(held)


def cut(chance: random.Random, content: bytes) -> bytes:
    return content[: place(chance, content)]


def tail_of_zeros(chance: random.Random, content: bytes) -> bytes:
    return content[: chance.choice((len(content), place(chance, content)))] + bytes(chance.choice((1, 100, 65536, TAIL)))


def tail_of_noise(chance: random.Random, content: bytes) -> bytes:
    return content + chance.randbytes(chance.choice((1, 100, 65536)))


def repeat_piece(chance: random.Random, content: bytes) -> bytes:
    at, length = place(chance, content), chance.choice((1, 4, 16, 128, 1024))
    return content[: at + length] + content[at : at + length] * chance.choice((1, 2, 100)) + content[at + length :]


def drop_piece(chance: random.Random, content: bytes) -> bytes:
    at = place(chance, content)
    return content[:at] + content[at + chance.choice((1, 2, 4, 16, 128, 1024)) :]


def blank_piece(chance: random.Random, content: bytes) -> bytes:
    at, length = place(chance, content), chance.choice((1, 4, 16, 128, 1024))
    filled = (chance.choice((b"\0", b"\xff", b" ", b"A")) * length)[: max(len(content) - at, 0)]
    return content[:at] + filled + content[at + length :]


BYTES: tuple[Change, ...] = (
    flip_bits,
    odd_number,
    cut,
    tail_of_zeros,
    tail_of_noise,
    repeat_piece,
    drop_piece,
    blank_piece,
)
