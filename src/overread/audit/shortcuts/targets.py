"""What a shortcut could tell: the label, in groups of cases; the site; the scanner. Sealed truths are never looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from overread.audit.audited import Audited, AuditedCase
from overread.audit.shortcuts.chance import FEWEST_PATIENTS
from overread.cohort.progress import Progress, work_through
from overread.core.errors import OverreadError
from overread.core.kinds import Kind, LabelMap

OTHER = "other"
HALVES = ("lower", "higher")  # of a number, divided at its median


@dataclass(frozen=True)
class Target:
    """Groups of cases.

    kind    "label", "site" or "scanner"
    levels  names of the groups; of two, the second is the one that is told (disease, present, large)
    codes   case_id -> number of its level; cases that are not known are not in it
    """

    name: str
    kind: str
    levels: tuple[str, ...]
    codes: Mapping[str, int]

    def known(self, cases: Sequence[AuditedCase]) -> list[AuditedCase]:
        return [case for case in cases if case.case_id in self.codes]

    def of(self, cases: Sequence[AuditedCase]) -> np.ndarray:
        """(N,) codes."""
        return np.array([self.codes[case.case_id] for case in cases], dtype=int)

    def too_few(self) -> str:
        """Why this cannot be looked at, "" where it can."""
        return "" if len(self.levels) > 1 else "all cases are of one kind"


def targets_of(audited: Audited, progress: Progress | None = None) -> list[Target]:
    """The label (one target per finding, quantity or structure), then site and scanner, where they are known.

    Regression: the number, above or below its median. Segmentation: a structure present or absent where both are
    found in `FEWEST_PATIENTS` patients or more, else its volume, above or below the median of those that have it. Objects: any
    of the class, or none.
    """
    labels = _labels(audited, progress)
    site = _named("site", audited, {c.case_id: _site(c) for c in audited.cases})
    scanner = _named("scanner", audited, {c.case_id: _scanner(c) for c in audited.cases})
    return [*labels, *(t for t in (site, scanner) if t is not None)]


def severity(audited: Audited) -> str:
    """Of what goes with the label: of what is drawn its presence or size alone is told, and it still must be drawn."""
    return "note" if audited.is_drawn else "warning"


def _labels(audited: Audited, progress: Progress | None) -> list[Target]:
    question = audited.question
    if question is None:
        return []
    if question.task == "segmentation":
        return _structures(audited, progress)
    values = {c.case_id: c.truth for c in audited.open_cases if c.truth is not None}
    if question.task == "regression":
        return [t for name in question.classes if (t := _halves(name, _numbers(values, name), audited)) is not None]
    if question.exclusive and len(question.classes) > 1 and not question.is_of_objects:
        order = question.classes
        if question.is_binary and question.positive == order[0]:
            order = (order[1], order[0])
        codes = {c: k for c, truth in values.items() for k, name in enumerate(order) if truth.get(name) == 1}
        return [Target("label" if len(order) > 2 else order[1], "label", order, codes)]
    return [_present(name, {c: v > 0 for c, v in _numbers(values, name).items()}) for name in question.classes]


def _numbers(values: Mapping[str, Mapping[str, float | None]], name: str) -> dict[str, float]:
    return {case: float(v) for case, truth in values.items() if (v := truth.get(name)) is not None}


def _present(name: str, present: Mapping[str, bool]) -> Target:
    return Target(name, "label", (f"without {name}", name), {case: int(p) for case, p in present.items()})


def _halves(name: str, numbers: Mapping[str, float], audited: Audited) -> Target | None:
    if not numbers:
        return None
    median = float(np.median(list(numbers.values())))
    codes = {case: int(v > median) for case, v in numbers.items()}
    return Target(f"{name} above its median", "label", HALVES, codes)


def _structures(audited: Audited, progress: Progress | None) -> list[Target]:
    """From the masks of cases that are not sealed; a mask that cannot be opened is another part's concern."""
    question, open_truth = audited.question, audited.open_truth
    if question is None or open_truth is None:
        return []
    cases = audited.open_cases
    patient = {case.case_id: case.patient_id for case in cases}
    measured = work_through(partial(_volumes, open_truth), list(patient), "Measuring the masks", progress)
    volumes: dict[str, dict[str, float]] = {name: {} for name in question.classes}
    for case_id, sizes in zip(patient, measured, strict=True):
        for name in volumes.keys() & sizes.keys():
            volumes[name][case_id] = sizes[name]
    found = (_structure(name, volume, patient, audited) for name, volume in volumes.items())
    return [target for target in found if target is not None]


def _volumes(open_truth: Callable[[str], Kind], case_id: str) -> dict[str, float]:
    """Structure -> millilitres, or voxels where the spacing is not known; nothing where the mask does not open."""
    try:
        truth = open_truth(case_id)
    except OverreadError:
        return {}
    if not isinstance(truth, LabelMap):
        return {}
    unit = truth.grid.voxel_ml if truth.grid.spacing_known else 1.0
    return {name: float(truth.mask(name).sum()) * unit for name in truth.names}


def _structure(name: str, volume: Mapping[str, float], patient: Mapping[str, str], audited: Audited) -> Target | None:
    absent = {patient[case] for case, v in volume.items() if v == 0}
    present = {patient[case] for case, v in volume.items() if v > 0}
    if min(len(absent), len(present)) >= FEWEST_PATIENTS:
        return _present(name, {case: v > 0 for case, v in volume.items()})
    return _halves(f"volume of {name}", {case: v for case, v in volume.items() if v > 0}, audited)


def _named(kind: str, audited: Audited, names: Mapping[str, str]) -> Target | None:
    """Levels with few patients are taken together; none where nothing is known or all is one."""
    members: dict[str, set[str]] = {}
    for case in audited.cases:
        if names[case.case_id]:
            members.setdefault(names[case.case_id], set()).add(case.patient_id)
    common = sorted(name for name, patients in members.items() if len(patients) >= FEWEST_PATIENTS)
    rest = set().union(*(p for name, p in members.items() if name not in common))
    levels = (*common, OTHER) if len(rest) >= FEWEST_PATIENTS else tuple(common)
    if len(levels) < 2:
        return None
    place = {level: k for k, level in enumerate(levels)}
    codes = {case: place.get(name, place.get(OTHER, -1)) for case, name in names.items() if name}
    return Target(kind, kind, levels, {case: code for case, code in codes.items() if code >= 0})


def _site(case: AuditedCase) -> str:
    return str(case.site or case.covariates.get("site") or case.acquisition.get("site") or "")


def _scanner(case: AuditedCase) -> str:
    machine = " ".join(str(case.acquisition[k]) for k in ("vendor", "model") if case.acquisition.get(k))
    return str(case.scanner or case.covariates.get("scanner") or machine)
