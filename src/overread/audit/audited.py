"""A cohort as the audit sees it: cases with their partition, what is known of how they were acquired, and their truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from overread.core.image import Image
from overread.core.kinds import Boxes, Kind
from overread.core.question import Question


def called(partition: str) -> str:
    """A partition in words: the internal test is no mere "internal"."""
    return "internal test" if partition == "internal" else partition.replace("-", " ")


@dataclass(frozen=True)
class AuditedCase:
    """One case.

    patient_id   pseudonym; its own case_id where nothing names the patient
    partition    "training", "tuning", "internal", "fold-<k>", or "" where nothing is divided
    truth        class or quantity -> value, None where that is not known; None where there is no such truth, or it is sealed
    is_sealed    its truth lies under seal: counts and digests may be used, the truth may not
    truth_digest of the truth, sealed or not: for images of equal pixels it is equal where the truths are; keyed with the
                 image's digest, so that of different images it tells nothing; "" where there is none
    digest       of the pixels, see `overread.imaging.digest.pixel_digest`
    identifiers  "study", "accession", "series", "frame_of_reference" -> a keyed digest; the originals are not here
    acquisition  how it was acquired: vendor, model, kvp, thickness_mm, kernel, field_strength_t, rows, columns, spacing_mm
                 and so on; only what is known
    covariates   age, sex and other columns of the sheet
    is_made      a network made or changed the image
    """

    case_id: str
    patient_id: str
    partition: str = ""
    truth: Mapping[str, float | None] | None = None
    is_sealed: bool = False
    truth_digest: str = ""
    digest: str = ""
    identifiers: Mapping[str, str] = field(default_factory=dict)
    acquisition: Mapping[str, Any] = field(default_factory=dict)
    covariates: Mapping[str, Any] = field(default_factory=dict)
    site: str = ""
    scanner: str = ""
    is_made: bool = False


@dataclass(frozen=True)
class Audited:
    """The cases, and how their pixels and drawn truths are opened.

    question          None where nothing is asked yet, of a folder without truth
    patients_known    something names the patient of most cases
    open_image        case_id -> Image; may raise OverreadError. It travels to worker processes, so it is a plain function,
                      a partial of one, or an object that can be pickled
    open_truth        case_id -> Kind, for cases that are not sealed; None where no masks of structures were drawn
    open_objects      case_id -> Boxes of its objects, for cases that are not sealed; None where no objects are asked
    truth_counts      partition -> class -> number of cases, sealed partitions too (from the seal's summary)
    """

    cases: tuple[AuditedCase, ...]
    open_image: Callable[[str], Image]
    question: Question | None = None
    patients_known: bool = True
    open_truth: Callable[[str], Kind] | None = None
    truth_counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    is_phantom: bool = False
    open_objects: Callable[[str], Boxes] | None = None

    @property
    def is_drawn(self) -> bool:
        """The truth is a drawing: of structures, or of objects of which `AuditedCase.truth` says whether there is any."""
        return self.question is not None and (self.question.task == "segmentation" or self.question.is_of_objects)

    @cached_property
    def partitions(self) -> tuple[str, ...]:
        """Names of the partitions that there are, in the order training, tuning, internal, folds."""
        order = ("training", "tuning", "internal")
        found = Counter(case.partition for case in self.cases if case.partition)
        return (*(p for p in order if p in found), *sorted(p for p in found if p not in order))

    @property
    def open_cases(self) -> tuple[AuditedCase, ...]:
        """Cases whose truth may be looked at."""
        return tuple(case for case in self.cases if not case.is_sealed)

    def patients(self, cases: Sequence[AuditedCase]) -> np.ndarray:
        """(N,) pseudonyms."""
        return np.array([case.patient_id for case in cases], dtype=str)
