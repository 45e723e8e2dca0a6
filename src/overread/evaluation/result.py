"""What an evaluation gives back: the evaluation file as a dictionary, from which intervals can be asked by metric."""

from __future__ import annotations

from typing import Any

from overread.core.score import Interval


class Result(dict[str, Any]):
    """The content of `evaluation-<partition>.json`; `result["dice"]["liver"]` is an `Interval`."""

    def __missing__(self, key: str) -> dict[str, Interval]:
        found = {s["subject"]: Interval.from_dict(s["interval"]) for s in self["scores"] if s["metric"] == key}
        if not found:
            known = sorted({s["metric"] for s in self["scores"]})
            raise KeyError(f"no metric '{key}' in this evaluation; it has {', '.join(known)}")
        return found

    def as_dict(self) -> dict[str, Any]:
        return dict(self)

    def text(self) -> str:
        """A plain table for the terminal: one line per score."""
        rows = [
            (s["name"], s["subject"], _words(s), s["interval"]["method"], _counts(s["interval"]), s["role"])
            for s in self["scores"]
        ]
        header = ("score", "of", "value", "interval by", "cases / patients", "role")
        widths = [max(len(row[k]) for row in [header, *rows]) for k in range(len(header))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [header, *rows]
        ]
        word = ["PHANTOM: these numbers are about software, not about patients."] if self["is_phantom"] else []
        return "\n".join([*word, lines[0], "-" * len(lines[0]), *lines[1:], *(f"Note: {note}" for note in self["notes"])])


def _words(score: dict[str, Any]) -> str:
    interval, unit = score["interval"], f" {score['unit']}" if score["unit"] else ""
    if interval["estimate"] is None:
        return f"not defined: {interval['reason']}"
    if interval["low"] is None:
        return f"{interval['estimate']:.3f}{unit} (no interval: {interval['reason']})"
    return f"{interval['estimate']:.3f}{unit} ({interval['level']:.0%} {interval['low']:.3f} to {interval['high']:.3f})"


def _counts(interval: dict[str, Any]) -> str:
    return f"{interval['n_cases']} / {interval['n_patients']}"
