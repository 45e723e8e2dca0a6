"""The tables of the audit's page, from the rows that the audit's parts give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from overread.audit.audited import called
from overread.core.score import Interval
from overread.reporting.audit_page import AuditTable

Row = Mapping[str, Any]


def tables_of(tables: Mapping[str, Any]) -> tuple[AuditTable, ...]:
    """Counts, probes, marks, acquisition and expected intervals; a table without rows is left out."""
    found = (
        _labels(tables["labels"]),
        _objects(tables["objects"]),
        _probes(tables["probes"]),
        _marks(tables["marks"]),
        _acquisition(tables["acquisition"]),
        _size(tables["size"]["intervals"]),
        _power(tables["size"]["comparisons"]),
    )
    return tuple(table for table in found if table.rows)


def _labels(counts: Mapping[str, Mapping[str, Mapping[str, int | None]]]) -> AuditTable:
    rows = [
        (called(partition) or "all", name, of["cases"], of["patients"])
        for partition, classes in counts.items()
        for name, of in classes.items()
    ]
    is_sealed = any(None in row for row in rows)
    note = "A dash: under seal, where cases are counted and patients are not." if is_sealed else ""
    return AuditTable("Cases and patients of each class", ("part", "class", "cases", "patients"), rows, note, "labels")


def _objects(rows: Sequence[Row]) -> AuditTable:
    columns = ("part", "class", "images", "clean images", "with the class", "objects", "in one image", "longest edge")
    cells = [
        (called(row["partition"]) or "all", row["class"], row["images"], row["clean"], row["with"], row["objects"],
         _from_to(row["per_image"]), _from_to(row["longest"], f" {row['unit']}"))
        for row in rows
    ]  # fmt: skip
    note = (
        "Of truths that are open. In one image: median, and the fewest and most in images that hold one. "
        "Longest edge: median, and the 10th and 90th percentile."
    )
    return AuditTable("Objects of each class", columns, cells, note, "labels")


def _from_to(values: Sequence[float] | None, unit: str = "") -> str | None:
    return None if values is None else f"{values[1]:g} ({values[0]:g} to {values[2]:g}){unit}"


def _probes(table: Row) -> AuditTable:
    columns = ("what is guessed", "from", "area under the curve", "p", "would have been noticed from", "what came of it")
    rows = []
    for row in table.get("rows", ()):
        told = row["reason"] or ("tells it" if row["tells"] and row["kind"] == "label" else "")
        if row["strongest"] and row["tells"]:
            told += f": {', '.join(row['strongest'])}"
        rows.append((row["target"], row["probe"], _interval(row["interval"]), row["p"], row["noticed_from"], told))
    return AuditTable("What small models guess without seeing the anatomy", columns, rows, table.get("method", ""), "shortcut")


def _marks(table: Row) -> AuditTable:
    rows = [
        (row["target"], row["sign"], "; ".join(f"{level} {_interval(rate)}" for level, rate in row.get("shares", {}).items()),
         row.get("p"), row["reason"] or ("follows the label" if row["follows"] else ""))
        for row in table.get("rows", ())
    ]  # fmt: skip
    return AuditTable(
        "Burned-in marks", ("label", "mark", "share of films", "p", "what came of it"), rows, table.get("method", ""), "shortcut"
    )


def _acquisition(table: Row) -> AuditTable:
    columns = ("group", "against", "column", "standardised difference", "by chance up to", "p", "what came of it")
    rows = [
        (row["group"], row["other"], row.get("column", ""), row.get("difference"), row.get("by_chance"), row.get("p"),
         row["reason"] or ("beyond chance" if row.get("beyond_chance") else ""))
        for row in table.get("rows", ())
    ]  # fmt: skip
    return AuditTable("How images were acquired", columns, rows, table.get("method", ""), "acquisition")


def _size(rows: Sequence[Row]) -> AuditTable:
    columns = ("part", "score", "of", "assumed, and the interval to expect", "cases", "patients", "patients for ± 0.05")
    cells = [
        (row["part"], row["metric"], row["subject"], _interval(row["interval"]), row["interval"]["n_cases"],
         row["interval"]["n_patients"], row["patients_needed"])
        for row in rows
    ]  # fmt: skip
    note = "Before anything is trained: from counts and the assumptions of each score, which stand in audit.json."
    return AuditTable("How wide intervals will be", columns, cells, note, "size")


def _power(rows: Sequence[Row]) -> AuditTable:
    columns = ("part", "of", "power to see a gain", "smallest gain seen four times of five", "power of non-inferiority")
    cells = [
        (row["part"], row["subject"], f"{row['power_of_gain']:.0%} for {row['gain']:g}", row["smallest_gain"],
         f"{row['power_of_non_inferiority']:.0%} with a margin of {row['margin']:g}")
        for row in rows
    ]  # fmt: skip
    return AuditTable("What a comparison of two models on these cases can show (AUC)", columns, cells, "", "size")


def _interval(values: Row | None) -> str | None:
    if values is None:
        return None
    found = Interval.from_dict(dict(values))
    if found.estimate is None:
        return f"not defined: {found.reason}"
    if found.low is None or found.high is None:
        return f"{found.estimate:.2f} (no interval: {found.reason})"
    return f"{found.estimate:.2f} ({found.level:.0%} {found.low:.2f} to {found.high:.2f})"
