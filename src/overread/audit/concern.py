"""What an audit says: one concern each, with what it means, how sure it is, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

SEVERITIES = ("fault", "warning", "note")
SUBJECTS = ("leak", "shortcut", "acquisition", "labels", "masks", "size")


@dataclass(frozen=True)
class Concern:
    """One thing that somebody should look at.

    key        short and stable, for pipelines: "patient-in-two-partitions"
    subject    one of `SUBJECTS`
    severity   "fault": a score would be wrong; "warning": it may be; "note": to be known, and said in the paper
    statement  what was found, with counts, in one sentence
    meaning    what it does to a score or a model
    certainty  how sure this is, and what would look the same without being wrong
    advice     what to do next
    evidence   numbers behind it, plain values without names, dates or paths
    cases      groups of case_ids that belong together: the pair, the siblings, the patient; empty where it is of all
    partitions the partitions that it touches
    """

    key: str
    subject: str
    severity: str
    statement: str
    meaning: str
    certainty: str
    advice: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    cases: Sequence[Sequence[str]] = ()
    partitions: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES or self.subject not in SUBJECTS:
            raise ValueError(f"concern {self.key}: severity {self.severity!r} or subject {self.subject!r} is not known")

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "evidence": dict(self.evidence), "cases": [list(group) for group in self.cases]}


def several(words: Sequence[str], most: int = 8, between: str = ", ") -> str:
    """The first words of a list, and how many more there are."""
    more = f"{between}and {len(words) - most} more" if len(words) > most else ""
    return between.join(words[:most]) + more


def counted_as(count: int, one: str, many: str = "") -> str:
    """ "1 case", "2 cases"; `many` where it is not `one` with an s."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def by_severity(concerns: Sequence[Concern]) -> list[Concern]:
    """Faults first; otherwise in the order given."""
    return sorted(concerns, key=lambda concern: SEVERITIES.index(concern.severity))
