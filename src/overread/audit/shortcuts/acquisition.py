"""How cases were acquired, against the label and against the partition.

Every column of the headers and of the sheet is compared between groups by its standardised difference. Rule for an
alarm: the difference is at least `LEAST_DIFFERENCE`, the limit of Austin (2009), and so surprising a one, in any
column, is seen in less than the stated share of clean cohorts when patients change places (`overread.audit.shortcuts.chance`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from overread.audit.audited import Audited, AuditedCase, called
from overread.audit.concern import Concern, several
from overread.audit.shortcuts.chance import ALARMS, FEWEST_PATIENTS, chosen, exchanged, family_wise, permutations_for
from overread.audit.shortcuts.columns import Column, acquired, columns_of
from overread.audit.shortcuts.differences import by_chance, difference, surprise
from overread.audit.shortcuts.targets import HALVES, Target, severity, targets_of
from overread.cohort.progress import Progress, counted
from overread.evaluation.intervals.patients import Patients

LEAST_DIFFERENCE = 0.1
MAY_GO_WITH_DISEASE = frozenset({"age", "sex", "patient_age", "patient_sex", "age is missing", "patient_age is missing"})
Row = dict[str, Any]
METHOD = (
    "standardised difference: Cohen's d for numbers, Yang and Dalton's for names; p by permuting patients, over all columns of "
    "a comparison; 'by chance' is what 95 of 100 random divisions of so many patients stay below, in one column"
)


@dataclass(frozen=True)
class Comparison:
    """Two groups of cases.

    against  "label" or "partition"
    inside   (N,) bool over `cases`
    """

    against: str
    group: str
    other: str
    cases: Sequence[AuditedCase]
    inside: np.ndarray


def look_for_differences(
    audited: Audited, targets: Sequence[Target] | None = None, *, seed: int = 0, progress: Progress | None = None
) -> tuple[list[Concern], dict[str, Any]]:
    """Compare acquisition between labels of open cases, and between partitions.

    targets  as `overread.audit.shortcuts.targets.targets_of` finds them, where that was done before
    returns  concerns, and the table: {"rows": one per comparison and column, "method", "level", "least_difference"}
    """
    wanted = targets_of(audited, progress) if targets is None else targets
    comparisons = [*_labels(audited, wanted), *_partitions(audited)]
    level = ALARMS["acquisition"] / max(1, len(comparisons))
    rows: list[Row] = []
    for place, pair in enumerate(counted(comparisons, len(comparisons), "Comparing acquisition", progress)):
        rows += _compare(pair, level, np.random.default_rng([seed, place]))
    table = {"rows": rows, "method": METHOD, "level": ALARMS["acquisition"], "least_difference": LEAST_DIFFERENCE}
    return _concerns(rows, severity(audited)), table


def _labels(audited: Audited, targets: Sequence[Target]) -> Iterator[Comparison]:
    """The second of two levels against the first; of more, each against all others."""
    for target in targets:
        if target.kind == "label":
            cases = target.known(audited.cases)
            codes = target.of(cases)
            if len(target.levels) == 2:
                group, other = (target.name, "below it") if target.levels == HALVES else target.levels[::-1]
                yield Comparison("label", group, other, cases, codes == 1)
            else:
                for k, level in enumerate(target.levels):
                    yield Comparison("label", level, "all others", cases, codes == k)


def _partitions(audited: Audited) -> Iterator[Comparison]:
    """Each against training; folds each against the others."""
    names = audited.partitions
    if len(names) < 2:
        return
    for name in names:
        if "training" not in names:
            cases = [c for c in audited.cases if c.partition]
            yield Comparison("partition", name, "all others", cases, np.array([c.partition == name for c in cases]))
        elif name != "training":
            cases = [c for c in audited.cases if c.partition in (name, "training")]
            yield Comparison("partition", name, "training", cases, np.array([c.partition == name for c in cases]))


def _compare(pair: Comparison, level: float, random: np.random.Generator) -> list[Row]:
    patients = Patients.of([case.patient_id for case in pair.cases])
    sides = [len(np.unique(patients.number[side])) for side in (pair.inside, ~pair.inside)] if len(pair.cases) else [0, 0]
    about = {"against": pair.against, "group": pair.group, "other": pair.other, "patients": sides}
    if min(sides) < FEWEST_PATIENTS:
        why = f"too few to say: {sides[0]} and {sides[1]} patients; {FEWEST_PATIENTS} on each side are the least"
        return [{**about, "column": "", "beyond_chance": False, "reason": why}]
    columns = columns_of([acquired(case) for case in pair.cases])
    if not columns:
        return [
            {**about, "column": "", "beyond_chance": False, "reason": "headers and sheet say nothing that differs between cases"}
        ]
    p = _chances(columns, pair.inside, patients, level, random)
    return [{**about, **_row(column, pair.inside, sides, float(value), level)} for column, value in zip(columns, p, strict=True)]


def _chances(
    columns: Sequence[Column], inside: np.ndarray, patients: Patients, level: float, random: np.random.Generator
) -> np.ndarray:
    """(T,) family-wise p value of each column, from some of the patients where there are very many."""
    some = chosen(patients, random)
    used = patients.select(some)
    groups = np.vstack([inside[some], inside[some][exchanged(used, permutations_for(level), random)]])
    parts = [Column(c.name, None if c.numbers is None else c.numbers[some], c.codes[some], c.levels) for c in columns]
    values = np.stack([surprise(part, groups) for part in parts], axis=1)
    return family_wise(values[0], values[1:])


def _row(column: Column, inside: np.ndarray, sides: Sequence[int], p: float, level: float) -> Row:
    size = difference(column, inside)
    apart = size is None or abs(size) >= LEAST_DIFFERENCE
    return {
        "column": column.name,
        "in_group": _summary(column, inside),
        "in_other": _summary(column, ~inside),
        "difference": size,
        "by_chance": by_chance(column, sides[0], sides[1]),
        "p": p,
        "beyond_chance": bool(p <= level and apart),
        "reason": "" if size is not None else "no size: no spread within the groups, nothing known in one, or no level in common",
    }


def _summary(column: Column, side: np.ndarray) -> Row:
    if column.numbers is None:
        counts = np.bincount(column.codes[side], minlength=len(column.levels))
        return {"cases": int(side.sum()), "counts": dict(zip(column.levels, counts.tolist(), strict=True))}
    known = column.numbers[side & np.isfinite(column.numbers)]
    mean = float(known.mean()) if len(known) else None
    return {"cases": len(known), "mean": mean, "sd": float(known.std(ddof=1)) if len(known) > 1 else None}


def _concerns(rows: Sequence[Row], severe: str) -> list[Concern]:
    found = []
    beyond = [row for row in rows if row["beyond_chance"]]
    if of_label := [row for row in beyond if row["against"] == "label"]:
        found.append(_of_label(of_label, severe))
    if of_partition := [row for row in beyond if row["against"] == "partition"]:
        found.append(_of_partition(of_partition))
    few = [row for row in rows if row["reason"].startswith("too few")]
    return [*found, _too_few(few)] if few else found


def _told(rows: Sequence[Row]) -> str:
    def one(row: Row) -> str:
        size = "no overlap" if row["difference"] is None else f"{row['difference']:.2f}"
        return f"{row['column']} ({_sides(row)}: {size}, by chance up to {row['by_chance']:.2f})"

    ordered = sorted(rows, key=lambda row: -abs(row["difference"]) if row["difference"] is not None else -np.inf)
    return several([one(row) for row in ordered], 6, "; ")


def _sides(row: Row) -> str:
    group, other = row["group"], row["other"]
    return f"{group} against {other}" if row["against"] == "label" else f"{called(group)} against {called(other)}"


def _of_label(rows: Sequence[Row], severe: str) -> Concern:
    expected = {row["column"].lower() for row in rows} <= MAY_GO_WITH_DISEASE
    return Concern(
        key="acquisition-follows-label",
        subject="acquisition",
        severity="note" if expected else severe,
        statement=f"How cases were acquired, or who they are, goes with the label (standardised differences): {_told(rows)}.",
        meaning="A network may learn the machine or the kind of patient in place of the disease, where images show it.",
        certainty=f"Chance alone shows this in at most {max(row['p'] for row in rows):.2g} of cohorts (over all columns of a "
        "comparison). Age and sex may truly go with disease, and sicker patients may be examined otherwise.",
        advice="Match or balance these between groups, report scores within them, and look at what the probes say of the images.",
        evidence={"rows": list(rows)},
    )


def _of_partition(rows: Sequence[Row]) -> Concern:
    return Concern(
        key="acquisition-differs-between-partitions",
        subject="acquisition",
        severity="warning",
        statement=f"Partitions were acquired differently, or hold other patients (standardised differences): {_told(rows)}.",
        meaning="A score on one partition then speaks of other machines or patients than another: it mixes how well the model "
        "learned with how well it travels.",
        certainty=f"A random division shows this in at most {max(row['p'] for row in rows):.2g} of cohorts (over all columns of "
        "a comparison). It is intended where a partition is another site or a later time.",
        advice="Say in the paper if it is intended; otherwise draw the split again, by patient and stratified.",
        evidence={"rows": list(rows)},
        partitions=sorted({name for row in rows for name in (row["group"], row["other"]) if name != "all others"}),
    )


def _too_few(rows: Sequence[Row]) -> Concern:
    told = several([f"{_sides(row)} ({row['reason']})" for row in rows], 6, "; ")
    return Concern(
        key="acquisition-too-few",
        subject="acquisition",
        severity="note",
        statement=f"Acquisition could not be compared for {told}.",
        meaning="Silence about these groups is no sign that they are alike.",
        certainty="Certain.",
        advice="Read the table with this in mind, or gather more patients.",
        evidence={"comparisons": [[row["group"], row["other"], *row["patients"]] for row in rows]},
    )
