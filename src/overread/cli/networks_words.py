"""What `overread networks` says on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from overread.reporting.diagrams.page import (
    LAYER_COLUMNS,
    SERVES,
    comparison_rows,
    field_words,
    layer_cells,
    line_below,
    measured_how,
    option,
)
from overread.reporting.diagrams.words import memory

Facts = Mapping[str, Any]


def list_text(result: Facts) -> str:
    rows = [
        (row["name"], " ".join(f"{n}D" for n in row["dimensions"]), ", ".join(row["serves"]), row["paper"])
        for row in result["networks"]
    ]
    used = {serves for row in result["networks"] for serves in row["serves"]}
    legend = [f"{key}: {meaning}" for key, meaning in SERVES.items() if key in used]
    return "\n".join([*table(("network", "reads", "serves", "paper"), rows), "", *legend])


def network_text(facts: Facts) -> str:
    """Totals, options, and the layers that learn or change a size."""
    title = f"{facts['name']}, {facts['dimensions']}D: {SERVES[facts['serves']]}"
    lines = [f"{facts['trained']['name']}: {title}" if "trained" in facts else title, f"  {line_below(facts)}"]
    lines.append(
        f"  memory: {memory(facts['layer_bytes'])} of answers, of which a training step keeps {memory(facts['training_bytes'])}"
    )
    lines.append(f"  reads: {field_words(facts['reads'])}")
    lines.append(f"  paper: {facts['paper']}; licence of the code: {facts['licence']}")
    if facts["options"]:
        lines += ["", *table(("option", "here", "default"), _options(facts))]
    shown = [row for row in facts["layers"]["rows"] if row["macs"] or row["parameters"]]
    cells = [layer_cells(row, has_regions=facts["has_regions"]) for row in shown]
    rows = [tuple(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row) for row in cells]
    lines += ["", *table(LAYER_COLUMNS, rows, right=(3, 4, 5))]
    left_out = len(facts["layers"]["rows"]) - len(rows)
    if left_out:
        lines.append(f"{left_out} layers that neither learn nor multiply are left out; --json and --out PAGE.html have them.")
    return "\n".join([*lines, *([f"Written: {facts['written']}"] if "written" in facts else [])])


def _options(facts: Facts) -> list[tuple[str, str, str]]:
    defaults = facts["defaults"]
    return [(name, option(value), option(defaults[name]) if name in defaults else "") for name, value in facts["options"].items()]


def comparison_text(result: Facts) -> str:
    columns, rows = comparison_rows(result)
    cells = [tuple("not timed" if cell is None else str(cell) for cell in row) for row in rows]
    lines = [*table(columns, cells), "", measured_how(result)]
    for facts in result["networks"]:
        if facts["memory"]["advice"]:
            lines.append(f"{facts['name']} does not fit here: {facts['memory']['advice']}.")
    return "\n".join([*lines, *([f"Written: {result['written']}"] if "written" in result else [])])


def blocks_text(result: Facts, *, is_one: bool) -> str:
    if not is_one:
        rows = [(row["name"], _reads(row), row["value"], row["purpose"]) for row in result["blocks"]]
        said = "Written in [training.network] as blocks = [...]; `overread networks blocks NAME` has the options of one."
        return "\n".join([*table(("block", "reads", "value", "what for"), rows), "", said])
    row = result["blocks"][0]
    lines = [
        f"{row['name']}: {row['title']}",
        f"  {row['purpose']}",
        f"  paper: {row['paper']}",
        f"  reads: {_reads(row)} images",
    ]
    if row["value"]:
        lines.append(f"  its bare value: {row['value']}")
    lines += [f"  {name}={option(default)}" for name, default in row["options"].items()]
    return "\n".join(lines)


def _reads(row: Facts) -> str:
    return " ".join(f"{n}D" for n in row["dimensions"])


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Lines with cells below each other; the columns in `right` end at one place."""
    widths = [max(len(line[k]) for line in (columns, *rows)) for k in range(len(columns))]
    lines = []
    for row in (columns, *rows):
        cells = [
            cell.rjust(wide) if k in right else cell.ljust(wide) for k, (cell, wide) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
