"""How a block is written: NAME [VALUE] [LABEL ...] [option=value ...] [xN] [as LABEL].

"conv 32", "residual 64 stride=2 x3 as half", "max_pool 1x2x2", "concat half", "aspp 64 rates=2,4,6". A value is a number, one
number per axis joined by x, several joined by commas, true, false, or a word. xN puts the block N times one behind the other;
a stride is taken by the first of them only. Labels are read by blocks that join; "image" is the input.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from overread.core.errors import OverreadError
from overread.networks.blocks.block import Block
from overread.networks.blocks.table import BLOCKS

IMAGE_LABEL = "image"
MOST_TIMES = 100
_TIMES = re.compile(r"x(\d+)")
_LABEL = re.compile(r"[a-z_][a-z0-9_]*")
_HOW = 'write it as NAME [VALUE] [option=value ...] [xN] [as LABEL], such as "residual 64 stride=2 x2 as half"'


@dataclass(frozen=True)
class Line:
    """One entry of the list.

    number  its place in the list, from 1
    text    as the user wrote it
    block   its row in the table of blocks
    values  the bare value and the options that were written, by name
    reads   labels whose maps it joins to those at hand
    times   how often it stands one behind the other
    label   under which its maps can be read again; "" for none
    """

    number: int
    text: str
    block: Block
    values: dict[str, Any]
    reads: tuple[str, ...] = ()
    times: int = 1
    label: str = ""

    def values_of(self, time: int) -> dict[str, Any]:
        """Of the first block of this line (time 0), or of a later one, which keeps the grid."""
        return self.values if time == 0 else {name: value for name, value in self.values.items() if name != "stride"}

    def error(self, what: str, next: str = "") -> OverreadError:
        return OverreadError(f'block {self.number}, "{self.text}": {what}', next=next)


def parse(blocks: Sequence[str]) -> tuple[Line, ...]:
    """The list as written, checked for names, options, values and labels."""
    if not isinstance(blocks, list | tuple) or not blocks or not all(isinstance(text, str) and text.strip() for text in blocks):
        raise OverreadError(
            f"the blocks of a composed network are a list of texts, and {blocks!r} came",
            next='write blocks = ["conv 32", "max_pool 2", "conv 64", "global_average"]',
        )
    known = {IMAGE_LABEL}
    lines = []
    for number, text in enumerate(blocks, start=1):
        line = _line(number, " ".join(text.split()))
        for label in line.reads:
            _refuse_unknown(line, "no earlier block has the label", label, known, "labels so far: ")
        if line.label in known:
            raise line.error(f"the label '{line.label}' is taken", next="choose another")
        known |= {line.label} - {""}
        lines.append(line)
    return tuple(lines)


def _line(number: int, text: str) -> Line:
    name, *words = text.split()
    bare = Line(number, text, BLOCKS.get(name, BLOCKS["conv"]), {})
    _refuse_unknown(bare, "no block is called", name, BLOCKS, "the blocks are ")
    words, label = _label(bare, words)
    counts = [word for word in words if _TIMES.fullmatch(word)]
    times = int(counts[0][1:]) if counts else 1
    if len(counts) > 1 or not 1 <= times <= MOST_TIMES:
        raise bare.error(f"{' '.join(counts)} is no number of times from 1 to {MOST_TIMES}", next=_HOW)
    options = [word for word in words if "=" in word]
    plain = [word for word in words if "=" not in word and word not in counts]
    values, reads = _plain(bare, plain)
    for option in options:
        key, _, written = option.partition("=")
        _refuse_unknown(bare, f"{name} takes no option", key, bare.block.options, "it takes ")
        values[key] = _value(bare, key, written)
    if times > 1 and bare.block.joins:
        raise bare.error("a block that joins labels stands once", next="write it in several lines")
    return Line(number, text, bare.block, values, reads, times, label)


def _label(line: Line, words: list[str]) -> tuple[list[str], str]:
    if "as" not in words:
        return words, ""
    place = words.index("as")
    after = words[place + 1 :]
    if len(after) != 1 or not _LABEL.fullmatch(after[0]):
        raise line.error('"as" is followed by one label of small letters, at the end', next=_HOW)
    return words[:place], after[0]


def _plain(line: Line, words: list[str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Words without =: the bare value that a block takes, and the labels that it joins."""
    first, block = line.block.first, line.block
    values: dict[str, Any] = {}
    if first is not None and words and not (block.joins and _LABEL.fullmatch(words[0])):
        values[first.name] = _value(line, first.name, words[0])
        words = words[1:]
    elif first is not None and first.default is first.empty and block.name != "linear":  # the last linear has none
        raise line.error(
            f"{block.name} needs its {first.name}", next=f'write "{block.name} 32"' if first.name != "name" else _HOW
        )
    if block.joins and not words:
        raise line.error(f"{block.name} needs the label of an earlier block", next=f'write "{block.name} LABEL"')
    if words and not block.joins:
        raise line.error(f"'{' '.join(words)}' is too much", next=_HOW)
    return values, tuple(words)


def _value(line: Line, name: str, written: str) -> Any:
    wanted = line.block.types[name]
    for value in _readings(written):
        if _is_a(value, wanted):
            return value
    raise line.error(f"{name} is {_type_in_words(wanted)}, and '{written}' came", next=_HOW)


def _readings(written: str) -> Iterable[Any]:
    """What a written value may mean, the narrowest first."""
    if re.fullmatch(r"\d+", written):
        yield int(written)
        yield (int(written),)
    elif re.fullmatch(r"\d*\.\d+", written):
        yield float(written)
    elif re.fullmatch(r"\d+([x,]\d+)+", written):
        yield tuple(int(number) for number in re.split("[x,]", written))
    yield written


def _is_a(value: Any, wanted: Any) -> bool:
    if get_origin(wanted) in (Union, UnionType):
        return any(_is_a(value, each) for each in get_args(wanted))
    if get_origin(wanted) is tuple:
        return isinstance(value, tuple)
    if wanted is float:
        return isinstance(value, int | float)
    return isinstance(value, wanted)


def _type_in_words(wanted: Any) -> str:
    if get_origin(wanted) in (Union, UnionType):
        return " or ".join(_type_in_words(each) for each in get_args(wanted) if each is not NoneType)
    if get_origin(wanted) is tuple:
        return "several numbers such as 1x2x2"
    return {int: "a whole number", float: "a number", str: "a word"}[wanted]


def _refuse_unknown(line: Line, what: str, name: str, known: Iterable[str], list_all: str) -> None:
    known = list(known)
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else list_all + (", ".join(known) or "none")
    raise line.error(f"{what} '{name}'", next=hint)
