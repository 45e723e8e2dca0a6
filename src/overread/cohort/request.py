"""What a user asks to gather: images, truth, sheet, and how they belong together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from overread.cohort.ask import Said
from overread.cohort.labels.values import How


@dataclass(frozen=True)
class Request:
    """What to gather. None or empty is to be inferred.

    images    folder, or one file in it that holds the images
    truth     folder with masks, or a sheet with labels
    series    rules for the choice among series, see `overread.cohort.rules`
    channels  name -> rule, or pattern of the file's name
    missing   "refuse" or "zeros": exams that lack a channel
    how       reader, method and date of the reference standard
    faulty    "refuse" or "leave out": cases whose mask does not fit
    headers   SQLite file that remembers image headers, so that another look is quick
    """

    images: Path
    truth: Path | None = None
    sheet: Path | None = None
    said: Said = field(default_factory=Said)
    id_column: str | None = None
    group_by: str | None = None
    site: str | None = None
    scanner: str | None = None
    date: str | None = None
    side: str | None = None
    covariates: tuple[str, ...] = ()
    series: Mapping[str, str] = field(default_factory=dict)
    aggregation: str = "none"
    index_exam: str = "all"
    gaps: str = "refuse"
    tilt: str = "refuse"
    how: How = field(default_factory=How)
    faulty: str = "refuse"
    headers: Path | None = None
    channels: Mapping[str, str | Mapping[str, str]] = field(default_factory=dict)
    missing: str = "refuse"
