"""Which exam of a patient counts, where not all of them do."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from overread.cohort.draft import Draft, LeftOut, Step
from overread.core.errors import OverreadError

NEAREST = re.compile(r"nearest to (?P<column>.+) within (?P<days>\d+) days?", re.IGNORECASE)


@dataclass(frozen=True)
class IndexExam:
    """The rule for the index exam.

    kind    "all", "first", "last" or "nearest"
    column  "nearest": the column with the date that counts
    days    "nearest": how far an exam may lie from it
    """

    kind: str
    column: str = ""
    days: int = 0


def parse_index_exam(text: str) -> IndexExam:
    word = text.strip().casefold()
    if word in ("all", "first", "last"):
        return IndexExam(word)
    found = NEAREST.fullmatch(text.strip())
    if found:
        return IndexExam("nearest", found["column"].strip("'\""), int(found["days"]))
    raise OverreadError(
        f"The index exam '{text}' is not understood.", "write all, first, last, or nearest to COLUMN within N days"
    )


def choose_index_exam(
    drafts: Sequence[Draft], rule: IndexExam, wanted: Mapping[int, date | None]
) -> tuple[list[int], Step | None]:
    """Positions of the drafts that count, and the step of the data flow. What a network made is no exam, and stays.

    wanted  "nearest": position of the draft -> the date it should be near to
    """
    if rule.kind == "all":
        return list(range(len(drafts))), None
    exams = [k for k, d in enumerate(drafts) if not d.attributes.get("made")]
    undated = [drafts[k] for k in exams if drafts[k].date is None]
    if undated:
        raise OverreadError(
            f"The index exam '{rule.kind}' needs the date of every exam, and {len(undated)} of {len(exams)} have none "
            f"(for example {undated[0].name}).",
            "name the column with the exam's date: --date COLUMN",
        )
    by_patient: dict[str, list[int]] = defaultdict(list)
    for k in exams:
        patient = drafts[k].patient
        if patient is None:
            raise OverreadError(
                f"The index exam needs to know the patient of {drafts[k].name}.", "name the column with --group-by"
            )
        by_patient[patient].append(k)
    kept = [k for k in range(len(drafts)) if k not in set(exams)]
    left_out: list[LeftOut] = []
    for members in by_patient.values():
        chosen, reason = _choose(drafts, members, rule, wanted)
        kept += chosen
        left_out += [LeftOut(drafts[k].name, reason) for k in members if k not in chosen]
    return sorted(kept), Step(f"index exam: {_words(rule)}", len(kept), tuple(left_out))


def _words(rule: IndexExam) -> str:
    return rule.kind if rule.kind != "nearest" else f"nearest within {rule.days} days"


def _choose(
    drafts: Sequence[Draft], members: Sequence[int], rule: IndexExam, wanted: Mapping[int, date | None]
) -> tuple[list[int], str]:
    days = {k: drafts[k].date or date.min for k in members}
    if rule.kind in ("first", "last"):
        day = (min if rule.kind == "first" else max)(days.values())
        return [k for k in members if days[k] == day], f"not the patient's {rule.kind} exam"
    distance = {}
    for k in members:
        target = wanted.get(k)
        if target is not None:
            distance[k] = abs((days[k] - target).days)
    near = {k: d for k, d in distance.items() if d <= rule.days}
    if not near:
        return [], f"no exam within {rule.days} days of the date that counts"
    _, day = min((d, days[k]) for k, d in near.items())  # of two equally near, the earlier
    return [k for k in near if days[k] == day], "not the patient's nearest exam"
