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
