"""What a trial has measured lies in the run, so that one that was stopped goes on, and a second one measures only what is new."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from overread.core.case import Case
from overread.explanation.trial.criterion import Measured
from overread.record.files import digest_json, read_json, write_json
from overread.record.run import RunFolder

FILE = "trial-measured.json"


class KeptInRun:
    """Measurements of one model and one set of cases; what belongs to others is thrown away."""

    def __init__(self, run: RunFolder, model: str, cohort: str, cases: Sequence[Case]) -> None:
        self.path: Path = run.path / "explanation" / FILE
        self._of = digest_json([model, cohort, [case.case_id for case in cases]])
        self._found: dict[str, Any] = {}
        if self.path.exists():
            before = read_json(self.path)
            self._found = before["measured"] if before["of"] == self._of else {}

    def get(self, key: str) -> Measured | None:
        found = self._found.get(key)
        return None if found is None else Measured(**found)

    def put(self, key: str, measured: Measured) -> None:
        """Written at once: whoever is stopped loses the criterion that was under way, and no other."""
        self._found[key] = measured.as_dict()
        write_json(self.path, {"format": 1, "of": self._of, "measured": self._found})

    def __len__(self) -> int:
        return len(self._found)
