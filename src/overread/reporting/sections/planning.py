"""The plan of a training as rows of (what, value, reason)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_NOT_SHOWN = ("reasons", "format", "identity", "question", "expected")  # told elsewhere on the page, or of no use to a reader
_REASON_UNDER = {"network.name": "architecture"}
_NOUGHT = {"ema": "by the number of steps"}  # settings whose 0 leaves the choice to the program
_OFF = {"freeze": "none", "unfreeze": 0.0, "layer_decay": 1.0}  # choices that are told only where they were made
_UNITS = {
    "spacing": "mm (Z, Y, X)",
    "patch": "voxels (Z, Y, X)",
    "shape": "voxels (Z, Y, X)",
    "rotation_degrees": "degrees",
    "minutes": "minutes",
    "seconds_per_step": "s",
    "memory_gib": "GiB",
}


@dataclass(frozen=True)
class PlanRow:
    """One choice. An empty name is the heading of a group, whose reason covers the whole group."""

    group: str
    name: str
    value: str
    reason: str


def plan_rows(plan: Mapping[str, Any]) -> list[PlanRow]:
    """Every choice of a plan, plain values first, then table by table, with the reason where one was written."""
    reasons: Mapping[str, str] = plan.get("reasons") or {}
    shown = {key: value for key, value in plan.items() if key not in _NOT_SHOWN and not _is_empty(value)}
    shown = {key: value for key, value in shown.items() if _OFF.get(key) != value}
    plain = {key: value for key, value in shown.items() if not isinstance(value, Mapping)}
    rows, used = [], set()
    tables = {"": plain} | {key: value for key, value in shown.items() if isinstance(value, Mapping)}
    for group, table in tables.items():
        title = _words(group) if group else "training"
        used.add(group)
        rows.append(PlanRow(title, "", "", reasons.get(group, "") if group else ""))
        for key, value in _flat(table):
            if _is_empty(value):
                continue
            dotted = f"{group}.{key}" if group else key
            found = _reason_key(dotted, reasons, plain)
            used.add(found)
            last = key.rpartition(".")[2]
            told = _NOUGHT[last] if last in _NOUGHT and not value else value_words(value, _UNITS.get(last, ""))
            rows.append(PlanRow(title, _words(key), told, reasons.get(found, "")))
    rows += _stages(plan.get("expected") or {})
    rest = [(key, reason) for key, reason in reasons.items() if key not in used]
    if rest:
        rows.append(PlanRow("further choices", "", "", ""))
        rows += [PlanRow("further choices", _words(key), "", reason) for key, reason in rest]
    return [row for row, following in zip(rows, [*rows[1:], None], strict=True) if row.name or (following and following.name)]


def _stages(expected: Mapping[str, Any]) -> list[PlanRow]:
    """What each stage of the network began with, where that is not random for all."""
    lines = [str(line).partition(": ") for line in expected.get("stages", ())]
    title = "stages of the network, from the entry to the head"
    return [PlanRow(title, "", "", "")] * bool(lines) + [PlanRow(title, name, told, "") for name, _, told in lines]


def _reason_key(dotted: str, reasons: Mapping[str, str], plain: Mapping[str, Any]) -> str:
    """The key under which a choice's reason stands: the dotted name, else its last part if no plain choice has that name."""
    if dotted in _REASON_UNDER:
        return _REASON_UNDER[dotted]
    last = dotted.rpartition(".")[2]
    return dotted if dotted in reasons or (last != dotted and last in plain) else last


def _flat(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in table.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", value))
    return found


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, list | tuple | dict | str) and len(value) == 0)


def _words(key: str) -> str:
    return key.replace("_", " ").replace(".", ", ")


def value_words(value: Any, unit: str = "") -> str:
    """A setting as a reader writes it."""
    of = f" {unit}" if unit else ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if isinstance(value, int) and abs(value) >= 10_000:
        return f"{value:,}{of}"
    if isinstance(value, float):
        return f"{value:.4g}{of}"
    if isinstance(value, list | tuple):
        if value and all(isinstance(v, Mapping) for v in value):
            return "; ".join(", ".join(f"{k} {value_words(v)}" for k, v in row.items()) for row in value)
        is_size = bool(value) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in value)
        return ((" × " if is_size else ", ").join(value_words(v) for v in value) or "none") + of
    return f"{value}{of}"
