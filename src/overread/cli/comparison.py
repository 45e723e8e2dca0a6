"""A comparison in words: a sentence for each difference, what stands behind it, and how far runs lie apart."""

from __future__ import annotations

import textwrap
from typing import Any

from overread.cli.scores import cases_of, counts
from overread.cli.verb import PHANTOM
from overread.core.score import Interval

WIDTH = 98


def describe(result: dict[str, Any]) -> str:
    """Models on the same cases."""
    where = cases_of(result["partition"])
    lines = [f"Compared on {where}: {counts(result['n_cases'], result['n_patients'])}. Reference: {result['reference']}."]
    if result["is_phantom"]:
        lines.append(PHANTOM)
    lines += _starts(result["models"])
    for row in result["comparisons"]:
        lines += ["", *_comparison(row)]
    for row in result["spread"]:
        values = ", ".join("none" if v is None else f"{v:.3f}" for v in row["values"])
        lines += ["", *_wrapped(f"{row['model']}, {row['endpoint']} of each of its {row['over']}: {values} "
                                f"(SD {row['sd']:.3f}, range {row['range']:.3f})", "")]  # fmt: skip
    return "\n".join([*lines, *_notes(result)])


def _starts(models: list[dict[str, Any]]) -> list[str]:
    """What each began with, where they began with different weights."""
    told = {model["name"]: ", ".join(dict.fromkeys(filter(None, model.get("starts", ())))) for model in models}
    if len(set(told.values())) < 2:
        return []
    width = max(map(len, told))
    return ["Trained from:", *(f"  {name:<{width}}  {start or 'not known'}" for name, start in told.items())]


def describe_readers(result: dict[str, Any]) -> str:
    """Readers, and a model beside them."""
    lines = [f"{counts(result['n_cases'], result['n_patients'])}, readers {', '.join(result['readers'])}."]
    for row in result["scores"]:
        lines += ["", f"{row['name']}:", *_each(row)]
        width = max((len(title) for title in row["means"]), default=0)
        mean = "mean of " if row["each"] else ""
        lines += [f"  {mean}{title:<{width}}  {_interval(Interval.from_dict(v))}" for title, v in row["means"].items()]
        lines += [line for found in result["comparisons"] if found["metric"] == row["metric"] for line in _comparison(found)]
    return "\n".join([*lines, *_notes(result)])


def _each(row: dict[str, Any]) -> list[str]:
    """A line per reader, a column per condition."""
    if not row["each"]:
        return []
    width = max(len(name) for name in row["each"])
    wide = [max(len(title), 5) for title in row["columns"]]
    head = "  ".join(f"{title:>{w}}" for title, w in zip(row["columns"], wide, strict=True))
    lines = [f"  {name:<{width}}  {_cells(values, wide)}" for name, values in row["each"].items()]
    return [f"  {'':<{width}}  {head}", *lines] if len(row["columns"]) > 1 else lines


def _comparison(row: dict[str, Any]) -> list[str]:
    interval = Interval.from_dict(row["difference"])
    unit = f" {row['unit']}" if row["unit"] else ""
    values = ", ".join(f"{name} {value:.3f}{unit}" for name, value in row["values"].items())
    lines = [*_wrapped(row["sentence"], ""), f"  {row['endpoint']}: {values}"]
    method = "" if interval.method == "none" else f"{interval.method}; "
    lines += _wrapped(f"{method}{counts(interval.n_cases, interval.n_patients)}", "  ")
    return lines + (_wrapped(row["remark"], "  ") if row["remark"] else [])


def _cells(values: list[float], wide: list[int]) -> str:
    return "  ".join(f"{v:>{w}.3f}" for v, w in zip(values, wide, strict=False))


def _interval(interval: Interval) -> str:
    if interval.estimate is None or interval.low is None or interval.high is None:
        return str(interval)
    return f"{interval.estimate:.3f} ({interval.level:.0%} {interval.low:.3f} to {interval.high:.3f})"


def _notes(result: dict[str, Any]) -> list[str]:
    return ["", *(line for note in result["notes"] for line in _wrapped(f"Note: {note}", ""))] if result["notes"] else []


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
