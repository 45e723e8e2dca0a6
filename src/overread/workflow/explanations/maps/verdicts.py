"""What the trial of a model says of the methods that draw its maps. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from overread.record.files import read_json
from overread.reporting.page_parts import FORMAT

SUFFIX = ".trial.json"
NOT_TRIED = "not tried"


@dataclass(frozen=True)
class Judged:
    """The verdict on one method with its parameters.

    verdict   "passed", "failed", "incomplete" or "not tried"
    criteria  criterion -> "passed", "failed" or "not tried"
    why       in words
    """

    verdict: str = NOT_TRIED
    criteria: dict[str, str] = field(default_factory=dict)
    why: str = "nobody has put this method on trial for this model"

    @property
    def is_failed(self) -> bool:
        return self.verdict == "failed"


def judged(trial: Mapping[str, Any] | None, method: str, parameters: Mapping[str, Any]) -> Judged:
    """The verdict of the trial; one on other parameters says nothing of these."""
    rows = [row for row in (trial or {}).get("methods", ()) if row["method"] == method]
    if not rows:
        return Judged(why=Judged.why if trial is None else "the trial of this model did not try this method")
    wanted = plain(parameters)
    row = next((row for row in rows if plain(row["parameters"]) == wanted), None)
    if row is None:
        tried = "; ".join(words_of(each["parameters"]) or "its defaults" for each in rows)
        return Judged(why=f"the trial of this model tried it with other parameters ({tried})")
    criteria = {each["criterion"]: each["verdict"] for each in row["criteria"]}
    return Judged(row["verdict"], criteria, row["why"])


def trial_beside(model: Path, sha256: str) -> tuple[dict[str, Any] | None, str]:
    """The trial of a model that was given as a file or as a folder of a run, and what is to be said of it.

    The record lies beside the file (`NAME.trial.json`), or in the run that the folder belongs to; one of another model is
    not taken.
    """
    if model.is_dir():
        record = model.resolve().parent / "explanation" / "trial" / "record.json"
    else:
        record = model.with_name(f"{model.stem}{SUFFIX}")
    if not record.exists():
        return None, ""
    trial = read_json(record)
    if trial.get("format") != FORMAT:
        return None, f"{record.name} beside the model was written by another version of Overread; put the methods on trial again."
    if trial.get("model") != sha256:
        return None, f"{record.name} beside the model is the trial of another model, so it says nothing of this one."
    return trial, ""


def plain(parameters: Mapping[str, Any]) -> Any:
    """Parameters as they come back from a file."""
    return json.loads(json.dumps(dict(parameters)))


def words_of(parameters: Mapping[str, Any]) -> str:
    """``layer layer4, steps 32``; what is left to the method is not named."""
    return ", ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in parameters.items() if value is not None)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
