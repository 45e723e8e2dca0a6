"""The reading room: one HTML page that shows real and made images one at a time, and keeps what its reader says of them.

The page does not know which image is which. Each is a number, and raw grey levels of one length, so that neither a name nor a
size betrays it; the key stays with whoever made the room.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from overread.imaging.window import WINDOWS
from overread.reporting.generation.alike import Alike
from overread.reporting.page import environment

FORMAT = 1  # of the answers that the page saves
_TEMPLATES = Path(__file__).parents[1] / "templates"
CONFIDENCE = ("a guess", "leaning", "fairly sure", "certain")
SHOWN_WINDOWS = ("soft tissue", "lung", "bone", "brain", "liver")


@dataclass(frozen=True)
class Room:
    """What the page is made of.

    room    its identifier, which the answers carry
    title   of the project
    shown   the images, in the order of the room
    """

    room: str
    title: str
    shown: Alike
    is_phantom: bool


def room_page(made: Room) -> str:
    """The page as HTML."""
    template = environment().get_template("room.html.j2")
    return template.render(
        title=made.title,
        is_phantom=made.is_phantom,
        count=len(made.shown.levels),
        is_volume=made.shown.levels.shape[1] > 1,
        notes=made.shown.notes,
        confidence=CONFIDENCE,
        windows=[] if made.shown.offset is None else SHOWN_WINDOWS,
        facts=_embedded(_facts(made)),
        pixels=_embedded([encoded(levels) for levels in made.shown.levels]),
        room_style=Markup((_TEMPLATES / "room.css").read_text(encoding="utf-8")),
        room_script=Markup((_TEMPLATES / "room.js").read_text(encoding="utf-8")),
    )


def encoded(levels: np.ndarray) -> str:
    """Grey levels as they are, little-endian: images of one size and depth have one length."""
    return base64.b64encode(np.ascontiguousarray(levels, levels.dtype.newbyteorder("<")).tobytes()).decode()


def _facts(made: Room) -> dict[str, Any]:
    shown = made.shown
    offset = shown.offset
    windows = {} if offset is None else {name: _levels_of(name, offset) for name in SHOWN_WINDOWS}
    return {
        "format": FORMAT,
        "room": made.room,
        "count": len(shown.levels),
        "shape": list(shown.levels.shape[1:]),
        "bytes": shown.levels.dtype.itemsize,
        "depth": shown.depth,
        "offset": offset,
        "start": list(shown.start),
        "aspect": round(shown.aspect, 4),
        "windows": windows,
        "confidence": list(CONFIDENCE),
    }


def _levels_of(window: str, offset: int) -> list[float]:
    low, high = WINDOWS[window].range
    return [low - offset, high - offset]


def _embedded(values: Any) -> Markup:
    """JSON inside a script element, which nothing in it can end."""
    return Markup(re.sub("[<>&]", lambda found: f"\\u{ord(found.group()):04x}", json.dumps(values, separators=(",", ":"))))
