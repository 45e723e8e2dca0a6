"""Scores as rows to print: a value never appears without its interval, method and counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from overread.metrics.pictures.rows import GAINS, OF_READ
from overread.reporting.charts.cases import interval_bar
from overread.reporting.proportions import counted, percent

AT_RATE = "sensitivity_at_"  # metrics of objects at a rate of false positives begin so
BESIDE_READ = frozenset(metric.key for metric in (*OF_READ, *GAINS))  # of images: stand beside the answer's own scores
ROLES = {"primary": "primary endpoint", "declared": "declared", "exploratory": "exploratory", "tuning": "on tuning cases"}
_ORDER = {"primary": 0, "declared": 1, "tuning": 2, "exploratory": 3}


@dataclass(frozen=True)
class ScoreRow:
    """One score as words."""

    name: str
    subject: str
    unit: str
    estimate: str
    interval: str
    method: str
    counts: str
    role: str
    role_words: str
    formula: str
    bar: str


def score_rows(evaluation: Mapping[str, Any]) -> list[ScoreRow]:
    """The scores of an evaluation, the primary endpoint first, then as the evaluation lists them; see also `voxel_rows` and
    `sections.objects`."""
    scores = sorted(evaluation["scores"], key=lambda s: _ORDER.get(s["role"], 9))
    return [score_row(score) for score in scores if not _is_elsewhere(score)]


def voxel_rows(evaluation: Mapping[str, Any]) -> list[ScoreRow]:
    """Scores of the probabilities of voxels that nobody declared: a table of their own, or they bury the others."""
    return [score_row(score) for score in evaluation["scores"] if _is_of_voxels(score)]


def _is_of_voxels(score: Mapping[str, Any]) -> bool:
    return str(score.get("metric", "")).startswith("voxel_") and not _is_declared(score)


def _is_elsewhere(score: Mapping[str, Any]) -> bool:
    """Of voxels, at one of the seven rates of a FROC curve, or of what was read: these have tables of their own."""
    metric = str(score.get("metric", ""))
    return _is_of_voxels(score) or ((metric.startswith(AT_RATE) or metric in BESIDE_READ) and not _is_declared(score))


def _is_declared(score: Mapping[str, Any]) -> bool:
    return score.get("role") in ("primary", "declared")


def score_row(score: Mapping[str, Any]) -> ScoreRow:
    interval = score["interval"]
    estimate, low, high = interval["estimate"], interval["low"], interval["high"]
    unit = score.get("unit") or ""
    is_share = not unit and score.get("better") == "higher" and estimate is not None and 0 <= estimate <= 1
    if estimate is None:
        shown, bounds = "not defined", interval.get("reason") or "no reason recorded"
    elif low is None or high is None:
        shown, bounds = number(estimate, unit), f"no interval: {interval.get('reason') or 'no reason recorded'}"
    elif (found := counted(score)) is not None:
        hits, of = found
        shown, bounds = f"{percent(estimate, of)} %", f"{percent(low, of)} to {percent(high, of)} %; {hits} of {of}"
    else:
        places = decimals(estimate, unit)
        shown, bounds = f"{estimate:z.{places}f}", f"{low:z.{places}f} to {high:z.{places}f}"
    return ScoreRow(
        score["name"],
        subject_of(score),
        unit,
        shown,
        bounds,
        _method(interval),
        counts(interval["n_cases"], interval["n_patients"], "object" if score.get("metric") in OF_OBJECTS else "case"),
        score["role"],
        ROLES.get(score["role"], score["role"]),
        score.get("formula", ""),
        interval_bar(low, estimate, high) if is_share and low is not None and low >= 0 and high is not None else "",
    )


def subject_of(score: Mapping[str, Any]) -> str:
    """What a score is of; "" for all, and where its name says it already."""
    subject, name = str(score["subject"]), str(score["name"])
    return "" if subject in ("all", "") or name.endswith(f" {subject}") else subject


def named(score: Mapping[str, Any]) -> str:
    """``Sensitivity for nodule``"""
    subject = subject_of(score)
    return f"{score['name']}{f' for {subject}' if subject else ''}"


def _method(interval: Mapping[str, Any]) -> str:
    """The method behind an interval, with its level where there is one."""
    if interval["low"] is None:
        return "" if interval["method"] == "none" else str(interval["method"])
    doubt = f"; {interval['reason']}" if interval.get("reason") else ""
    return f"{100 * interval['level']:g} %, {interval['method']}{doubt}"


def number(value: float | None, unit: str = "") -> str:
    """A value with the decimals that fit its size; a dash where there is none."""
    return "–" if value is None else f"{value:z.{decimals(value, unit)}f}"


def decimals(value: float, unit: str = "") -> int:
    """Three decimals for shares and small numbers; about three significant digits with a unit.

    An interval takes the decimals of its estimate.
    """
    size = abs(value)
    if not unit and size < 10:
        return 3
    return 2 if size < 10 else 1 if size < 100 else 0


OF_OBJECTS = ("lesion_sensitivity", "lesion_ppv", "merged", "split")  # shares of objects, not of cases


def counts(cases: int, patients: int, what: str = "case") -> str:
    """ "66 cases, 60 patients"; of a share of objects "52 objects, 41 patients"."""
    return f"{cases} {what if cases == 1 else f'{what}s'}, {patients} {'patient' if patients == 1 else 'patients'}"


def primary(evaluation: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The score to put at the head of the page: the primary endpoint, or on tuning data the first mean or all."""
    scores: Sequence[Mapping[str, Any]] = evaluation["scores"]
    for score in scores:
        if score["role"] == "primary":
            return score
    for score in scores:
        if score["subject"] in ("mean", "all", ""):
            return score
    return scores[0] if scores else None


def positives_of(name: str, evaluation: Mapping[str, Any]) -> tuple[int, int]:
    """(cases with the class, cases without it), of those whose truth is known."""
    truths = [case["truth"] for case in evaluation["cases"]]
    known = [t.get(name) if isinstance(t, Mapping) else None if t is None else float(t == name) for t in truths]
    return sum(k is not None and k > 0.5 for k in known), sum(k is not None and k <= 0.5 for k in known)


def fold_rows(evaluation: Mapping[str, Any]) -> list[tuple[str, ScoreRow]]:
    """(fold, score) of the metric at the head of the page, fold by fold; empty where there are no folds."""
    head = primary(evaluation)
    if head is None:
        return []
    return [
        (f"fold {part['fold']}", score_row(score))
        for part in evaluation.get("folds") or []
        for score in part["scores"]
        if score["metric"] == head["metric"] and score["subject"] == head["subject"]
    ]


@dataclass(frozen=True)
class ConfusionRow:
    label: str
    cells: tuple[tuple[int, str, float], ...]  # count, row percentage as words, share of the row
    total: int


def confusion_rows(confusion: Mapping[str, Any]) -> list[ConfusionRow]:
    """Rows are the reference standard, columns the model; percentages add up to 100 along a row."""
    rows = []
    for label, values in zip(confusion["labels"], confusion["counts"], strict=True):
        total = sum(values)
        cells = tuple((n, f"{n / total:.0%}" if total else "–", n / total if total else 0.0) for n in values)
        rows.append(ConfusionRow(label, cells, total))
    return rows


@dataclass(frozen=True)
class Distribution:
    """Values of one metric by case: subject -> (case_id, value), and how many cases had none, and why."""

    title: str
    unit: str
    is_bounded: bool
    groups: dict[str, list[tuple[str, float]]]
    missing: dict[str, int]


def distributions(evaluation: Mapping[str, Any]) -> list[Distribution]:
    """One per metric that exists for single cases."""
    known = {s["definition"].partition("/")[0]: s for s in evaluation["scores"]} | {s["metric"]: s for s in evaluation["scores"]}
    found: dict[str, Distribution] = {}
    for case in evaluation["cases"]:
        for key, value in (case.get("scores") or {}).items():
            metric, _, subject = key.partition("/")
            if metric in BESIDE_READ:
                continue
            score = known.get(metric, {})
            if metric not in found:
                found[metric] = Distribution(
                    score.get("name", metric.replace("_", " ").capitalize()), score.get("unit", ""), False, {}, {}
                )
            groups = found[metric].groups.setdefault(subject or "all", [])
            if value is not None:
                groups.append((case["case_id"], float(value)))
            else:
                reason = (case.get("reasons") or {}).get(key, "not defined")
                words = f"{subject}: {reason}" if subject else reason
                found[metric].missing[words] = found[metric].missing.get(words, 0) + 1
    return [_with_bounds(d) for d in found.values()]


def _with_bounds(given: Distribution) -> Distribution:
    values = [v for rows in given.groups.values() for _, v in rows]
    bounded = not given.unit and bool(values) and min(values) >= 0 and max(values) <= 1
    return Distribution(given.title, given.unit, bounded, given.groups, given.missing)
