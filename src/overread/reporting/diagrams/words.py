"""Sizes and counts as a drawing or a table writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_POWER = {2: "²", 3: "³"}


def edges(size: Sequence[int]) -> str:
    """``(56, 56)`` -> "56²", ``(16, 128, 128)`` -> "16×128²", one number of tokens -> "197 tokens"."""
    if len(size) == 1:
        return f"{size[0]} tokens"
    if len(size) in _POWER and len(set(size)) == 1:
        return f"{size[0]}{_POWER[len(size)]}"
    if len(size) == 3 and size[1] == size[2]:
        return f"{size[0]}×{size[1]}²"
    return "×".join(map(str, size))


def count(number: float) -> str:
    """``11172810`` -> "11.2 million"; small numbers as they are."""
    for size, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if number >= size:
            return f"{number / size:.3g} {word}"
    return f"{number:,.0f}"


def memory(number: float) -> str:
    """Bytes in MiB or GiB."""
    return f"{number / 2**30:.3g} GiB" if number >= 2**30 else f"{number / 2**20:.3g} MiB"


def seconds(number: float) -> str:
    return f"{number:.3g} s" if number >= 1 else f"{number * 1000:.3g} ms"


def reads(field: Mapping[str, Any] | None) -> str:
    """A theoretical receptive field, in voxels of the image."""
    if field is None:
        return "a proposed region"
    if field["why"]:
        return "may read all"
    if all(edge is None for edge in field["size"]):
        return "the whole image"
    size = field["size"]
    return edges(size) if None not in size else "×".join("all" if edge is None else str(edge) for edge in size)
