"""Results beyond the table of scores, as rows to print: subgroups, other places, label error, answered cases alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from overread.evaluation.afterwards.corrections import correction_words
from overread.reporting.charts.groups import decision_chart, forest_chart, risk_chart
from overread.reporting.proportions import in_words
from overread.reporting.sections.results import counts, score_rows, subject_of
from overread.reporting.words import partition_name

Record = Mapping[str, Any]
_ALWAYS_TOLD = ("sensitivity", "specificity", "calibration_slope", "observed_expected")


def subgroup_tables(evaluation: Record) -> list[dict[str, Any]]:
    """One table and forest plot per column of groups."""
    return [_subgroup_table(row, evaluation) for row in evaluation.get("subgroups") or []]


def _subgroup_table(row: Record, evaluation: Record) -> dict[str, Any]:
    named = {"name": row.get("name", row.get("metric", "score")), "unit": row.get("unit", ""), "subject": row.get("subject", "")}
    whole = next(
        (s["interval"] for s in evaluation["scores"] if (s["metric"], s["subject"]) == (row.get("metric"), row.get("subject"))),
        None,
    )
    full = {**row, "name": named["name"]}
    return {
        **named,
        "column": row["column"],
        "banding": row.get("banding") or "",
        "sentence": row.get("sentence") or "",
        "worst": row.get("worst"),
        "chart": Markup(forest_chart(full, whole)) if row["levels"] else "",
        "rows": (rows := [_level(level, named) for level in row["levels"]]),
        "has_also": any(r["also"] for r in rows),
        "has_calibration": any(r["calibration"] for r in rows),
        "refusal": row.get("refusal") or "",
    }


def _level(level: Record, named: Record) -> dict[str, Any]:
    interval = level["interval"]
    return {
        "level": str(level["level"]),
        "counts": counts(level["n_cases"], level["n_patients"]),
        "score": in_words({"interval": interval, "unit": named["unit"]}),
        "method": "" if interval["low"] is None else str(interval["method"]),
        "calibration": _calibration(level.get("calibration")),
        "also": _also(level.get("also") or {}),
        "too_few": str(level.get("too_few") or ""),
    }


def _calibration(found: Any) -> str:
    """Observed against expected, by class; "" where there is none. Tolerates a plain interval in its place."""
    if not isinstance(found, Mapping):
        return ""
    if "estimate" in found:
        return in_words({"interval": found})
    several = [
        f"{name + ': ' if len(found) > 1 else ''}{100 * of['rate']:.0f} % seen, {100 * of['mean_probability']:.0f} % expected"
        for name, of in found.items()
        if isinstance(of, Mapping) and of.get("rate") is not None and of.get("mean_probability") is not None
    ]
    return "; ".join(several)


def _also(found: Mapping[str, Record]) -> list[str]:
    """Sensitivity and specificity at the frozen threshold, by "metric/class"; the class where there are several."""
    classes = {key.partition("/")[2] for key in found}
    told = []
    for key, interval in found.items():
        metric, _, name = key.partition("/")
        told.append(f"{metric}{f' for {name}' if len(classes) > 1 else ''} {in_words({'interval': interval})}")
    return told


def external_tables(evaluation: Record) -> dict[str, Any]:
    """How scores moved from the internal test to another place, and how its patients differ; empty where not external."""
    found = evaluation.get("external") or {}
    return {
        "against": partition_name(found.get("compared_with", "internal")),
        "notes": list(found.get("notes") or ()),
        "drop": [_moved(row) for row in found.get("drop") or [] if _matters(row)],
        "rest": [_moved(row) for row in found.get("drop") or [] if not _matters(row)],
        "shift": [_shifted(row) for row in found.get("shift") or []],
    }


def _matters(row: Record) -> bool:
    """What was declared before the opening, and what a frozen threshold and frozen probabilities are judged by."""
    return row.get("role") in ("primary", "declared") or row.get("metric") in _ALWAYS_TOLD


def _moved(row: Record) -> dict[str, str]:
    unit = row.get("unit", "")
    cells = {end: in_words({"interval": row[end], "unit": unit}) for end in ("reference", "external", "difference")}
    words = {"worse": "worse", "better": "better", "not shown": "a change is not shown"}.get(str(row.get("moved")), "")
    words = words if row["difference"]["low"] is not None else ""
    return {"name": str(row["name"]), "subject": subject_of(row), **cells, "moved": words}


def _shifted(row: Record) -> dict[str, str]:
    of = f": {row['of']}" if row.get("of") else ""
    cells = {end: in_words({"interval": row[end]}) if row.get(end) else "–" for end in ("reference", "external", "difference")}
    return {"name": f"{row['what']}{of}", **cells, "unlike": "unlike" if row.get("unlike") else ""}


def error_rows(evaluation: Record) -> list[dict[str, str]]:
    """Sensitivity and specificity under an assumed error of the reference standard."""
    return [
        {
            "missed": f"{100 * row['missed']:.0f} %",
            "false": f"{100 * row['false']:.0f} %",
            **{name: _share(row[name]) for name in ("sensitivity", "specificity")},
        }
        for row in evaluation.get("label_error") or []
    ]


def _share(interval: Record) -> str:
    if interval["estimate"] is None:
        return f"not possible: {interval['reason']}"
    shown = f"{100 * interval['estimate']:.0f} %"
    if interval["low"] is None:
        return f"{shown} (no interval: {interval['reason']})"
    return f"{shown} ({100 * interval['low']:.0f} to {100 * interval['high']:.0f})"


def error_method(evaluation: Record) -> str:
    """Method and counts behind the rows of `error_rows`."""
    rows = evaluation.get("label_error") or []
    found = next((row["sensitivity"] for row in rows if row["sensitivity"]["estimate"] is not None), None)
    if found is None:
        return ""
    return f"{100 * found['level']:g} % intervals, {found['method']}; {counts(found['n_cases'], found['n_patients'])}."


def answered_only(evaluation: Record) -> dict[str, Any] | None:
    """The secondary table of the cases that were answered; None where every case was."""
    found = evaluation.get("answered_only")
    if not found:
        return None
    reasons: Sequence[str] = [f"{why} ({n})" for why, n in (found.get("reasons") or {}).items()]
    return {
        **found,
        "reasons": "; ".join(reasons),
        "rows": score_rows({"scores": found["scores"]}),
        "counts": counts(found["n_cases"], found["n_patients"]),
    }


def earlier_rows(evaluation: Record) -> list[dict[str, str]]:
    """Results of earlier openings of this test, oldest first; the first of them stands."""
    met = {True: "met", False: "not met", None: ""}
    return [
        {
            "number": str(row.get("number", "")),
            "date": str(row.get("time", ""))[:10],
            "model": str(row.get("model") or "")[7:19],
            "endpoint": str(row.get("primary_endpoint", "")),
            "score": in_words({"interval": row["interval"]}) if row.get("interval") else "not defined",
            "counts": counts(row["n_cases"], row["n_patients"]),
            "met": met.get(row.get("endpoint_met"), ""),
        }
        for row in evaluation.get("earlier") or []
    ]


def correction_sentence(evaluation: Record) -> str:
    """Whose truths were corrected since the first opening of this test; "" where none was."""
    found = evaluation.get("correction")
    if not found:
        return ""
    if "unknown" in found:
        return (
            f"The truths of {found['n_corrected']} test cases were corrected after the test had been opened; whether only where "
            f"the model had been wrong cannot be told: {found['unknown']}."
        )
    return correction_words(found)


def decision_charts(evaluation: Record) -> list[dict[str, Any]]:
    """A decision curve by finding, with what its prevalence is."""
    found = (evaluation.get("curves") or {}).get("decision") or {}
    return [
        {
            "name": name,
            "chart": Markup(decision_chart(name, curve)),
            "note": f"{'stated prevalence' if curve.get('is_stated_prevalence') else 'prevalence of these cases'} "
            f"{100 * curve['prevalence']:.3g} %; {curve.get('method', '')}; {counts(curve['n_cases'], curve['n_patients'])}"
            if "prevalence" in curve and "n_cases" in curve
            else "",
        }
        for name, curve in found.items()
    ]


def risk_charts(evaluation: Record) -> list[Markup]:
    found = (evaluation.get("curves") or {}).get("risk_coverage") or {}
    return [Markup(risk_chart(curve)) for curve in found.values() if isinstance(curve, Mapping) and curve.get("coverage")]
