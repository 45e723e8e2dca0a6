"""Objects in the report: curves with bands, tables by size, separation of neighbours, and the browser of errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from overread.reporting.case_files import CaseFiles
from overread.reporting.charts.froc import COLUMNS, RATE_WORDS, RATES, at_rate, froc_chart
from overread.reporting.charts.matching import matching_chart
from overread.reporting.charts.probability import pr_chart, roc_chart
from overread.reporting.given import Panel
from overread.reporting.pictures.objects import size_words
from overread.reporting.sections.error_kinds import error_kinds, kinds_counted
from overread.reporting.sections.errors import groups_beside, sieves, similar_words
from overread.reporting.sections.results import AT_RATE, score_row

Record = Mapping[str, Any]

TASKS = ("detection", "instances")
STATES = {"false": "false positive", "missed": "missed", "matched": "found"}
ERROR_COLUMNS = ("case", "state", "kind of error", "class", "score", "size", "overlap", "distance, mm")
MOST_ERRORS = 200  # in the page; the file beside it holds all
_SEPARATION = ("pq", "sq", "rq", "count_error", "merged", "split")


@dataclass(frozen=True)
class ErrorRow:
    """One false positive or miss of the browser; `key` finds its thumbnail."""

    case_id: str
    patient_id: str
    number: int
    state: str
    kind: str
    class_name: str
    score: float | None
    size: str
    size_value: float
    thumbnail: bytes | None


def is_of_objects(evaluation: Record) -> bool:
    return evaluation["task"] in TASKS


def object_section(
    evaluation: Record,
    thumbnails: Mapping[tuple[str, int], bytes],
    examples: Sequence[Panel] = (),
    files: CaseFiles | None = None,
) -> dict[str, Any] | None:
    """Everything the page shows of objects beyond the table of scores; None where the answers are none.

    thumbnails   (case_id, number in the case's list) -> PNG
    examples     the criterion on objects of these cases
    files        what stands beside single cases
    """
    if not is_of_objects(evaluation):
        return None
    curves = evaluation.get("curves") or {}
    rule = str((evaluation.get("rules") or {}).get("matching", ""))
    errors = error_rows(evaluation, thumbnails)
    return {
        "rule": rule,
        "example": Markup(matching_chart(rule)),
        "examples": list(examples),
        "tally": _tally(evaluation),
        "froc": [
            {
                "name": name,
                "chart": Markup(froc_chart(name, curve, _point(evaluation, name))),
                "rows": _at_rates(evaluation, name, curve),
            }
            for name, curve in (curves.get("froc") or {}).items()
        ],
        "pr": [Markup(pr_chart(name, curve)) for name, curve in (curves.get("pr") or {}).items()],
        "roc": [Markup(roc_chart(name, roc, None, _area(evaluation, name))) for name, roc in (curves.get("roc") or {}).items()],
        "bands": band_rows(evaluation),
        "several": len(evaluation["question"]["classes"]) > 1,
        "separation": [score_row(s) for s in evaluation["scores"] if s["metric"] in _SEPARATION],
        "processing": list(evaluation.get("post_processing") or ()),
        "cleaning": str((evaluation.get("rules") or {}).get("post_processing", "")),
        "errors": errors[:MOST_ERRORS],
        "n_errors": len(errors),
        "kinds": kinds_counted([(row.state, row.kind) for row in errors]),
        "is_in_mm": any(row.size.endswith(" mm") for row in errors),
        "classes": sorted({row.class_name for row in errors}),
        **_beside_cases(files or CaseFiles(), [row.case_id for row in errors]),
    }


def _beside_cases(files: CaseFiles, case_ids: Sequence[str]) -> dict[str, Any]:
    """Groups to sieve by, similar cases and notes of the cases with an error."""
    groups = sieves(files, case_ids)
    names = [name for name, _ in groups]
    return {
        "groups": groups,
        "groups_of": {i: groups_beside(files, i, names) for i in case_ids},
        "similar": {i: similar_words(files.similar.get(i, ())) for i in case_ids},
        "notes": {i: files.notes.get(i, "") for i in case_ids},
    }


# ---- tables -----------------------------------------------------------------------------------------


def band_rows(evaluation: Record) -> list[dict[str, Any]]:
    """The table by size, in the order of the evaluation: each share as (value, interval)."""
    cells = ("sensitivity", "ppv", "overlap")
    kept = ("subject", "band", "truths", "answers")
    return [{**{k: row[k] for k in kept}, "cells": [_cell(row.get(k)) for k in cells]} for row in evaluation.get("sizes") or ()]


def _cell(interval: Record | None) -> tuple[str, str]:
    """An undefined one says why; a PPV is not told of an enriched sample."""
    if interval is None:
        return "–", ""
    if interval["estimate"] is None:
        return "–", str(interval.get("reason") or "")
    if interval["low"] is None:
        return f"{interval['estimate']:.3f}", str(interval.get("reason") or "")
    return f"{interval['estimate']:.3f}", f"{interval['low']:.3f} to {interval['high']:.3f}"


def _at_rates(evaluation: Record, name: str, curve: Record) -> list[tuple[str, str, str]]:
    """(false positives per case, sensitivity, interval) at the seven rates: the scores with intervals where there are any."""
    scored = {
        s["metric"]: score_row(s) for s in evaluation["scores"] if s["subject"] == name and str(s["metric"]).startswith(AT_RATE)
    }
    rows = []
    for rate, words in zip(RATES, RATE_WORDS, strict=True):
        row = scored.get(f"{AT_RATE}{words.replace('/', '_')}fp")
        reached = at_rate(curve, rate)
        if row is not None:
            rows.append((words, row.estimate, row.interval))
        elif reached is not None:
            rows.append((words, f"{reached:.3f}", ""))
    return rows


def _point(evaluation: Record, name: str) -> tuple[float, float] | None:
    """What the frozen operating point reached on these cases: (false positives per case, sensitivity)."""
    found = {
        s["metric"]: s["interval"]["estimate"]
        for s in evaluation["scores"]
        if s["subject"] == name and s["metric"] in ("lesion_sensitivity", "fp_per_case")
    }
    rate, sensitivity = found.get("fp_per_case"), found.get("lesion_sensitivity")
    return None if rate is None or sensitivity is None else (float(rate), float(sensitivity))


def _area(evaluation: Record, name: str) -> str:
    for score in evaluation["scores"]:
        if score["metric"] == "patient_auc" and score["subject"] == name:
            row = score_row(score)
            return f"AUC {row.estimate} ({row.interval})"
    return ""


def _tally(evaluation: Record) -> list[tuple[str, int, int, int]]:
    """(class, found, missed, false positives) at the frozen operating point."""
    counted: dict[str, Counter[str]] = {name: Counter() for name in evaluation["question"]["classes"]}
    for case in evaluation["cases"]:
        for item in case.get("objects") or ():
            counted.setdefault(item["class"], Counter())[item["state"]] += 1
    return [(name, n["matched"], n["missed"], n["false"]) for name, n in counted.items()]


# ---- errors -----------------------------------------------------------------------------------------


def error_rows(evaluation: Record, thumbnails: Mapping[tuple[str, int], bytes] | None = None) -> list[ErrorRow]:
    """False positives, the surest first; then misses, the largest first."""
    pictures = thumbnails or {}
    rows = [
        _error(case, number, item, kind, pictures.get((case["case_id"], number)))
        for case in evaluation["cases"]
        for number, (item, kind) in enumerate(_with_kinds(case))
        if item["state"] != "matched"
    ]
    return sorted(rows, key=lambda r: (r.state == "missed", -(r.score or 0.0), -r.size_value, r.case_id, r.number))


def _with_kinds(case: Record) -> Iterator[tuple[Record, str]]:
    objects = case.get("objects") or ()
    return zip(objects, error_kinds(objects), strict=True)


def _error(case: Record, number: int, item: Record, kind: str, thumbnail: bytes | None) -> ErrorRow:
    value = item["size_mm"] if item.get("size_mm") is not None else item.get("size_px") or 0.0
    score, size = item.get("score"), size_words(item)
    told = (item["state"], kind, item["class"], score, size, float(value), thumbnail)
    return ErrorRow(case["case_id"], case["patient_id"], number, *told)


def object_figures(evaluation: Record) -> Iterator[tuple[str, str, tuple[str, ...], list[Sequence[Any]]]]:
    """(name, svg, columns, rows) for files."""
    if not is_of_objects(evaluation):
        return
    keys = ("fp_per_case", "sensitivity", "low", "high", "threshold")
    for name, curve in ((evaluation.get("curves") or {}).get("froc") or {}).items():
        columns = [curve.get(k) or [None] * len(curve["fp_per_case"]) for k in keys]
        yield f"froc-{name}", froc_chart(name, curve, _point(evaluation, name)), COLUMNS, list(zip(*columns, strict=True))
    rule = str((evaluation.get("rules") or {}).get("matching", ""))
    if chart := matching_chart(rule):
        yield "matching", chart, ("what counts as found",), [(rule,)]
    errors: list[Sequence[Any]] = [
        (
            case["case_id"], STATES[item["state"]], kind, item["class"], item.get("score"), size_words(item),
            item.get("overlap"), item.get("distance_mm"),
        )
        for case in evaluation["cases"]
        for item, kind in _with_kinds(case)
    ]  # fmt: skip
    if errors:
        yield "objects", "", ERROR_COLUMNS, errors
