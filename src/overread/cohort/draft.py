"""A case before it has a pseudonym: everything here still carries the names that the user's files have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from overread.core.case import ImageReference


@dataclass(frozen=True)
class Draft:
    """One image, or several channels of one, that may become a case.

    name       what the user would call it: a path, or a study and series; unique
    aliases    every name by which a sheet or a mask may call this image, `name` first
    patient    as the files or the sheet have it; None where nothing tells
    exam       the study or visit; images of one visit share it
    exam_aliases  names of the exam: study UID, accession number
    partition  as distributed, "training", "tuning" or "internal"; None where nothing tells
    label      as distributed: the class folder, the label row of an ``.npz``
    side       "left", "right", or ""
    """

    name: str
    aliases: tuple[str, ...]
    images: tuple[ImageReference, ...]
    patient: str | None = None
    exam: str | None = None
    exam_aliases: tuple[str, ...] = ()
    partition: str | None = None
    label: str | None = None
    side: str = ""
    date: date | None = None
    site: str = ""
    scanner: str = ""
    covariates: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def exam_name(self) -> str:
        return self.exam or self.name


@dataclass(frozen=True)
class LeftOut:
    """Something that did not become a case, and why.

    name    file, series or row; for the terminal and the private table only
    reason  a short sentence without names: the data flow counts these
    """

    name: str
    reason: str


@dataclass(frozen=True)
class Step:
    """One step of the data flow: how many remain, and why the others do not."""

    step: str
    kept: int
    left_out: tuple[LeftOut, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Counts only."""
        reasons: dict[str, int] = {}
        for item in self.left_out:
            reasons[item.reason] = reasons.get(item.reason, 0) + 1
        return {"step": self.step, "kept": self.kept, "excluded": len(self.left_out), "reasons": reasons}
