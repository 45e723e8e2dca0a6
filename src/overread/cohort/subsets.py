"""Fewer patients of the same kind, and open cases in parts: drawn by patient, alike in every class.

A patient's cases, and patients who share an identical image, stay together.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from overread.cohort.index import Cohort, read_index
from overread.cohort.load import load_truth, open_case_objects
from overread.cohort.partition import strata_of
from overread.cohort.progress import Progress, counted
from overread.cohort.split import folds_by_group, linked_groups
from overread.core.case import Case, TruthReference
from overread.core.errors import OverreadError
from overread.core.kinds import LabelMap

FEWEST_PATIENTS = 2  # of a share: nothing can be learned of differences between patients from one


@dataclass(frozen=True)
class Drawable:
    """Open cases as the drawing sees them; one entry per case.

    groups  patients, joined where they share an identical image
    strata  what is spread evenly: class, finding, structure, bin of a number
    needed  strata without which nothing can be learned: every class, finding or structure that any of the cases shows
    by      name of what is spread evenly
    """

    case_ids: tuple[str, ...]
    patient_ids: tuple[str, ...]
    groups: tuple[str, ...]
    strata: tuple[tuple[Hashable, ...], ...]
    needed: frozenset[Hashable]
    by: str

    def count(self, which: Sequence[int]) -> int:
        """Patients among these cases, given by position."""
        return len({self.patient_ids[k] for k in which})

    def lacking(self, which: Sequence[int]) -> list[str]:
        """Needed strata that these cases do not show."""
        return sorted(str(s) for s in self.needed - {s for k in which for s in self.strata[k]})

    def ids(self, which: Sequence[int]) -> frozenset[str]:
        return frozenset(self.case_ids[k] for k in which)


def acquired_only(cohort: Cohort) -> Cohort:
    """The cohort without the images that a network made or changed: what is drawn and counted are patients."""
    cases = tuple(case for case in cohort.cases if not case.is_made)
    return replace(cohort, cases=cases, partition={case.case_id: cohort.partition[case.case_id] for case in cases})


def drawable(cohort: Cohort, cases: Sequence[Case], stratify_by: str | None = None, progress: Progress | None = None) -> Drawable:
    """What has to be known of open cases before they are drawn from. Masks are opened once, to see what they show.

    stratify_by  a column of the cohort whose levels are spread evenly too
    """
    question = cohort.question
    truths = [case.truth or TruthReference() for case in cases]
    voxels: list[Mapping[int, int]] = [{} for _ in cases]
    if question.task == "segmentation" or question.is_of_objects or question.guides:
        voxels = [_shown(cohort, case) for case in counted(cases, len(cases), "Looking at what the masks show", progress)]
    strata, by = strata_of(question, truths, voxels)
    needed = {s for case in strata for s in case} if question.task != "regression" else set()
    if stratify_by is not None:
        levels = [_level(case, stratify_by) for case in cases]
        if any(level is not None for level in levels):
            strata = [[*s, ("column", level)] for s, level in zip(strata, levels, strict=True)]
            by += f" and {stratify_by}"
    digests = {row.case.case_id: row.digest for row in read_index(cohort.folder)}
    patients = [case.patient_id for case in cases]
    groups = linked_groups(patients, [digests[case.case_id] for case in cases])
    ids = tuple(case.case_id for case in cases)
    return Drawable(ids, tuple(patients), tuple(groups), tuple(tuple(s) for s in strata), frozenset(needed), by)


def _shown(cohort: Cohort, case: Case) -> dict[int, int]:
    if cohort.question.is_of_objects:
        return open_case_objects(cohort, case).counts()
    truth = load_truth(cohort, case)
    assert isinstance(truth, LabelMap)
    return {int(v): 1 for v in np.unique(truth.layers) if v > 0}


def _level(case: Case, column: str) -> str | None:
    value = {"site": case.site or None, "scanner": case.scanner or None, **case.covariates}.get(column)
    return None if value is None else str(value)


def nested_subsets(drawn: Drawable, shares: Sequence[float], seed: int) -> dict[float, tuple[int, ...]]:
    """Positions of the cases of each share of the patients; a smaller share lies within every larger one.

    All shares are beginnings of one order of the patients, so a share holds the same ones whatever others are asked for. In
    that order patients with the same strata stand at even distances, from a start that is drawn (systematic sampling), so
    every beginning is alike.

    shares  0 to 1, of the patients (of groups of them, where patients share an image)
    """
    order = _order(drawn, seed)
    found = {}
    for share in shares:
        inside = set(order[: round(share * len(order))])
        found[share] = tuple(k for k, group in enumerate(drawn.groups) if group in inside)
    return found


def _order(drawn: Drawable, seed: int) -> list[str]:
    kinds: dict[str, set[Hashable]] = {group: set() for group in drawn.groups}
    for group, strata in zip(drawn.groups, drawn.strata, strict=True):
        kinds[group] |= set(strata)
    alike: dict[str, list[str]] = {}
    for group in sorted(kinds):
        alike.setdefault(repr(sorted(map(str, kinds[group]))), []).append(group)
    random = np.random.default_rng(seed)
    at: dict[str, float] = {}
    for kind in sorted(alike):
        start, members = random.random(), random.permutation(alike[kind])
        at |= {str(group): (k + start) / len(members) for k, group in enumerate(members)}
    return sorted(at, key=lambda group: (at[group], group))


def percent(share: float) -> str:
    return f"{100 * share:g} %"


def fault_of(drawn: Drawable, subsets: Mapping[float, Sequence[int]]) -> tuple[float, str] | None:
    """(the smallest share that cannot be used, why), or None."""
    ordered = sorted(subsets)
    for place, share in enumerate(ordered):
        patients = drawn.count(subsets[share])
        told = percent(share)
        if patients < FEWEST_PATIENTS:
            return share, f"{told} of the training patients are {patients}; {FEWEST_PATIENTS} are the least"
        if lacking := drawn.lacking(subsets[share]):
            return share, f"{told} of the training patients ({patients}) show no '{lacking[0]}'"
        larger = ordered[place + 1] if place + 1 < len(ordered) else None
        if larger is not None and drawn.count(subsets[larger]) == patients:
            return share, f"{told} and {percent(larger)} of the training patients are the same {patients} patients"
    return None


def usable_subsets(drawn: Drawable, shares: Sequence[float], seeds: Sequence[int]) -> dict[int, dict[float, tuple[int, ...]]]:
    """Nested subsets for each seed; where a share cannot be used, the smallest that can be is named."""
    found = {seed: nested_subsets(drawn, shares, seed) for seed in seeds}
    fault = next((fault for subsets in found.values() if (fault := fault_of(drawn, subsets)) is not None), None)
    if fault is None:
        return found
    share, why = fault
    least = _least(drawn, shares, share, seeds)
    if least is None:
        step = "leave out the smaller shares, or add patients with `overread update`"
    else:
        others = ",".join(f"{100 * s:g}" for s in sorted(shares) if 100 * s > least)
        step = f"begin at {least} %, the smallest share that works with the others: --shares {least},{others}"
    raise OverreadError(f"The learning curve cannot begin at {percent(share)}: {why}.", step)


def _least(drawn: Drawable, shares: Sequence[float], failed: float, seeds: Sequence[int]) -> int | None:
    """The smallest whole share in percent, beyond one that failed, with which every drawing works."""
    for whole in range(int(100 * failed) + 1, 100):
        asked = [whole / 100, *(s for s in shares if s > whole / 100 + 1e-9)]
        if all(fault_of(drawn, nested_subsets(drawn, asked, seed)) is None for seed in seeds):
            return whole
    return None


def inner_parts(drawn: Drawable, inner: int, seed: int) -> list[int]:
    """The inner part of each case, by patient and alike in every class; refused where a part would lack a class."""
    if inner < 2:
        raise OverreadError("One inner part cannot be held out and learned from.", "give --inner 2 or more")
    parts = folds_by_group(drawn.groups, drawn.strata, inner, seed)
    for part in range(inner):
        lacking = drawn.lacking([k for k, own in enumerate(parts) if own == part])
        if lacking:
            raise OverreadError(
                f"Of {inner} inner parts, number {part + 1} would show no '{lacking[0]}': too few patients have it.",
                f"take fewer parts with --inner {inner - 1}, or add patients" if inner > 2 else "add patients with that label",
            )
    return parts
