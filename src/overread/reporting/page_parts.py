"""What the page of explanations is made of: sections of words, tables, charts and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from markupsafe import Markup

FORMAT = 1  # of the records that sections are made from


@dataclass(frozen=True)
class Words:
    """A paragraph; is_warning sets it apart."""

    text: str
    is_warning: bool = False
    kind: ClassVar[str] = "words"


@dataclass(frozen=True)
class Table:
    """columns  heads, the first one of the rows' names
    rows     one cell per column; numbers are set to the right, None is a dash
    """

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    note: str = ""
    kind: ClassVar[str] = "table"

    @property
    def numeric(self) -> list[bool]:
        """Which columns hold numbers only."""
        return [
            bool(cells) and all(isinstance(c, int | float) for c in cells) for cells in map(self._known, range(len(self.columns)))
        ]

    def _known(self, column: int) -> list[Any]:
        return [row[column] for row in self.rows if row[column] is not None]


@dataclass(frozen=True)
class Chart:
    """An SVG drawing."""

    svg: Markup
    caption: str = ""
    kind: ClassVar[str] = "chart"


@dataclass(frozen=True)
class Picture:
    """A PNG; is_failed frames it in red, with the reason in its caption."""

    png: bytes
    caption: str
    is_failed: bool = False


@dataclass(frozen=True)
class Pictures:
    """Pictures side by side; is_wide one below the other, as wide as the page."""

    pictures: Sequence[Picture]
    is_wide: bool = False
    kind: ClassVar[str] = "pictures"


Block = Words | Table | Chart | Pictures


@dataclass(frozen=True)
class Section:
    """One part of the page.

    key   address on the page
    lead  one sentence: what was found
    """

    key: str
    title: str
    lead: str
    blocks: Sequence[Block] = ()


@dataclass(frozen=True)
class Part:
    """What a verb left: its record and its pictures by file name."""

    record: Mapping[str, Any]
    pictures: Mapping[str, bytes] = field(default_factory=dict)
