"""The mark of a picture of a report that shows what a network made or changed: in its text, as in the images themselves."""

from __future__ import annotations

from overread.imaging.corner import WRITTEN
from overread.imaging.made import Kind, SyntheticMark
from overread.imaging.picture_png import marked_png

WORDS = {kind: words[0] for kind, words in WRITTEN.items()}  # drawn beside the picture, or in its corner
MADE_BY = "picture of an Overread run"  # which run, its place says; the pictures themselves name the model


def marked(png: bytes, kind: Kind, *, is_phantom: bool) -> bytes:
    """The same picture; whatever scans it knows what it shows."""
    return marked_png(png, SyntheticMark(kind, MADE_BY, "", is_phantom=is_phantom))
