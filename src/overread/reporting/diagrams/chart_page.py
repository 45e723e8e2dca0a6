"""The page of `overread chart`: accuracy against parameters, multiplications and seconds, and what the chart cannot say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from overread.reporting.diagrams.scatter import scatter
from overread.reporting.diagrams.sheet import sheet
from overread.reporting.diagrams.words import count, seconds
from overread.reporting.page_parts import Block, Chart, Section, Table, Words

Result = Mapping[str, Any]
AXES = {
    "seconds": ("Seconds for one case", "seconds per case, one case read on this machine"),
    "macs": ("Multiplications for one case", "multiplications per case"),
    "parameters": ("Parameters", "learned numbers of all its networks"),
}
PARTITIONS = {"tuning": "tuning cases", "internal": "the internal test"}
COLUMNS = ("run", "made of", "score", "parameters", "multiplications", "seconds per case", "on the front of")
FRONT = (
    "Filled and joined: runs that no other beats, none being at least as accurate and as cheap and better in one of the two "
    "(Pareto's front). It goes by the estimates alone, and a single other case may move it. Squares: ensembles. Dashed: runs "
    "without a network here."
)


def chart_page(result: Result) -> str:
    """The page as HTML that needs nothing else."""
    name = result["endpoint_name"] + (f" ({result['endpoint'].partition('/')[2]})" if "/" in result["endpoint"] else "")
    unit = f", {result['unit']}" if result["unit"] else ""
    better = {"higher": "higher is better", "lower": "lower is better"}.get(result["better"], "")
    drawn: list[Block] = [Words(note) for note in result["notes"][:1]]
    for cost, (title, label) in AXES.items():
        svg = scatter(
            result["runs"], cost, result["front"][cost], title=f"{title} ({better})" if better else title, x_label=label,
            y_label=f"{name}{unit}",
        )  # fmt: skip
        drawn.append(Chart(Markup(svg), FRONT if cost == "seconds" else ""))
    partition = PARTITIONS[result["partition"]]
    sections = [
        Section("chart", "Accuracy against cost", f"Every run of this project that was evaluated on {partition}.", drawn),
        Section("table", "Runs", "With the interval of each score.", [_table(result), *(Words(n) for n in result["notes"][1:])]),
    ]
    lead = f"{len(result['runs'])} runs on one question: what does more cost buy?"
    footer = "Costs were measured on one machine in one go; another machine may order them otherwise."
    return sheet(result["project"], "Accuracy and cost", lead, sections, footer, is_phantom=result["is_phantom"])


def rows_of(result: Result) -> list[tuple[str, ...]]:
    """One row of `COLUMNS` per run, in words; the best score first."""
    sign = 1 if result["better"] == "lower" else -1
    ordered = sorted(result["runs"], key=lambda r: (r["estimate"] is None, sign * (r["estimate"] or 0.0)))
    return [
        (
            row["run"],
            made_of(row),
            score_of(row),
            *((count(row["parameters"]), count(row["macs"]), seconds(row["seconds"])) if row["seconds"] else ("none",) * 3),
            ", ".join(word for cost, word in NAMES.items() if row["run"] in result["front"][cost]) or "–",
        )
        for row in ordered
    ]


NAMES = {"parameters": "parameters", "macs": "multiplications", "seconds": "seconds"}


def made_of(row: Mapping[str, Any]) -> str:
    if not row["networks"]:
        return str(row["kind"])
    names = ", ".join(row["networks"])
    return names if row["members"] == 1 else f"ensemble of {row['members']}: {names}"


def score_of(row: Mapping[str, Any]) -> str:
    if row["estimate"] is None:
        return f"not defined: {row['reason']}"
    if row["low"] is None or row["high"] is None:
        return f"{row['estimate']:.3f} (no interval: {row['reason']})"
    return f"{row['estimate']:.3f} ({row['low']:.3f} to {row['high']:.3f})"


def conditions(result: Result) -> str:
    """Under which the costs were measured."""
    where = f"{result['machine']['processor']}, {result['threads']} thread{'s' if result['threads'] > 1 else ''}"
    if result["device"] != "cpu":
        where = f"{result['device']}, {where}"
    case = f" Every model read the same tuning case, {result['read']}." if result["read"] else ""
    return (
        f"Seconds are the median of {result['repeats']} readings on this machine ({where}), without loading and preparing.{case}"
    )


def _table(result: Result) -> Table:
    levels = {row["level"] for row in result["runs"]}
    interval = f"Scores with their {levels.pop():.0%} interval. " if len(levels) == 1 else ""
    counts = {row["n_cases"] for row in result["runs"]}
    cases = f"{counts.pop()} cases. " if len(counts) == 1 else ""
    return Table(
        f"{result['endpoint_name']} on {PARTITIONS[result['partition']]}",
        COLUMNS,
        rows_of(result),
        interval + cases + conditions(result),
    )
