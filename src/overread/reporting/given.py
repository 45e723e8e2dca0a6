"""What a report is made of: plain values, gathered elsewhere, without anything private."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from overread.reporting.case_files import CaseFiles
from overread.reporting.page_parts import Part

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Panel:
    """A picture of one case: PNG bytes, its pseudonym, why it was chosen, and what is seen."""

    png: bytes
    case_id: str
    why: str
    caption: str


@dataclass(frozen=True)
class ReportInput:
    """Everything a report is made of, as plain values without names, dates, original ids or paths of patients.

    settings     the sections of project.toml that may be shown; cohort.by_patient says whether patients were known
    plan         plan.toml, with "reasons"
    events       one list of events per training: {"": [...]} or {"fold 0": [...], ...}
    evaluations  "tuning" and "internal", where they exist
    flow         steps of the data flow with counts and reasons
    partitions   one summary per partition: partition, cases, patients, classes, numbers, levels
    ledger       entries of the ledger, oldest first
    provenance   versions, machine, seed, hashes, commands
    panels       partition -> pictures
    versions     of the cohort, oldest first: version, time, reason, cases, patients, changed
    model        the frozen model's card (model.json); of the first fold where there are several
    answers      what only the author knows, by name: {"claim.5": "retrospective", "study.ethics": ...}; see `answers.py`
    audit        audit.json, where an audit was made
    fitted       baseline.json, where the run is one of hand-made features and no network; None otherwise
    curve        learning-curve.json of this version of the cohort, where one was drawn
    selections   selection.json of the run, one for each fold where there are folds; empty where nothing was selected
    robustness   training -> robustness.json of its model as it is now; empty where the suite was not run
    explanations training -> part ("trial", "maps" ...) -> its record, for the model as it is now
    refusal      training -> refusal.json of its model; empty where refusal was switched off
    degraded     training -> the picture of one case under each degradation
    thumbnails   partition -> (case, number of the object in its list) -> a small picture of an error, PNG
    matching     partition -> the matching criterion on objects of its cases
    case_files   what stands beside single cases: small pictures, maps, similar cases, groups, notes
    part         what has to be said where the run is one training of a learning curve or a selection; "" for others
    made         training -> fidelity.json of its model as it is now, with its pictures; of a run that makes images
    structures   training -> structures.json of its answers as they are now
    anomalies    training -> anomaly.json of each labelled project that its model as it is now judged
    beside       partition -> the scores of such a baseline, and what the run differs by; see `reporting.baseline`
    """

    title: str
    run: str
    created: str
    question: Record
    settings: Record
    plan: Record
    events: Mapping[str, Sequence[Record]]
    evaluations: Mapping[str, Record]
    flow: Sequence[Record]
    partitions: Sequence[Record]
    ledger: Sequence[Record]
    provenance: Record
    panels: Mapping[str, Sequence[Panel]] = field(default_factory=dict)
    is_phantom: bool = False
    versions: Sequence[Record] = ()
    model: Record = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)
    audit: Record | None = None
    fitted: Record | None = None
    beside: Mapping[str, Record] = field(default_factory=dict)
    curve: Record | None = None
    selections: Sequence[Record] = ()
    part: str = ""
    robustness: Mapping[str, Record] = field(default_factory=dict)
    explanations: Mapping[str, Mapping[str, Record]] = field(default_factory=dict)
    refusal: Mapping[str, Record] = field(default_factory=dict)
    degraded: Mapping[str, Panel] = field(default_factory=dict)
    thumbnails: Mapping[str, Mapping[tuple[str, int], bytes]] = field(default_factory=dict)
    matching: Mapping[str, Sequence[Panel]] = field(default_factory=dict)
    case_files: CaseFiles = field(default_factory=CaseFiles)
    made: Mapping[str, Part] = field(default_factory=dict)
    structures: Mapping[str, Record] = field(default_factory=dict)
    anomalies: Mapping[str, Sequence[Record]] = field(default_factory=dict)

    @property
    def shown(self) -> str | None:
        """The partition whose scores stand first: the internal test, else tuning; None where nothing was evaluated."""
        return next((p for p in ("internal", "tuning") if p in self.evaluations), None)

    @property
    def evaluation(self) -> Record | None:
        return self.evaluations[self.shown] if self.shown else None

    def answer(self, name: str) -> str:
        """What the author wrote; "" where nothing."""
        return str(self.answers.get(name, "")).strip()
