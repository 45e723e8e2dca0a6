"""Does the site, or the scanner, go with the label? Only then does it matter that an image shows where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from overread.audit.audited import Audited
from overread.audit.concern import Concern
from overread.audit.shortcuts.chance import (
    ALARMS,
    FEWEST_PATIENTS,
    cramers_v,
    drawn,
    exchanged,
    patients_per_level,
    permutations_for,
)
from overread.audit.shortcuts.probed import Probed
from overread.audit.shortcuts.targets import Target, severity
from overread.evaluation.intervals.patients import Patients

LEAST_V = 0.2  # weaker associations are left to the table of acquisition
ONE_AND_THE_SAME = 0.99
FROM_PIXELS = ("edges", "background", "intensities", "geometry")


def site_concerns(
    audited: Audited, targets: Sequence[Target], probed: Sequence[Probed], random: np.random.Generator
) -> list[Concern]:
    """One concern for the site and one for the scanner, with all labels that go with it."""
    labels = [t for t in targets if t.kind == "label"]
    places = _different(audited, [t for t in targets if t.kind in ("site", "scanner")])
    level = ALARMS["site"] / max(len(labels) * len(places), 1)
    found = []
    for place in places:
        rows = [row for label in labels if (row := _association(audited, label, place, level, random)) is not None]
        rows = [row for row in rows if row["p"] <= level and row["cramers_v"] >= LEAST_V]
        if rows:
            carried = [p for p in probed if p.kind == place.kind and p.probe in FROM_PIXELS]
            found.append(_concern(place, rows, carried, severity(audited)))
    return found


def _different(audited: Audited, places: Sequence[Target]) -> list[Target]:
    """The scanner is left out where it is the site by another name."""
    if len(places) < 2:
        return list(places)
    cases = [c for c in places[0].known(audited.cases) if c.case_id in places[1].codes]
    same = bool(cases) and float(cramers_v(places[0].of(cases), places[1].of(cases))) > ONE_AND_THE_SAME
    return list(places[:1] if same else places)


def _association(
    audited: Audited, label: Target, place: Target, level: float, random: np.random.Generator
) -> dict[str, Any] | None:
    """Cramer's V with p by permuting patients, and the share of each level; None where there are too few to say."""
    cases = drawn([c for c in label.known(audited.cases) if c.case_id in place.codes], random)
    if not cases:
        return None
    patients = Patients.of([case.patient_id for case in cases])
    one, other = label.of(cases), place.of(cases)
    for codes, levels in ((one, label.levels), (other, place.levels)):
        if sum(n >= FEWEST_PATIENTS for n in patients_per_level(codes, patients, len(levels))) < 2:
            return None
    value = float(cramers_v(other, one))
    chance = cramers_v(other, one[exchanged(patients, permutations_for(level), random)])
    shares = {
        name: {level_name: int((one[other == k] == j).sum()) for j, level_name in enumerate(label.levels)}
        for k, name in enumerate(place.levels)
    }
    return {
        "target": label.name,
        "cramers_v": round(value, 4),
        "p": float((1 + (chance >= value - 1e-9).sum()) / (len(chance) + 1)),
        "cases": shares,
        "n_cases": patients.cases,
        "n_patients": patients.count,
    }


def _concern(place: Target, rows: Sequence[dict[str, Any]], probed: Sequence[Probed], severe: str) -> Concern:
    tells = max((p for p in probed if p.tells), key=lambda p: (p.interval and p.interval.estimate) or 0.0, default=None)
    looked = any(p.interval is not None for p in probed)
    told = "; ".join(
        f"{row['target']} (Cramer's V {row['cramers_v']:.2f}, {row['n_cases']} cases, {row['n_patients']} patients)"
        for row in rows
    )
    carried = (
        f" The images show their {place.kind} ({tells.probe} alone: AUC {tells.interval})."
        if tells is not None
        else f" Borders, background, intensities and geometry did not show the {place.kind}."
        if looked
        else ""
    )
    return Concern(
        key=f"{place.kind}-follows-label",
        subject="shortcut",
        severity="note" if looked and tells is None else severe,
        statement=f"The {place.kind} goes with the label: {told}.{carried}",
        meaning=f"A network that recognises the {place.kind} has half the answer. Its score would not hold at another, "
        "nor where the same disease comes from all of them.",
        certainty=f"The association is hardly chance (p {max(row['p'] for row in rows):.2g}; Cramer's V is 0 without it, 1 "
        "where one tells the other). It may be true, where one place treats the sicker patients; the danger is the same.",
        advice=f"Report scores within each {place.kind}; gather both kinds of cases from each; or leave one out for testing.",
        evidence={"rows": list(rows), "probe": None if tells is None else tells.as_dict()},
    )
