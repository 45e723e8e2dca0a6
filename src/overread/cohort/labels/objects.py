"""Drawn labels of a cohort, found and joined to images.

Joined by the name that the label file gives the image, by UID, or by frame of reference; never by the order of files.
An image that a label file lists without an object is known to hold none. An image that no label file speaks of has no
truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from overread.cohort.labels.drawn import Address


@dataclass(frozen=True)
class Drawing:
    """What one reader drew on one image.

    files      label files, relative to the truth folder; for reports also the images that regions were drawn on
    places     where in them
    present    classes with at least one object
    numbers    quantity -> (value, unit), of reports
    """

    files: tuple[str, ...]
    places: tuple[Address, ...] = ()
    present: frozenset[str] = frozenset()
    numbers: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    reader: str = ""
    date: str = ""


@dataclass(frozen=True)
class Objects:
    """Drawn labels of a cohort.

    form      label format, see `overread.cohort.labels.drawn`
    title     the format in words
    root      what `files` are relative to: the truth folder, or the one label file
    classes   every class, in the order of the files
    by_name   draft name -> what each reader drew
    boxes     how many objects are boxes without an outline
    outlines  how many have an outline or a mask
    refused   draft name -> why its labels do not fit, where faulty cases are left out
    """

    form: str
    title: str
    root: Path
    classes: tuple[str, ...]
    by_name: Mapping[str, tuple[Drawing, ...]]
    boxes: int = 0
    outlines: int = 0
    refused: Mapping[str, str] = field(default_factory=dict)
    matched: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def readers(self) -> tuple[str, ...]:
        return tuple(sorted({d.reader for drawings in self.by_name.values() for d in drawings} - {""}))
