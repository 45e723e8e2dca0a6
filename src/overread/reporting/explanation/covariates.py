"""The section on a baseline: what clinical columns and the features of the image brought to its answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from overread.reporting.charts.contributions import contribution_chart
from overread.reporting.page_parts import Block, Chart, Part, Section, Table, Words

SHOWN = 12  # cases in a table, those whose answers lie furthest from the usual one
FAMILIES = {"hog": "directions of edges", "tiles": "parts of the picture", "body": "shape of the body"}
HOW = (
    "Shapley values: a group of features that is left out takes the values of training cases, all others keep the case's own, "
    "and the answer is compared with and without the group, over every order in which groups may join. The values of a case add "
    "up to its answer less the usual answer."
)
LIMITS = (
    "This says what the model made of its features, not what causes the disease. A feature that goes along with another one may "
    "get nothing although either would do; and combinations are asked about that no patient has."
)


def covariates_section(part: Part) -> Section:
    record = part.record
    blocks: list[Block] = [Words(HOW)]
    for target in record["targets"]:
        blocks += _of_target(record, target)
    blocks.append(Words(f"{_sampling(record)} {LIMITS}"))
    title = "Image and clinical values" if record.get("is_network") else "What the baseline goes by"
    return Section("covariates", title, _lead(record), blocks)


def _lead(record: Mapping[str, Any]) -> str:
    target = record["targets"][0]
    first = _by_size(target)[0]
    if record.get("is_network"):
        shares = ", ".join(f"{_name(row)} {row['share']:.0%}" for row in _by_size(target))
        return (
            f"What moved the network's {_what(target)}, over {record['n_cases']} tuning cases of {record['n_patients']} "
            f"patients: {shares} of all contributions together."
        )
    return (
        f"{record['chosen'].capitalize()}, asked about {record['n_cases']} tuning cases of {record['n_patients']} patients: most "
        f"came from {_name(first)}, which moved the {_what(target)} by {first['mean_absolute']:.3g} on average."
    )


def _of_target(record: Mapping[str, Any], target: Mapping[str, Any]) -> list[Block]:
    rows = _by_size(target)
    what = _what(target)
    chart = contribution_chart(
        f"Contributions to {what}", target["unit"] or "probability", [(_name(row), row["mean_absolute"]) for row in rows]
    )
    table = Table(
        f"Groups of features, {what}",
        ("group", "features", "mean size", "largest"),
        [(_name(row), row["features"], _number(row["mean_absolute"]), _number(row["largest"])) for row in rows],
        f"the usual answer, of {record['n_background']} training cases, is {target['usual']:.3g}",
    )
    groups = [row["group"] for row in rows]
    cases = sorted(target["cases"], key=lambda case: -abs(case["answer"] - target["usual"]))[:SHOWN]
    each = Table(
        f"Case by case, {what}",
        ("case", "answer", *(_name(row) for row in rows)),
        [(case["case_id"], _number(case["answer"]), *(_signed(case["values"][group]) for group in groups)) for case in cases],
        f"{len(cases)} of {record['n_cases']} cases, the answers furthest from the usual one; the values of a row and the usual "
        "answer add up to the answer",
    )
    return [Chart(Markup(chart), f"mean size of what each group brought to the {what}"), table, each]


def _sampling(record: Mapping[str, Any]) -> str:
    if record["is_exact"]:
        return "Every combination of groups was asked, so the values are exact."
    errors = [row["largest_error"] for target in record["targets"] for row in target["groups"]]
    return (
        f"Groups joined in {record['permutations']} random orders; the standard error of a value from that is {max(errors):.2g} "
        "at most."
    )


def _by_size(target: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return sorted(target["groups"], key=lambda row: -row["mean_absolute"])


def _name(row: Mapping[str, Any]) -> str:
    if row["is_clinical"] or row["group"] == "image":
        return str(row["group"])
    channel, _, family = str(row["group"]).partition(", ")
    return f"{FAMILIES.get(family, family)} ({channel})"


def _what(target: Mapping[str, Any]) -> str:
    return f"{target['target']} in {target['unit']}" if target["unit"] else f"probability of {target['target']}"


def _number(value: float) -> float:
    return round(value, 3) if abs(value) < 10 else float(f"{value:.4g}")


def _signed(value: float) -> str:
    return f"{value:+.3f}" if abs(value) < 10 else f"{value:+.3g}"
