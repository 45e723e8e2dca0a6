"""What the report says of refusal: how many cases of each partition were refused or warned of, why, and by which limits."""

from __future__ import annotations

from typing import Any

from overread.reading.refusal.concern import CODES
from overread.reporting.given import Record
from overread.reporting.words import PARTITIONS

MODES = {"on": "refused", "warn": "answered with a warning, as the settings ask"}


def refusal_section(name: str, found: Record) -> dict[str, Any]:
    """What the report shows of refusal.json."""
    return {
        "name": name,
        "told": _told(found),
        "rows": [_row(partition, counts) for partition, counts in found["partitions"].items()],
        "notes": found["notes"],
        "named": [one for partition, counts in found["partitions"].items() if partition != "tuning" for one in counts["named"]],
    }


def _told(found: Record) -> str:
    content, cases = found["content"], found["cases"]
    rests = (
        f"An image unlike those of training is {MODES[found['mode']]}. What is normal was learned from {cases['training']} "
        f"training cases, the limits from {cases['tuning']} tuning cases of {content['patients']} patients"
    )
    if all(part["refuse"] is None for part in content["parts"]):
        return f"{rests}; they are too few for a limit of the content, so images are judged by their headers alone."
    share = f"{100 * content['refused']:.2g} %"
    return f"{rests}. Of new patients like these, at most about {share} are expected to be refused for their content alone."


def _row(partition: str, counts: Record) -> dict[str, Any]:
    cases, refused, warned = counts["cases"], sum(counts["refused"].values()), sum(counts["warned"].values())
    return {
        "partition": PARTITIONS.get(partition, partition),
        "cases": cases,
        "refused": _share(refused, cases),
        "warned": _share(warned, cases),
        "why": _reasons(counts["refused"], counts["warned"]),
        "effect": "beyond the limit, and answered all the same: decisions are fitted on all" if partition == "tuning" else "",
    }


def _share(number: int, cases: int) -> str:
    return f"{number} ({100 * number / cases:.1f} %)"


def _reasons(refused: Record, warned: Record) -> str:
    every = {code: refused.get(code, 0) + warned.get(code, 0) for code in (*refused, *warned)}
    return "; ".join(f"{CODES.get(code, code)} ({number})" for code, number in every.items())
