"""What letters and marks in films mean, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from overread.audit.audited import AuditedCase
from overread.audit.concern import Concern, counted_as, several
from overread.audit.shortcuts.chance import FEWEST_PATIENTS
from overread.audit.shortcuts.mark_finder import SMALLEST_SIDE, Mark
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.intervals.wilson import proportion_interval

Found = dict[str, list[Mark] | None]  # case_id -> marks; None where the film is too small to tell
Row = dict[str, Any]


def mark_concerns(seen: Sequence[AuditedCase], found: Found, rows: Sequence[Row], too_small: int, severe: str) -> list[Concern]:
    """Marks that go with the label, marks that are there, and what could not be looked at.

    seen    the films that were looked at
    rows    of the table of `overread.audit.shortcuts.marks`
    severe  severity of a mark that goes with the label
    """
    concerns = []
    follows = [row for row in rows if row["follows"]]
    if follows:
        concerns.append(_follows(follows, seen, found, severe))
    tagged = sum(str(case.acquisition.get("burned_in", "")).upper() == "YES" for case in seen)
    marked = [case for case in seen if found[case.case_id]]
    if marked or tagged:
        concerns.append(_present(seen, marked, found, tagged))
    if too_small:
        concerns.append(_too_small(too_small))
    few = [row["target"] for row in rows if row["reason"]]
    if few:
        concerns.append(_too_few(few))
    return concerns


def _follows(rows: Sequence[Row], seen: Sequence[AuditedCase], found: Found, severe: str) -> Concern:
    def one(row: Row) -> str:
        shares = ", ".join(f"{level} {r['estimate']:.0%} of {r['n_cases']}" for level, r in row["shares"].items())
        return f"{row['sign']} ({row['target']}: {shares})"

    ordered = sorted(rows, key=lambda row: row["p"])
    more = f"; and {len(rows) - 4} more" if len(rows) > 4 else ""
    return Concern(
        key="mark-follows-label",
        subject="shortcut",
        severity=severe,
        statement=f"Letters or marks in the films go with the label: {'; '.join(one(row) for row in ordered[:4])}{more}.",
        meaning="A network reads a marker more easily than a disease. Its score would not hold where markers are set otherwise.",
        certainty=f"Chance alone shows this in at most {max(row['p'] for row in rows):.2g} of cohorts (over all signs). "
        "What was found may also be a clip, a tube or a jewel, which truly go with treatment; letters of one group may be "
        "fainter and found less often. Look at the pictures.",
        advice="Mask or crop these places alike in all films, and train again to see what is left of the score.",
        evidence={"rows": list(rows)},
        cases=[[case.case_id] for case in seen if found[case.case_id]][:20],
    )


def _present(seen: Sequence[AuditedCase], marked: Sequence[AuditedCase], found: Found, tagged: int) -> Concern:
    zones = Counter(zone for case in marked for zone in {mark.zone for mark in found[case.case_id] or ()})
    share = proportion_interval(
        np.array([bool(found[case.case_id]) for case in seen]),
        np.ones(len(seen)),
        Patients.of([case.patient_id for case in seen]),
        0.95,
        "no film",
    )
    places = ", ".join(f"{zone} {n}" for zone, n in zones.most_common(4))
    header = f" By the headers, text is burned into {counted_as(tagged, 'film')}." if tagged else ""
    return Concern(
        key="marks-in-pixels",
        subject="shortcut",
        severity="note",
        statement=f"Letters or marks were found in {len(marked)} of {len(seen)} films ({places or 'by header alone'}).{header}",
        meaning="They may name a person, in the pictures of this page too, and a network may read them.",
        certainty="Found by shape: some are none, and some are missed, above all faint ones and those away from the border.",
        advice="Look at the pictures; before images are given away, mask text with `overread deidentify`.",
        evidence={"share": share.as_dict(), "zones": dict(zones), "by_header": tagged},
        cases=[[case.case_id] for case in marked[:20]],
    )


def _too_small(films: int) -> Concern:
    return Concern(
        key="marks-too-small",
        subject="shortcut",
        severity="note",
        statement=f"Marks were not looked for in {counted_as(films, 'film')} of under {SMALLEST_SIDE} pixels, where no letter "
        "can be told.",
        meaning="A marker may still be there as a blot, and a network may still see it.",
        certainty="Certain.",
        advice="Look for marks in the films that these were made from; the probe of borders and corners looked at these.",
        evidence={"films": films},
    )


def _too_few(targets: Sequence[str]) -> Concern:
    return Concern(
        key="marks-too-few",
        subject="shortcut",
        severity="note",
        statement=f"Whether marks go with {several(targets)} cannot be said: too few patients.",
        meaning="Silence is then no sign that they do not.",
        certainty=f"Certain; {FEWEST_PATIENTS} patients in each of two groups are the least.",
        advice="Look at the pictures of marks.",
        evidence={"targets": list(targets)},
    )
