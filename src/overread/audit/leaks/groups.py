"""Groups of cases that should not be apart, or not be one: what all concerns about leaks share."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from overread.audit.audited import Audited, AuditedCase

FLATTERS = "A model that has seen one of them in training is tested on what it knows, so the score flatters."
SPLIT_AGAIN = (
    "Draw the split anew so that each group stays together (init --group-by COLUMN), or leave all but one of a group out."
)

Group = tuple[str, ...]  # case_ids that belong together


class Cases:
    """Questions about groups of cases."""

    def __init__(self, audited: Audited) -> None:
        self.audited = audited
        self.by_name: dict[str, AuditedCase] = {case.case_id: case for case in audited.cases}

    @property
    def is_drawn(self) -> bool:
        """Truths are drawings, which rightly differ between an image and its mirrored copy."""
        return self.audited.is_drawn

    def groups_by(self, key: Callable[[AuditedCase], str]) -> list[Group]:
        """Cases with one key, two or more; an empty key belongs to nothing."""
        members = defaultdict(list)
        for case in self.audited.cases:
            if key(case):
                members[key(case)].append(case.case_id)
        return [tuple(group) for group in members.values() if len(group) > 1]

    def different(self, group: Group, key: Callable[[AuditedCase], str]) -> int:
        """How many different keys the cases of a group have, empty ones left out."""
        return len({key(self.by_name[name]) for name in group} - {""})

    def across(self, groups: Sequence[Group]) -> list[Group]:
        return [group for group in groups if self.different(group, partition) > 1]

    def partitions(self, groups: Sequence[Group]) -> tuple[str, ...]:
        touched = {self.by_name[name].partition for group in groups for name in group}
        return tuple(partition for partition in self.audited.partitions if partition in touched)


def partition(case: AuditedCase) -> str:
    return case.partition


def patient(case: AuditedCase) -> str:
    return case.patient_id


def named_patient(case: AuditedCase) -> str:
    """The patient, where something names one."""
    return "" if case.patient_id == case.case_id else case.patient_id


def counted(groups: Sequence[Group], one: tuple[str, str], many: tuple[str, str]) -> str:
    """ "2 patients (5 cases) lie": noun and verb for one and for many."""
    noun, verb = one if len(groups) == 1 else many
    return f"{len(groups)} {noun} ({sum(map(len, groups))} cases) {verb}"


def evidence_of(found: Cases, groups: Sequence[Group]) -> dict[str, Any]:
    touched = Counter(
        " and ".join(p for p in found.audited.partitions if p in {found.by_name[name].partition for name in group})
        for group in groups
    )
    evidence: dict[str, Any] = {"groups": len(groups), "cases": sum(map(len, groups)), "largest_group": max(map(len, groups))}
    return evidence | ({"groups_by_partitions": dict(touched)} if found.audited.partitions else {})
