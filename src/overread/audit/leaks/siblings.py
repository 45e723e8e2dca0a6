"""Do cases come from one person although nothing names the person? The step between stored grey levels can tell.

A scanner counts in integers. Software that scales a scan to other numbers and stores them as decimals leaves a ladder of
grey levels, and its step is the factor of that one scan (`overread.audit.sketch.value_step`). Two files cut from one scan,
say the left and the right hippocampus, share it to a few parts in a million; two scans do so only by chance.

Seen on the Decathlon's hippocampus volumes (194 files, patients inferred from the numbers of the files): of 152 files with
decimals all 52 pairs of one person share the step to 4 in a million, and the next pair differs by 150 in a million; three
files (245, 299, 300) share one step exactly although only two of them are presumed to be one person. The other 42 files
hold whole numbers from 0 to 255, so their step is 1 and says nothing: the 14 pairs among them are not found. The
distribution of grey values does not help: of the 12 pairs that are nearest to each other by percentiles 3 are one person.
Pictures (PNG, JPEG) and CT in HU have plain steps, so nothing can be said of them either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from overread.audit.audited import Audited
from overread.audit.concern import Concern
from overread.audit.sketch import Sketch

SAME = 1e-5  # relative difference of two steps; float32 leaves some parts in a million
APART = (1e-4, 1e-3)  # differences that are chance, from which the number within `SAME` is forecast
MOST = 6  # a step that more cases share belongs to a scanner or to software, not to a person
FEWEST_STEPS = 10  # different steps, below which a shared one says little
PLAIN_DIGITS = 3  # 1, 0.5 or 0.125 are choices, not measurements


@dataclass(frozen=True)
class Siblings:
    """Cases that share the step of their grey levels.

    groups     of case_ids
    by_chance  number of pairs that would share a step if all were different scans
    n_told     cases with a step of their own, of which something can be said
    n_cases    cases that were looked at
    """

    groups: tuple[tuple[str, ...], ...]
    by_chance: float
    n_told: int
    n_cases: int


def find_siblings(sketches: Mapping[str, Sketch]) -> Siblings:
    """Groups of two to `MOST` cases with one step."""
    told = {name: step for name, one in sketches.items() if not is_plain(step := one.intensities.get("step", 0.0))}
    if len(told) < 2:
        return Siblings((), 0.0, len(told), len(sketches))
    names = sorted(told, key=lambda name: (told[name], name))
    logs = np.log([told[name] for name in names])
    runs = np.split(np.arange(len(names)), np.flatnonzero(np.diff(logs) > SAME) + 1)
    if len(runs) < FEWEST_STEPS:
        return Siblings((), 0.0, len(told), len(sketches))
    middles = np.array([logs[run].mean() for run in runs])  # one per step, so that a group does not count many times
    apart = np.abs(middles[:, None] - middles)[np.triu_indices(len(middles), 1)]
    in_window = int(((apart > APART[0]) & (apart <= APART[1])).sum())
    groups = tuple(sorted(tuple(sorted(names[k] for k in run)) for run in runs if 2 <= len(run) <= MOST))
    return Siblings(groups, in_window * SAME / (APART[1] - APART[0]), len(told), len(sketches))


def is_plain(step: float) -> bool:
    """A step that somebody chose: none, a round number, or one over a whole number."""
    if step <= 0:
        return True
    rounded = float(f"{step:.{PLAIN_DIGITS}g}")
    whole = round(1 / step)
    return abs(step - rounded) <= SAME * step or (whole > 0 and abs(1 / step - whole) <= SAME / 10 * whole)


def look_for_siblings(audited: Audited, sketches: Mapping[str, Sketch]) -> list[Concern]:
    """Concerns about cases that seem to come from one scan but are not known as one patient."""
    found = find_siblings(sketches)
    cases = {case.case_id: case for case in audited.cases}
    groups = [group for group in found.groups if len({cases[name].patient_id for name in group}) > 1]
    if not groups:
        return []
    across = [group for group in groups if len({cases[name].partition for name in group} - {""}) > 1]
    evidence = {
        "groups": len(groups),
        "cases": sum(map(len, groups)),
        "groups_in_two_partitions": len(across),
        "pairs_by_chance": round(found.by_chance, 3),
        "cases_with_a_step": found.n_told,
        "cases_looked_at": found.n_cases,
    }
    statement = (
        f"{'1 group' if len(groups) == 1 else f'{len(groups)} groups'} of cases ({evidence['cases']} cases), one scan each as it "
        f"seems, under different patients; {len(across)} in more than one partition."
    )
    certainty = (
        "Not proven. The cases of a group share the step between their stored grey levels to one part in 100,000; among "
        f"different scans about {found.by_chance:.1g} such pairs are to be expected. Software that scales every scan by one "
        f"factor would look the same. {found.n_cases - found.n_told} of {found.n_cases} cases have no step of their own, so "
        "siblings among them cannot be seen."
    )
    return [
        Concern(
            key="siblings-by-content",
            subject="leak",
            severity="warning",
            statement=statement,
            meaning="Two parts of one scan, such as both sides of a person, are alike: a model that learned from one is tested "
            "too kindly on the other, and intervals that take them as different persons are too narrow.",
            certainty=certainty,
            advice="Ask whoever made the files which come from one person, and give that column to init with --group-by.",
            evidence=evidence,
            cases=groups,
            partitions=[p for p in audited.partitions if any(cases[name].partition == p for group in across for name in group)],
        )
    ]
