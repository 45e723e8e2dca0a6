"""Leaks that are known in public data sets, and which of them the audit finds without being told.

    python benchmarks/known_leaks.py

Each set goes through the audit as a user has it: images, the split it came with, labels, and the column of patients
where there is one. What the notes of the data list as leaks is compared afterwards.

known      groups that lie in more than one part of the split, as listed with the data
found      of these, groups of which the audit names two cases in different parts
further    groups that the audit names beyond the list; "proved" are those whose file numbers or patients confirm it
false      groups that the same evidence proves to be wrong: another patient, another file number
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from common import Started, parser, run, say_result, shared_data, spread_of, table, write_result
from known_sets import SETS, Group, Question

from overread.audit.audited import Audited
from overread.audit.concern import Concern
from overread.audit.leaks.look import look_for_leaks
from overread.audit.sketch import Sketch, sketches

NOTES = (
    "Brain MR: the 48 least alike pairs beyond the list were looked at: mirrored, turned or windowed copies of one slice, and a "
    "few neighbouring slices. Breast ultrasound: the 15 least alike pairs were looked at: one image each.",
    "Hippocampus: persons are presumed from the numbers of the files. The 14 pairs that are missed hold whole numbers, so that "
    "their step says nothing. The one against the presumption: files 245, 299 and 300 share one step exactly.",
)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--sets", default=",".join(SETS), help="which of the sets")
    asked, started = options.parse_args(), Started()
    rows: list[dict[str, object]] = []
    cases = 0
    for name in asked.sets.split(","):
        print(f"{name} ...", flush=True)
        known = SETS[name](shared_data())
        drawn = sketches(known.audited)
        cases += len(drawn)
        rows += answers(known.audited, known.questions, drawn)
        rows += answers(without_patients(known.audited), known.withheld, drawn)
    figures = {"rows": rows, "cases": cases, "missed": sum(int(str(row["missed"])) for row in rows)}
    missed = spread_of([float(str(row["missed"])) for row in rows])
    path = write_result("known_leaks", started, settings={"sets": asked.sets}, figures=figures, spread=missed, notes=NOTES)
    header = ["leak", "given", "known", "found", "missed", "further", "proved", "false"]
    say_result(path, [*table(header, [[row[column] for column in header] for row in rows]), "", *NOTES])


def answers(audited: Audited, questions: Sequence[Question], drawn: Mapping[str, Sketch]) -> list[dict[str, object]]:
    if not questions:
        return []
    concerns = look_for_leaks(audited, drawn)
    place = {case.case_id: case.partition for case in audited.cases}
    return [compared(question, concerns, place) for question in questions]


def compared(question: Question, concerns: Iterable[Concern], place: Mapping[str, str]) -> dict[str, object]:
    named = {frozenset(group) for concern in concerns if concern.key in question.keys for group in concern.cases}
    if not named:  # sealed truths are counted, not named
        counted = [concern for concern in concerns if concern.key in question.keys]
        pairs = sum(int(concern.evidence.get("pairs", 0)) for concern in counted)
        return row_of(question, min(pairs, len(question.known)), max(0, pairs - len(question.known)), 0, 0)
    found = [known for known in question.known if any(len({place[c] for c in known & group}) > 1 for group in named)]
    further = [group for group in named if not any(len(group & known) > 1 for known in question.known)]
    verdicts = [verdict(question, group) for group in further]
    wrong = [group for group in named if verdict(question, group) is False]
    return row_of(question, len(found), len(further), verdicts.count(True), len(wrong))


def verdict(question: Question, group: Group) -> bool | None:
    """Every case belongs to the first of its group: True; one that is proved not to: False; else nobody knows."""
    first, *others = sorted(group)
    told = [question.same(first, other) for other in others]
    return None if None in told else all(told)


def row_of(question: Question, found: int, further: int, proved: int, wrong: int) -> dict[str, object]:
    known = len(question.known)
    row: dict[str, object] = {"leak": question.name, "given": question.given, "known": known, "found": found}
    return row | {"missed": known - found, "further": further, "proved": proved, "false": wrong}


def without_patients(audited: Audited) -> Audited:
    alone = tuple(replace(case, patient_id=case.case_id) for case in audited.cases)
    return replace(audited, cases=alone, patients_known=False)


if __name__ == "__main__":
    run(main)
