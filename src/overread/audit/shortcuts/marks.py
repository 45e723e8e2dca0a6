"""Burned-in text and marks of side in films: where they are, how often, and whether they go with the label.

Rule for an alarm: the share of films with a mark (anywhere, in one ninth of the film, a word of three letters, or the
header's word that text is burned in) differs by `LEAST_GAP` or more between groups, and so strongly, in any of these,
in less than the stated share of clean cohorts when patients change places (`overread.audit.shortcuts.chance`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from overread.audit.audited import Audited, AuditedCase
from overread.audit.concern import Concern
from overread.audit.shortcuts.chance import (
    ALARMS,
    FEWEST_PATIENTS,
    drawn,
    exchanged,
    family_wise,
    patients_per_level,
    permutations_for,
)
from overread.audit.shortcuts.mark_concerns import Found, Row, mark_concerns
from overread.audit.shortcuts.mark_finder import ZONES, find_marks
from overread.audit.shortcuts.targets import Target, severity, targets_of
from overread.audit.sketch import Sketch
from overread.cohort.progress import Progress, work_through
from overread.core.errors import OverreadError
from overread.core.image import Image
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.intervals.wilson import proportion_interval

LEAST_GAP = 0.1
WORD = 3  # letters
SIGNS = ("any mark", f"word of {WORD} letters or more", *ZONES, "header: text is burned in")
METHOD = "small bright sharp components near the border; p by permuting patients, over all signs of a target"


def look_for_marks(
    audited: Audited,
    sketches: Mapping[str, Sketch],
    targets: Sequence[Target] | None = None,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[list[Concern], dict[str, Any]]:
    """Find marks in all films (some of them, by patient, where there are very many), and compare groups of open cases.

    sketches  tell which images are films; volumes are left out
    returns   concerns, and the table: {"rows": one per target and sign, "films", "with_marks", "marks", ...}; `marks` is
              case_id -> the marks of a film, for pictures
    """
    wanted = [t for t in (targets_of(audited, progress) if targets is None else targets) if t.kind == "label"]
    films = [case for case in audited.cases if case.case_id in sketches and sketches[case.case_id].is_planar]
    films = drawn(films, np.random.default_rng([seed, 0]))
    found = _found(audited.open_image, films, progress)
    seen = [case for case in films if found.get(case.case_id) is not None]
    level = ALARMS["marks"] / max(1, len(wanted))
    rows: list[Row] = []
    for place, target in enumerate(wanted, 1):
        rows += _compare(target, seen, found, level, np.random.default_rng([seed, place]))
    marked = [case for case in seen if found[case.case_id]]
    too_small = sum(marks is None for marks in found.values())
    table = {
        "rows": rows,
        "films": len(seen),
        "too_small": too_small,
        "with_marks": len(marked),
        "marks": {case.case_id: [mark.__dict__ for mark in found[case.case_id] or ()] for case in marked},
        "method": METHOD,
        "level": ALARMS["marks"],
        "least_gap": LEAST_GAP,
    }
    return mark_concerns(seen, found, rows, too_small, severity(audited)), table


def _found(open_image: Callable[[str], Image], films: Sequence[AuditedCase], progress: Progress | None) -> Found:
    """case_id -> marks, None where the film is too small; films that do not open are left out."""
    names = [case.case_id for case in films]
    found: Found = {}
    for part in work_through(partial(_marks_of, open_image), names, "Looking for letters and marks", progress):
        found |= part
    return found


def _marks_of(open_image: Callable[[str], Image], name: str) -> Found:
    try:
        image = open_image(name)
    except OverreadError:
        return {}
    return {name: find_marks(image.array[:, 0].mean(axis=0, dtype=np.float32))} if image.array.shape[1] == 1 else {}


def _signs(cases: Sequence[AuditedCase], found: Found) -> np.ndarray:
    """(N, S) 0 or 1: which of `SIGNS` each film has."""
    signs = np.zeros((len(cases), len(SIGNS)))
    for row, case in zip(signs, cases, strict=True):
        marks = found[case.case_id] or []
        row[0] = bool(marks)
        row[1] = any(mark.letters >= WORD for mark in marks)
        for mark in marks:
            row[2 + ZONES.index(mark.zone)] = 1
        row[-1] = str(case.acquisition.get("burned_in", "")).upper() == "YES"
    return signs


def _compare(target: Target, seen: Sequence[AuditedCase], found: Found, level: float, random: np.random.Generator) -> list[Row]:
    cases = target.known(seen)
    if not cases:
        return []
    codes, patients = target.of(cases), Patients.of([case.patient_id for case in cases])
    counts = patients_per_level(codes, patients, len(target.levels))
    if sum(n >= FEWEST_PATIENTS for n in counts) < 2:
        why = f"too few to say: {FEWEST_PATIENTS} patients in each of two groups are the least"
        return [{"target": target.name, "sign": "", "follows": False, "reason": why}]
    signs = _signs(cases, found)
    values = _between(signs, np.vstack([codes[None], codes[exchanged(patients, permutations_for(level), random)]]))
    p = family_wise(values[0], values[1:])
    rows = []
    for k, name in enumerate(SIGNS):
        if signs[:, k].any():
            rates = {lev: _rate(signs[:, k], codes == j, patients) for j, lev in enumerate(target.levels) if counts[j]}
            known = [r["estimate"] for lev, r in rates.items() if counts[target.levels.index(lev)] >= FEWEST_PATIENTS]
            follows = bool(p[k] <= level and max(known) - min(known) >= LEAST_GAP)
            rows.append(
                {"target": target.name, "sign": name, "shares": rates, "p": float(p[k]), "follows": follows, "reason": ""}
            )
    return rows


def _between(signs: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """(B, S) Pearson's chi-square of each sign against each row of codes (B, N)."""
    share = signs.mean(0)
    total = np.zeros((len(codes), signs.shape[1]))
    for level in range(int(codes.max()) + 1):
        inside = (codes == level).astype(np.float64)
        size = inside.sum(1, keepdims=True)
        gap = inside @ signs - size * share
        total += np.divide(gap**2, size, out=np.zeros_like(gap), where=size > 0)
    spread = share * (1 - share)
    return np.divide(total, spread, out=np.zeros_like(total), where=spread > 0)


def _rate(sign: np.ndarray, of: np.ndarray, patients: Patients) -> Row:
    return proportion_interval(sign, of.astype(float), patients, 0.95, "no film of this group").as_dict()
