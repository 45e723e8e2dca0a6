"""An evaluation in words, narrow enough for a terminal: one line per score, methods in a legend."""

from __future__ import annotations

import re
from typing import Any

from overread.cli.verb import PHANTOM
from overread.core.score import Interval
from overread.evaluation.result import Result
from overread.reporting.of_images import task_title

PARTITIONS = {"tuning": "tuning cases", "internal": "the internal test", "answers": "the given answers"}
VERDICTS = {True: "met", False: "not met", None: "no margin was set, so it is neither met nor missed"}
ROLES = {
    "primary": "Primary endpoint",
    "declared": "Declared endpoints",
    "tuning": "Scores",
    "exploratory": "Exploratory: not declared before the answers were scored",
}


def describe(result: Result) -> str:
    """What was scored, what was declared before, the scores with their intervals, and the operating points."""
    lines = [
        f"{task_title(result['task'])} on {cases_of(result['partition'])}: {counts(result['n_cases'], result['n_patients'])}."
    ]
    if result["is_phantom"]:
        lines.append(PHANTOM)
    lines += _opening(result["opening"])
    methods: dict[str, str] = {}  # method -> letter
    for role, title in ROLES.items():
        scores = [score for score in result["scores"] if score["role"] == role and not _is_detail(score)]
        if scores:
            lines += ["", f"{title}:", *_table(scores, methods)]
    lines += ["", *(f"({letter}) {method}" for method, letter in methods.items())] if methods else []
    lines += ["", *(_point(point) for point in result["operating_points"])] if result["operating_points"] else []
    lines += _moved(result.get("external"))
    lines += _baseline(result.get("baseline", []))
    return "\n".join([*lines, "", *(f"Note: {note}" for note in result["notes"])]).rstrip()


def _is_detail(score: dict[str, Any]) -> bool:
    """Probabilities of voxels have a dozen scores per structure: what was not declared stands in the report."""
    told = ("voxel_ece", "voxel_slope", "voxel_observed_expected")
    return score["metric"].startswith("voxel_") and score["metric"] not in told and score["role"] not in ("primary", "declared")


def cases_of(partition: str) -> str:
    name = partition.removeprefix("external:")
    return PARTITIONS[partition] if name == partition else f"the external cohort '{name}'"


def _table(scores: list[dict[str, Any]], methods: dict[str, str]) -> list[str]:
    """One line per defined score; what is not defined is gathered by its reason."""
    intervals = [(score, Interval.from_dict(score["interval"])) for score in scores]
    rows = [
        (score["name"], score["subject"], _value(score, interval, methods))
        for score, interval in intervals
        if interval.estimate is not None
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    lines = [f"  {name:<{widths[0]}}  {subject:<{widths[1]}}  {value}" for name, subject, value in rows]
    missing: dict[str, list[str]] = {}
    for score, interval in intervals:
        if interval.estimate is None:
            missing.setdefault(f"{score['subject']}, {interval.reason}", []).append(score["name"])
    return [*lines, *(f"  not defined ({why}): {', '.join(names)}" for why, names in missing.items())]


def _value(score: dict[str, Any], interval: Interval, methods: dict[str, str]) -> str:
    unit = f" {score['unit']}" if score["unit"] else ""
    counts = f"{interval.n_cases} / {interval.n_patients}"
    if interval.low is None or interval.high is None:
        return f"{interval.estimate:.3f}{unit} (no interval: {interval.reason}), {counts}"
    method = re.sub(r"(effective number of cases) [\d.]+", r"\1", interval.method)  # the number differs from score to score
    method += f"; {interval.reason}" if interval.reason else ""
    letter = methods.setdefault(method, _letter(len(methods)))
    return f"{interval.estimate:.3f}{unit} ({interval.level:.0%} {interval.low:.3f} to {interval.high:.3f}), {counts} ({letter})"


def _letter(number: int) -> str:
    """0 is a, 25 is z, 26 is aa, as the columns of a spreadsheet."""
    return (_letter(number // 26 - 1) if number >= 26 else "") + chr(ord("a") + number % 26)


def counts(cases: int, patients: int) -> str:
    return f"{cases} case{'s' * (cases != 1)} of {patients} patient{'s' * (patients != 1)}"


def _opening(opening: dict[str, Any] | None) -> list[str]:
    if opening is None:
        return []
    return [
        f"Opening number {opening['number']} of this test; in the ledger as {opening['hash'][:19]}...",
        f"Hypothesis: {opening['hypothesis']}",
        f"Primary endpoint: {opening['primary_endpoint']}, {VERDICTS[opening['endpoint_met']]}.",
    ]


def _moved(external: dict[str, Any] | None) -> list[str]:
    """An external cohort: what was declared, there, at home, and the difference; and how the patients differ."""
    if external is None:
        return []
    home = "the internal test" if external["compared_with"] == "internal" else "tuning cases"
    lines = ["", f"External minus {home} (declared scores; all others in the evaluation file):"]
    for row in external["drop"]:
        gap = Interval.from_dict(row["difference"])
        if row["role"] in ("primary", "declared") and gap.estimate is not None:
            here, there = row["external"]["estimate"], row["reference"]["estimate"]
            ends = "no interval" if gap.low is None else f"{gap.level:.0%} {gap.low:+.3f} to {gap.high:+.3f}"
            lines.append(
                f"  {row['name']} {row['subject']}: {here:.3f} against {there:.3f}, difference {gap.estimate:+.3f} ({ends})"
            )
    unlike = [row for row in external["shift"] if row["unlike"]]
    lines += ["", "Patients that differ:"] if unlike else []
    for row in unlike:
        form = ".0%" if row["kind"] == "share" else ".4g"
        here, there = row["external"]["estimate"], row["reference"]["estimate"]
        lines.append(f"  {row['what']} {row['of']}".rstrip() + f": {here:{form}} against {there:{form}}")
    return lines


def _baseline(rows: list[dict[str, str]]) -> list[str]:
    """Phantoms: what needs no network, to stand beside the scores."""
    if not rows:
        return []
    reached = [f"  {row['score']} of {row['of']} {row['value']}: {row['method']}" for row in rows]
    return ["", f"A plain threshold without any network reaches (interval: {rows[0]['interval']}):", *reached]


def _point(point: dict[str, Any]) -> str:
    reached = [f"{name} {point[name]:.3f}" for name in ("sensitivity", "specificity") if point.get(name) is not None]
    words = f" ({', '.join(reached)} there)" if reached else ""
    chosen = f"by the rule {point['rule']}, fitted on {point['fitted_on']}"
    return f"Operating point for {point['class_name']}: {point['threshold']:.3f}, {chosen}{words}"
