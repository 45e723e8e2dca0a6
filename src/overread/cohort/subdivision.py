"""Another division of a project's open cases, for a run that is part of something larger: a learning curve, a selection.

The internal test is not in it. Such a run reaches neither its truths nor its images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from overread.cohort.index import Cohort
from overread.cohort.never_tested import refuse_tested
from overread.core.errors import OverreadError
from overread.record.files import digest_json, read_json, write_json

OPEN = ("training", "tuning")


@dataclass(frozen=True)
class Subdivision:
    """Who trains and who tunes one run.

    training, tuning  case_ids; training or tuning cases of the project, or of the fold that the run belongs to
    part_of           what the run is a part of: "a learning curve", "a selection"
    about             which part, as plain values, e.g. the share of the patients
    """

    training: frozenset[str]
    tuning: frozenset[str]
    part_of: str
    about: Mapping[str, Any] = field(default_factory=dict)

    def of(self, cohort: Cohort) -> Cohort:
        """The cohort as this run sees it: only its own cases, none of them an internal test.

        Refused where a case is not open, where a patient would be on both sides, or where an image that a network made would
        be scored.
        """
        place = {**dict.fromkeys(self.training, "training"), **dict.fromkeys(self.tuning, "tuning")}
        closed = sorted(case_id for case_id in place if cohort.partition.get(case_id) not in OPEN)
        if closed:
            sealed = cohort.partition.get(closed[0]) == "internal"
            why = "lies under the seal of the internal test" if sealed else "is no case of this cohort any more"
            raise OverreadError(
                f"A run that is part of {self.part_of} names {closed[0]}, which {why} ({len(closed)} such cases).",
                "train it again under another name, from the cohort as it is now",
            )
        cases = tuple(case for case in cohort.cases if case.case_id in place)
        sides = [{c.patient_id for c in cases if place[c.case_id] == side} for side in OPEN]
        if self.training & self.tuning or sides[0] & sides[1]:
            raise OverreadError(
                f"A run that is part of {self.part_of} has a patient among its training and its tuning cases.",
                "train it again under another name",
            )
        refuse_tested(cases, place)
        return replace(cohort, cases=cases, partition=place)

    def as_dict(self) -> dict[str, Any]:
        return {
            "format": 1,
            "part_of": self.part_of,
            "about": dict(self.about),
            "training": sorted(self.training),
            "tuning": sorted(self.tuning),
        }


def write_subdivision(path: Path, subdivision: Subdivision) -> None:
    """Write it with its own hash, so that a later change shows."""
    body = subdivision.as_dict()
    write_json(path, {**body, "hash": digest_json(body)})


def read_subdivision(path: Path) -> Subdivision | None:
    """The subdivision that a run was given; None for a run on the project's own partitions."""
    if not path.exists():
        return None
    values = read_json(path)
    if values.pop("hash", None) != digest_json(values):
        raise OverreadError(
            f"{path.name} of this run was changed after it was written: its hash does not fit.",
            "restore it from a copy, or train the run again under another name",
        )
    return Subdivision(frozenset(values["training"]), frozenset(values["tuning"]), values["part_of"], values["about"])
