"""Limits of refusal are fitted when a model is frozen, and images of a cohort are held against them while they are read.

Training cases say what is normal, tuning cases where the limits lie. Truths are not needed.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from overread.batches.prepare import Prepared
from overread.cohort.index import Cohort
from overread.cohort.load import load_image
from overread.cohort.progress import Progress
from overread.core.case import Case
from overread.reading.answering import Answering
from overread.reading.refusal.concern import Verdict
from overread.reading.refusal.guard import FILMS, Guard, Look, fit_guard, look_at
from overread.reading.refusal.header import Header, header_of
from overread.reading.refusal.record import Refusal
from overread.record.files import write_json
from overread.record.run import RunFolder
from overread.workflow.learning.refusal_record import FILE, add_partition

FORMAT = 1
MOST = {True: 500, False: 60}  # training cases that are looked at: planar images, and volumes
TOLD = 20  # cases that the record of a partition names


@dataclass
class Watch:
    """Looks at images before they are answered.

    guard     judges; None only collects the looks
    looks     case_id -> what was seen, where there is no guard
    verdicts  case_id -> verdict, where there is one
    seconds   that looking took
    """

    guard: Guard | None = None
    looks: dict[str, Look] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    seconds: float = 0.0

    def __call__(self, answering: Answering, some: Sequence[tuple[Case, Header, Prepared]]) -> None:
        began = time.monotonic()
        looks = look_at(answering, [(header, prepared) for _, header, prepared in some])
        for (case, _, _), look in zip(some, looks, strict=True):
            if self.guard is None:
                self.looks[case.case_id] = look
            else:
                self.verdicts[case.case_id] = self.guard.judge(look)
        self.seconds += time.monotonic() - began

    def refused(self, case_id: str) -> str:
        """Code of the refusal of a case; "" where it is answered, with a warning or without."""
        verdict = self.verdicts.get(case_id)
        if verdict is None or self.guard is None or self.guard.refusal.mode != "on":
            return ""
        return verdict.code if verdict.is_refused else ""


def fit_refusal(mode: str, answering: Answering, cohort: Cohort, tuning: Watch, progress: Progress | None) -> tuple[Guard, Watch]:
    """The guard, and the tuning cases held against it.

    tuning  the looks at the tuning cases, taken while these were answered
    """
    training = _looked_at(answering, cohort, chosen(cohort), progress)
    cases = [case for case in cohort.of("tuning") if case.case_id in tuning.looks]
    looks = [tuning.looks[case.case_id] for case in cases]
    patient = {case.case_id: case.patient_id for case in cohort.of("training")}
    holders = [patient[case_id] for case_id in training.looks]
    guard = fit_guard(mode, list(training.looks.values()), looks, holders, [case.patient_id for case in cases])
    verdicts = {case.case_id: guard.judge(look) for case, look in zip(cases, looks, strict=True)}
    return guard, Watch(guard, {}, verdicts, training.seconds + tuning.seconds)


def _looked_at(answering: Answering, cohort: Cohort, cases: Sequence[Case], progress: Progress | None) -> Watch:
    """Looks at cases without answering them; the seconds include opening the images."""
    watch, began = Watch(), time.monotonic()
    size = FILMS if answering.task.serves == "image" else 1
    if progress is not None:
        progress.start(len(cases), "Looking at training images, to know others from them")
    for first in range(0, len(cases), size):
        some = cases[first : first + size]
        opened = ((case, load_image(cohort, case)) for case in some)
        watch(answering, [(case, header_of(image), answering.prepare(image)) for case, image in opened])
        if progress is not None:
            progress.advance(len(some), some[-1].case_id)
    if progress is not None:
        progress.finish()
    watch.seconds = time.monotonic() - began
    return watch


def chosen(cohort: Cohort) -> list[Case]:
    """At most `MOST` training cases, always the same ones: drawn by the hash of the pseudonyms, a second case of a patient after
    the first of every other. Images that a network made are none: they do not show what a scanner gives.
    """
    cases = [case for case in cohort.of("training") if not case.is_made]
    if not cases:
        return []
    most = MOST[cohort.grids[cases[0].case_id].is_planar] if cases[0].case_id in cohort.grids else min(MOST.values())
    turns: Counter[str] = Counter()
    ordered = []
    for case in sorted(cases, key=lambda case: _hash(case.case_id)):
        turns[case.patient_id] += 1
        ordered.append((turns[case.patient_id], _hash(case.patient_id), case))
    ordered.sort(key=lambda row: row[:2])
    return [case for _, _, case in ordered[:most]]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def record_of(refusal: Refusal, partitions: Mapping[str, Watch], seconds: float) -> dict[str, Any]:
    """What `refusal.json` says: the limits, and what they did to the cases of each partition."""
    return {
        "format": FORMAT,
        **refusal.as_dict(),
        "seconds": round(seconds, 1),
        "partitions": {name: _counts(watch.verdicts) for name, watch in partitions.items() if watch.verdicts},
    }


def _counts(verdicts: Mapping[str, Verdict]) -> dict[str, Any]:
    refused = {case_id: v for case_id, v in verdicts.items() if v.is_refused}
    warned = {case_id: v for case_id, v in verdicts.items() if v.concerns and not v.is_refused}
    return {
        "cases": len(verdicts),
        "refused": dict(Counter(v.code for v in refused.values())),
        "warned": dict(Counter(v.code for v in warned.values())),
        "named": [_told(case_id, v) for case_id, v in list(refused.items())[:TOLD]],
    }


def _told(case_id: str, verdict: Verdict) -> dict[str, Any]:
    return {"case_id": case_id, "code": verdict.code, "reason": verdict.reason, "distance": verdict.distance}


def write_refusal(run: RunFolder, record: Mapping[str, Any]) -> None:
    write_json(run.path / FILE, record)
    counts = {
        name: {"cases": p["cases"], "refused": sum(p["refused"].values()), "warned": sum(p["warned"].values())}
        for name, p in record["partitions"].items()
    }
    run.events.write("refusal", mode=record["mode"], content=record["content"], partitions=counts, seconds=record["seconds"])


def enter_partition(run: RunFolder, name: str, watch: Watch) -> None:
    """Enter the cases of an external cohort, too."""
    if watch.verdicts:
        add_partition(run, name, _counts(watch.verdicts))
