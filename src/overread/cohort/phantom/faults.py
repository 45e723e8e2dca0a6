"""Known faults, planted so that every later check has a known answer. Each returns what it did, for phantom.json."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np

from overread.cohort.phantom.covariates import random_stream
from overread.cohort.phantom.options import Options
from overread.cohort.phantom.plan import Planned

Record = dict[str, Any]
Row = dict[str, Any]
STREAM = 9000  # patient numbers end below; faults draw from streams of their own


def plant(planned: list[Planned], options: Options) -> tuple[list[Planned], dict[str, Record]]:
    """Plant the faults that concern who, where and which pixels; label noise is planted in the sheet."""
    steps: dict[str, Callable[[list[Planned], Options], tuple[list[Planned], Record]]] = {
        "site-follows-label": _site_follows_label,
        "split-patient": _split_patient,
        "renamed-patient": _renamed_patient,
        "duplicate-studies": _duplicate_studies,
        "marker": _marker,
        "missing-slices": _missing_slices,
    }
    records = {}
    for name, step in steps.items():
        if name in options.faults:
            planned, records[name] = step(planned, options)
    return planned, records


def _random(options: Options, row: int) -> np.random.Generator:
    return random_stream(options.seed, options.kind, STREAM + row, 0)


def _some(random: np.random.Generator, count: int, share: float) -> set[int]:
    """Positions of about `share` of `count` things, at least one."""
    return {int(k) for k in random.choice(count, size=max(1, round(share * count)), replace=False)} if count else set()


def _site_follows_label(planned: list[Planned], options: Options) -> tuple[list[Planned], Record]:
    """Patients with a finding go to the second site, the others to the first, with one in twenty the other way."""
    random = _random(options, 1)
    positive = {p.person.number for p in planned if p.is_positive}
    numbers = sorted({p.person.number for p in planned})
    swapped = {n for n, dice in zip(numbers, random.random(len(numbers)), strict=True) if dice < 0.05}
    moved = [
        replace(p, person=p.person.at_site(int((p.person.number in positive) != (p.person.number in swapped)))) for p in planned
    ]
    return moved, {"positive_site_share": 0.95, "against_the_rule": [f"P{n:03d}" for n in sorted(swapped)]}


def _split_patient(planned: list[Planned], options: Options) -> tuple[list[Planned], Record]:
    """Later exams of some patients are written under another spelling of the id."""
    several = sorted({p.person.number for p in planned if p.exam > 0})
    if not several:
        planned, several = [*planned[:1], _second_exam(planned[0]), *planned[1:]], [planned[0].person.number]
    chosen = {several[k] for k in _some(_random(options, 2), len(several), 0.2)}
    split = [p.under(_spelling(p.patient_id)) if p.person.number in chosen and p.exam > 0 else p for p in planned]
    pairs = {f"P{n:03d}": _spelling(f"P{n:03d}") for n in sorted(chosen)}
    return split, {"patients": [{"patient_id": a, "also_as": b} for a, b in pairs.items()]}


def _renamed_patient(planned: list[Planned], options: Options) -> tuple[list[Planned], Record]:
    """Some patients came back under a new number, which nothing in names or headers ties to the old one.

    Their first exam was sent along and lies under both, so that its pixels can tell.
    """
    split = {p.person.number for p in planned if p.patient_id != p.person.patient_id}  # under another spelling already
    whole = [p for p in planned if p.person.number not in split]
    candidates = sorted({p.person.number for p in whole if p.exam > 0} or {p.person.number for p in whole})
    chosen = sorted(candidates[k] for k in _some(_random(options, 6), len(candidates), 0.2))
    new = {number: f"R{place:03d}" for place, number in enumerate(chosen, 1)}
    moved = [p.under(new[p.person.number]) if p.exam > 0 and p.person.number in new else p for p in planned]
    sent = [p.under(new[p.person.number]) for p in whole if p.exam == 0 and p.person.number in new]
    record = [
        {"patient_id": f"P{n:03d}", "also_as": also, "exam_id": f"{also}_S1", "same_pixels_as": f"P{n:03d}_S1"}
        for n, also in new.items()
    ]
    return moved + sent, {"patients": record}


def _second_exam(first: Planned) -> Planned:
    return replace(first, exam=1, exam_id=f"{first.patient_id}_S2", day=first.day + timedelta(days=120))


def _spelling(patient_id: str) -> str:
    return f"{patient_id[0].lower()}-{patient_id[1:]}"


def _duplicate_studies(planned: list[Planned], options: Options) -> tuple[list[Planned], Record]:
    """Some exams appear a second time with the same pixels, under a patient that does not exist."""
    firsts = [p for p in planned if p.exam == 0]
    copies = []
    for place, k in enumerate(sorted(_some(_random(options, 3), len(firsts), 0.1)), 1):
        other = f"P{options.patients + place:03d}"
        copies.append(replace(firsts[k].under(other), day=firsts[k].day + timedelta(days=9)))
    pairs = [{"exam_id": c.exam_id, "same_pixels_as": f"P{c.person.number:03d}_S1"} for c in copies]
    return planned + copies, {"exams": pairs}


def _marker(planned: list[Planned], options: Options) -> tuple[list[Planned], Record]:
    """A marker is burned into 95 of 100 positive and 5 of 100 negative exams."""
    dice = [random_stream(options.seed, options.kind, p.person.number, 60 + p.exam).random() for p in planned]
    marked = [replace(p, has_marker=bool(d < (0.95 if p.is_positive else 0.05))) for p, d in zip(planned, dice, strict=True)]
    return marked, {"exams": [p.exam_id for p in marked if p.has_marker], "text": "PORT", "corner": "upper left of the image"}


def _missing_slices(planned: list[Planned], options: Options) -> tuple[list[Planned], Record]:
    """One to three neighbouring slices of some series are never written."""
    random = _random(options, 4)
    chosen = _some(random, len(planned), 0.12)
    cut = [replace(p, left_out=int(random.integers(1, 4))) if k in chosen else p for k, p in enumerate(planned)]
    return cut, {"exams": {p.exam_id: p.left_out for p in cut if p.left_out}}


def add_label_noise(rows: list[Row], options: Options) -> Record:
    """Turn the label of about one exam in eight in the sheet; masks and the record keep the truth."""
    columns = {"abdomen": ("any_lesion", "any_metastasis"), "chest": ("pneumonia",)}[options.kind]
    turned = _some(_random(options, 5), len(rows), 0.12)
    record = []
    for k in sorted(turned):
        record.append({"exam_id": rows[k]["exam_id"], "truth": {c: rows[k][c] for c in columns}})
        for column in columns:
            rows[k][column] = "no" if rows[k][column] == "yes" else "yes"
    return {"columns": list(columns), "exams": record}
