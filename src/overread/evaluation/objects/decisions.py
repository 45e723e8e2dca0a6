"""Thresholds, merging and least sizes of objects, fitted on tuning cases and frozen into the model.

Merging and least sizes are judged by the mean sensitivity at 1/8 to 8 false positives per case, and taken only where the gain is
clear: larger than half a percent and than two of its standard errors over patients. Then each class gets the threshold at which
most objects are found with at most the stated false positives per case, and of those the highest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from overread.core.question import Decisions, OperatingPoint, Question, Tried
from overread.evaluation.comparing.jackknife import left_out
from overread.evaluation.decisions.false_positives import cases_needed, false_positives_rule
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.objects.found_case import FoundCase, Objects, found_case
from overread.evaluation.objects.statistics import class_statistic
from overread.metrics.objects.froc import froc_curve
from overread.metrics.objects.marks import Marks, pool
from overread.metrics.objects.rows import FROC

MERGES = (0.1, 0.3, 0.5)  # intersections over union above which the lower score is dropped
SIZES = 6  # least sizes tried per class
BELOW_SMALLEST = 0.9  # a least size stays below this share of the smallest object of the truth
SMALLEST_GAIN = 0.005  # in mean sensitivity
ERRORS = 2  # standard errors over patients that a gain must exceed
EVERYTHING = Decisions()
ROUNDING = 1 - 1e-6  # below the lowest score, which is rounded where it is written down


@dataclass(frozen=True)
class Tuning:
    """The tuning cases: truths and raw answers in one order, and the patient of each."""

    question: Question
    truths: tuple[Objects, ...]
    answers: tuple[Objects, ...]
    patients: tuple[str, ...]
    matching: str

    def found(self, decisions: Decisions) -> list[FoundCase]:
        rows = enumerate(zip(self.truths, self.answers, self.patients, strict=True))
        return [
            found_case(self.question, str(k), patient, truth, answer, decisions, self.matching)
            for k, (truth, answer, patient) in rows
        ]

    @property
    def units(self) -> Patients:
        return Patients.of(self.patients)


def fit_object_decisions(
    question: Question,
    truths: Sequence[Objects],
    answers: Sequence[Objects],
    patients: Sequence[str],
    *,
    matching: str = "auto",
    false_positives: float = 1.0,
) -> Decisions:
    """Score thresholds by class, and merging and least sizes where they clearly help.

    truths, answers  one per tuning case, in one order; answers raw
    patients         of each case
    matching, false_positives   as in `[evaluation]` of the settings
    """
    tuning = Tuning(question, tuple(truths), tuple(answers), tuple(patients), matching)
    plain = tuning.found(EVERYTHING)
    decisions, cases, merges = _merging(tuning, plain)
    decisions, cases, sizes = _sizes(tuning, decisions, cases)
    points = tuple(_point(name, cases, tuning.units, false_positives) for name in question.classes)
    return replace(decisions, operating_points=points, tried=(*merges, *sizes))


def as_found(decisions: Decisions) -> Decisions:
    """Without merging and least sizes."""
    return replace(decisions, merge_overlap=None, minimum_size={}, tried=())


def before_and_after(question: Question, before: Sequence[FoundCase], after: Sequence[FoundCase]) -> list[dict[str, Any]]:
    """What post-processing does, by class: mean sensitivity (FROC), and how many answers there are in all.

    before, after  the same cases, as they were found and with merging and least sizes
    """
    rows = []
    for name in question.classes:
        values = {
            when: {
                "froc": _plain(float(class_statistic(FROC, name, cases)(np.ones((1, len(cases))))[0])),
                "answers": sum(case.answer.classes.count(name) for case in cases),
            }
            for when, cases in (("before", before), ("after", after))
        }
        rows.append({"subject": name, **values})
    return rows


def _merging(tuning: Tuning, plain: list[FoundCase]) -> tuple[Decisions, list[FoundCase], list[Tried]]:
    """One limit of overlap for all classes, or none; and what each came to."""
    names = [name for name in tuning.question.classes if any(name in case.truth.classes for case in plain)]
    best, reached, tried = (EVERYTHING, plain), 0.0, []
    for limit in MERGES if names else ():
        decisions = Decisions(merge_overlap=limit)
        cases = tuning.found(decisions)
        gain = _gain(names, plain, cases, tuning.units)
        tried.append(Tried("merge_overlap", "mean" if len(names) > 1 else names[0], limit, gain.before, gain.after, taken=False))
        if gain.clear > reached:
            best, reached = (decisions, cases), gain.clear
    taken = best[0].merge_overlap
    return *best, [replace(one, taken=one.value == taken) for one in tried]


def _sizes(tuning: Tuning, decisions: Decisions, plain: list[FoundCase]) -> tuple[Decisions, list[FoundCase], list[Tried]]:
    """A least size of each class, or none: just above those of false answers, and below that of every object of the truth."""
    mixed = len({case.unit for case in plain}) > 1  # a size in mm means nothing where others are in pixels
    candidates = {} if mixed else {name: _candidates(name, plain) for name in tuning.question.classes}
    chosen: dict[str, float] = {}
    reached = dict.fromkeys(candidates, 0.0)
    tried = []
    for step in range(max((len(sizes) for sizes in candidates.values()), default=0)):
        sizes = {name: own[step] for name, own in candidates.items() if step < len(own)}
        cases = tuning.found(replace(decisions, minimum_size=sizes))
        for name, size in sizes.items():
            gain = _gain([name], plain, cases, tuning.units)
            tried.append(Tried("minimum_size", name, size, gain.before, gain.after, taken=False))
            if gain.clear > reached[name]:
                chosen[name], reached[name] = size, gain.clear
    tried = [replace(one, taken=chosen.get(one.subject) == one.value) for one in tried]
    if not chosen:
        return decisions, plain, tried
    decisions = replace(decisions, minimum_size=chosen)
    return decisions, tuning.found(decisions), tried


def _candidates(name: str, cases: Sequence[FoundCase]) -> list[float]:
    true = [size for case in cases for size, of in zip(case.truth.longest, case.truth.classes, strict=True) if of == name]
    if not true:
        return []
    false = [
        size
        for case in cases
        for size, of, partner in zip(case.answer.longest, case.answer.classes, case.matched.partner, strict=True)
        if of == name and partner < 0 and size < BELOW_SMALLEST * min(true)
    ]
    wanted = np.quantile(false, np.linspace(0, 1, SIZES)) * 1.01 if false else []
    return sorted({float(f"{min(size, BELOW_SMALLEST * min(true)):.4g}") for size in wanted})


@dataclass(frozen=True)
class _Gain:
    """before, after: mean sensitivity over classes; clear: how much it rises, 0 where that is not clear"""

    before: float
    after: float
    clear: float


def _gain(names: Sequence[str], before: Sequence[FoundCase], after: Sequence[FoundCase], patients: Patients) -> _Gain:
    pairs = [(class_statistic(FROC, name, before), class_statistic(FROC, name, after)) for name in names]

    def means(counts: np.ndarray) -> np.ndarray:
        weights = counts[:, patients.number]
        return np.mean([[old(weights), new(weights)] for old, new in pairs], axis=0)

    reached = [float(f"{value:.6g}") for value in means(np.ones((1, patients.count)))[:, 0]]
    return _Gain(reached[0], reached[1], _clear(lambda counts: np.diff(means(counts), axis=0)[0], patients))


def _clear(difference: Callable[[np.ndarray], np.ndarray], patients: Patients) -> float:
    """The difference, where it is larger than what is noise; else 0."""
    gain = float(difference(np.ones((1, patients.count)))[0])
    if not gain > SMALLEST_GAIN or patients.count < 2:
        return 0.0
    without = left_out(difference, patients.count)
    without = without[np.isfinite(without)]
    error = float(np.sqrt((len(without) - 1) / max(len(without), 1) * ((without - without.mean()) ** 2).sum()))
    return gain if gain > ERRORS * error else 0.0


def _point(name: str, cases: Sequence[FoundCase], patients: Patients, false_positives: float) -> OperatingPoint:
    """The threshold of one class; where the cases are too few to show so few false positives, the best balance of hits and
    false positives takes its place, and the rule says so."""
    marks = pool([case.matched for case in cases], name)
    rule, truths = false_positives_rule(false_positives), len(marks.truth_case)
    make = partial(OperatingPoint, name, positives=truths, negatives=int((marks.truths == 0).sum()))
    if not truths or not len(marks.score):
        absent = "no object of it in the tuning cases" if not truths else "no answer in the tuning cases"
        return make(0.5, f"0.5 ({absent}, so '{rule}' cannot be fitted)", is_supported=False)
    needed = cases_needed(false_positives)
    curve = froc_curve(marks)
    if patients.count >= needed:
        allowed = curve.fp_per_case <= false_positives * (1 + 1e-12)
        value, text, lack = curve.sensitivity, rule, None
    else:
        allowed = np.ones(len(curve.threshold), bool)
        value, lack = _balance(marks), needed
        few = f"{patients.count} {'patient' if patients.count == 1 else 'patients'}"
        text = f"largest F1 of objects ('{rule}' is not supported by {few}; {needed} are needed)"
    threshold, sensitivity = _highest(curve.threshold, curve.sensitivity, np.where(allowed, value, -1.0))
    return make(threshold, text, sensitivity=sensitivity, is_supported=lack is None, needed=lack)


def _balance(marks: Marks) -> np.ndarray:
    """F1 of objects at each point of the curve: 2 hits / (truths + answers)."""
    curve, cases = froc_curve(marks), marks.cases
    hits = curve.sensitivity * len(marks.truth_case)
    return 2 * hits / (len(marks.truth_case) + hits + curve.fp_per_case * cases)


def _highest(threshold: np.ndarray, sensitivity: np.ndarray, value: np.ndarray) -> tuple[float, float]:
    """The highest threshold of the largest value, midway to the next lower score; above all where nothing may be called."""
    if value.max() < 0:
        return float(np.nextafter(threshold[0], np.inf)), 0.0
    k = int(np.argmax(value))
    if k + 1 == len(threshold):
        return float(threshold[k]) * ROUNDING, float(sensitivity[k])
    middle = float((threshold[k] + threshold[k + 1]) / 2)
    return middle if middle > threshold[k + 1] else float(threshold[k]), float(sensitivity[k])


def _plain(value: float) -> float | None:
    return value if np.isfinite(value) else None
