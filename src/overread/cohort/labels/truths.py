"""Every truth of a cohort, by draft, from wherever it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from overread.core.case import TruthReference
from overread.core.question import Question


@dataclass(frozen=True)
class Truths:
    """What was read.

    by_name     draft name -> truth
    why_not     draft name -> why it has none, in words without names
    question    classification and regression; masks are opened before their question is known
    structures  segmentation: structure -> value, where declared
    matched     lines about how masks were joined
    unknown     masks that fit no image
    readers     draft name -> the truth of every reader, where labels tell readers apart
    others      class that is not asked -> its label value in masks and objects
    not_asked   classes that are not asked, also of findings, which have no value
    """

    by_name: Mapping[str, TruthReference]
    why_not: Mapping[str, str] = field(default_factory=dict)
    question: Question | None = None
    structures: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    matched: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    readers: Mapping[str, tuple[TruthReference, ...]] = field(default_factory=dict)
    others: Mapping[str, int] = field(default_factory=dict)
    not_asked: tuple[str, ...] = ()
