"""Ways to damage a file: of NIfTI fields, of JSON values, of words in text; and which way for which file.

Every change takes a source of chance and the content, and returns other content; the same chance damages alike.
"""

from __future__ import annotations

import copy
import json
import random
import re
import struct
from collections.abc import Sequence
from typing import Any

from fuzz_bytes import BYTES, NESTED, NUMBERS, WORDS, Change, place
from fuzz_dicom import DICOM, deflate_bomb
from fuzz_seeds import Seed

# ---- NIfTI ------------------------------------------------------------------------------------------

FIELDS = (  # byte, form, of a NIfTI-1 header
    *((40 + 2 * k, "h") for k in range(8)),
    *((76 + 4 * k, "f") for k in range(8)),
    *((256 + 4 * k, "f") for k in range(6)),
    *((280 + 4 * k, "f") for k in range(12)),
    *((at, "h") for at in (68, 70, 72, 74, 120, 252, 254)),
    *((at, "f") for at in (108, 112, 116)),
    *((0, "i"), (122, "B"), (123, "B")),
)


def odd_field(chance: random.Random, content: bytes) -> bytes:
    held = bytearray(content.ljust(352, b"\0"))
    for _ in range(chance.choice((1, 1, 2, 6))):
        at, form = chance.choice(FIELDS)
        real = chance.choice((0.0, -1.0, 1.0, 0.5, float("nan"), float("inf"), 1e38, 1e-38, 352.0, 1e9))
        whole = chance.choice(
            (0, 1, 2, 3, 4, 7, 8, 16, 32, 64, 127, 128, 255, 256, 512, 768, 1024, 1280, 1536, 2048, 2304, 1006, 32767, -1)
        )
        struct.pack_into("<" + form, held, at, real if form == "f" else whole & 255 if form == "B" else whole)
    return bytes(held)


def huge_volume(chance: random.Random, content: bytes) -> bytes:
    """A header that asks for gigabytes, and nothing but zeros after it."""
    held = bytearray(content[:352].ljust(352, b"\0"))
    sizes = chance.choice(
        ((1000, 1000, 1000, 1), (32767, 32767, 32767, 1), (700, 700, 700, 8), (1, 1, 1, 32767), (32767, 32767, 1, 1))
    )
    struct.pack_into("<8h", held, 40, chance.choice((3, 4, 7)), *sizes, 1, 1, 1)
    return bytes(held) + bytes(chance.choice((0, 1 << 16, 100 << 20)))


def odd_voxels(chance: random.Random, content: bytes) -> bytes:
    """NaN and infinity among the voxels."""
    held = bytearray(content)
    for _ in range(10):
        at = chance.randrange(352, max(len(held) - 8, 353))
        held[at : at + 4] = struct.pack("<f", chance.choice((float("nan"), float("inf"), float("-inf"), 3e38)))
    return bytes(held)


NIFTI: tuple[Change, ...] = (odd_field, odd_field, odd_field, huge_volume, odd_voxels)


# ---- JSON -------------------------------------------------------------------------------------------

VALUES: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 1.5, 1e308, -1e308, float("nan"), float("inf"), 10**400, 2**31, 2**63),
    *("", "x", "1", "nan", "\ud800", "\0"),
    *([], {}, [[]], [None], {"a": 1}, [1] * 7, [[[[1]]]]),
)


def _nodes(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            found += _nodes(value[key], (*path, key))
    return found


def odd_json(chance: random.Random, content: bytes) -> bytes:
    """Values of another type, missing or repeated ones, in the tree that the text stands for."""
    root = json.loads(content)
    for _ in range(chance.choice((1, 1, 2, 5))):
        path = chance.choice([p for p in _nodes(root) if p] or [()])
        if not path:
            return json.dumps(chance.choice(VALUES)).encode("utf-8", "replace")
        holder = root
        for key in path[:-1]:
            holder = holder[key]
        how = chance.randrange(4)
        if how == 0:
            del holder[path[-1]]
        elif how == 1 and isinstance(holder, list):
            holder += [copy.deepcopy(holder[path[-1]])] * chance.choice((1, 50))
        else:
            holder[path[-1]] = copy.deepcopy(chance.choice(VALUES))
    return json.dumps(root).encode("utf-8", "replace")


def nested_json(chance: random.Random, content: bytes) -> bytes:
    """One value is replaced by lists or objects in each other, ten thousand deep."""
    depth = chance.choice((100, 900, NESTED))
    is_list = chance.random() < 0.5
    deep = ("[" if is_list else '{"a":') * depth + "1" + ("]" if is_list else "}") * depth * (chance.random() < 0.8)
    words = list(re.finditer(rb'(?<=[:,\[])\s*(?:"[^"]*"|-?[\d.]+)(?=[,\]}])', content))
    if not words:
        return deep.encode()
    word = chance.choice(words)
    return content[: word.start()] + deep.encode() + content[word.end() :]


JSON: tuple[Change, ...] = (odd_json, odd_json, odd_json, odd_json, nested_json)


# ---- text -------------------------------------------------------------------------------------------


def odd_word(chance: random.Random, content: bytes) -> bytes:
    """Words of a text file replaced by what is no number, a huge one, or letters that break things."""
    for _ in range(chance.choice((1, 1, 2, 5))):
        words = list(re.finditer(rb"[\w.+-]+", content))
        if not words:
            break
        word = chance.choice(words)
        new = chance.choice((*NUMBERS, *WORDS)).encode("utf-8", "replace")
        content = content[: word.start()] + new + content[word.end() :]
    return content


def repeat_line(chance: random.Random, content: bytes) -> bytes:
    lines = content.splitlines(keepends=True) or [b""]
    k = chance.randrange(len(lines))
    return b"".join([*lines[:k], lines[k] * chance.choice((2, 1000)), *lines[k:]])


def long_cell(chance: random.Random, content: bytes) -> bytes:
    at = place(chance, content)
    return content[:at] + chance.choice((b"x", b'"', b",", b"\t", b"9", b" ")) * chance.choice((1, 200_000)) + content[at:]


def nested_xml(chance: random.Random, content: bytes) -> bytes:
    depth = chance.choice((100, NESTED, 200_000))
    words = list(re.finditer(rb">[^<]+<", content))
    at = chance.choice(words).start() + 1 if words else len(content)
    return content[:at] + b"<a>" * depth + b"</a>" * depth + content[at:]


def other_letters(chance: random.Random, content: bytes) -> bytes:
    """The same text in another encoding."""
    text = content.decode("latin-1")
    return text.encode(chance.choice(("utf-16", "utf-16-be", "utf-32", "utf-8-sig", "utf-7")))


TEXT: tuple[Change, ...] = (odd_word, odd_word, odd_word, repeat_line, long_cell, other_letters)


# ---- which for what ---------------------------------------------------------------------------------

OWN: dict[str, Sequence[Change]] = {
    "dicom": DICOM,
    "dicom labels": DICOM,
    "zip": DICOM,
    "nifti": NIFTI,
    "coco": JSON,
    "labelme": JSON,
    "via": JSON,
    "voc": (*TEXT, nested_xml),
    "yolo": TEXT,
    "sheet": TEXT,
    "nrrd": TEXT,
    "mha": TEXT,
    "workbook": (*TEXT, nested_xml),
}
BOMB_SHARE = 0.003  # of the DICOM files


def damage(chance: random.Random, seed: Seed) -> tuple[bytes, str]:
    """The content of the file, and the names of what was done to it."""
    if seed.format == "dicom" and chance.random() < BOMB_SHARE:
        return deflate_bomb(chance, seed.content), "deflate_bomb"
    own = OWN.get(seed.format, ())
    content, done = seed.content, []
    is_plain = seed.pack is not None or seed.format not in ("workbook", "zip")
    if seed.suffix == ".csv" and seed.format == "via":
        own = TEXT
    if seed.format == "nifti" and content[:2] == b"\x1f\x8b":
        is_plain = False
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        change = chance.choice(own) if own and is_plain and not done and chance.random() < 0.8 else chance.choice(BYTES)
        content = change(chance, content)
        done.append(change.__name__)
    return content if seed.pack is None else seed.pack(content), "+".join(done)
