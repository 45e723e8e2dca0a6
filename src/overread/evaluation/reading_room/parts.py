"""Readers of a room in parts: how far they agree, how right they are by confidence and by time, what they said of an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from overread.evaluation.intervals.bootstrap import bootstrap_interval, of_sums
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.intervals.wilson import proportion_interval
from overread.evaluation.reading_room.reads import CONFIDENCES, NONE_READ, Reads, joined
from overread.evaluation.rules import Rules
from overread.metrics.readers import FLEISS, fleiss_terms, kappa, pair_terms


def agreement(units: np.ndarray, reads: Sequence[Reads], rules: Rules) -> list[dict[str, Any]]:
    """Cohen's kappa of each two readers over the images that both read; Fleiss' of three or more over what all read."""
    rows = []
    metric = kappa(2, 0)
    for one, other in combinations(reads, 2):
        both = one.is_read & other.is_read
        patients = Patients.of(units[both])
        terms = pair_terms(one.fake[both].astype(int), other.fake[both].astype(int), 2)
        assert metric.from_sums is not None
        found = bootstrap_interval(of_sums(patients, terms, metric.from_sums), patients, rules, metric.undefined)
        same = float((one.fake[both] == other.fake[both]).mean()) if both.any() else None
        rows.append({"readers": [one.reader, other.reader], "name": metric.name, "kappa": found.as_dict(), "same": same})
    if len(reads) > 2:
        everyone = np.all([one.is_read for one in reads], axis=0)
        patients = Patients.of(units[everyone])
        terms = fleiss_terms(np.stack([one.fake[everyone].astype(int) for one in reads], axis=1), 2)
        assert FLEISS.from_sums is not None
        found = bootstrap_interval(of_sums(patients, terms, FLEISS.from_sums), patients, rules, FLEISS.undefined)
        rows.append({"readers": [one.reader for one in reads], "name": FLEISS.name, "kappa": found.as_dict(), "same": None})
    return rows


def by_confidence(is_made: np.ndarray, units: np.ndarray, reads: Sequence[Reads], rules: Rules) -> list[dict[str, Any]]:
    """How often answers of each confidence were right, all readers together."""
    return [
        {"confidence": grade, **_part(is_made, units, reads, [one.confidence == grade for one in reads], rules)}
        for grade in CONFIDENCES
    ]


def by_time(is_made: np.ndarray, units: np.ndarray, reads: Sequence[Reads], rules: Rules) -> list[dict[str, Any]]:
    """Each reader's quicker and slower half of the images, and the first and second half of the room."""
    early = np.arange(len(is_made)) < len(is_made) / 2
    quick = [_quicker_half(one) for one in reads]
    halves = {
        "quicker half of each reader": quick,
        "slower half of each reader": [~part for part in quick],
        "first half of the room": [early] * len(reads),
        "second half of the room": [~early] * len(reads),
    }
    return [{"part": name, **_part(is_made, units, reads, parts, rules)} for name, parts in halves.items()]


def _quicker_half(one: Reads) -> np.ndarray:
    """(N,) bool; of equal times the earlier image counts as the quicker."""
    order = np.argsort(np.where(one.is_read, one.seconds, np.inf), kind="stable")
    quick = np.zeros(len(order), bool)
    quick[order[: int(np.ceil(one.is_read.sum() / 2))]] = True
    return quick


def _part(
    is_made: np.ndarray, units: np.ndarray, reads: Sequence[Reads], parts: Sequence[np.ndarray], rules: Rules
) -> dict[str, Any]:
    kept = [replace(one, fake=np.where(part, one.fake, np.nan)) for one, part in zip(reads, parts, strict=True)]
    made, fake, _, _, unit = joined(is_made, units, kept)
    right = (fake > 0) == made
    found = proportion_interval(right, np.ones(len(made)), Patients.of(unit), rules.level, NONE_READ)
    return {"read": len(made), "accuracy": found.as_dict()}


def by_image(is_made: np.ndarray, reads: Sequence[Reads]) -> list[dict[str, Any]]:
    """For each image how many read it, how many called it fake, and their mean suspicion (-4 to 4)."""
    fake, suspicion = np.stack([one.fake for one in reads]), np.stack([one.suspicion for one in reads])
    rows = []
    for number, made in enumerate(is_made):
        read = np.isfinite(fake[:, number])
        called = int(fake[read, number].sum())
        mean = float(suspicion[read, number].mean()) if read.any() else None
        rows.append({"item": number + 1, "is_made": bool(made), "read": int(read.sum()), "fake": called, "suspicion": mean})
    return rows
