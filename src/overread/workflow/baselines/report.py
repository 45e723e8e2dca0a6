"""What hand-made features reach on the same cases, for the report: what does the network add?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overread.core.errors import OverreadError
from overread.record.files import read_json
from overread.record.run import RunFolder
from overread.workflow.baseline import DEFAULT_NAME
from overread.workflow.compare import compare
from overread.workflow.project import Project
from overread.workflow.scoring.openings import file_word

FILE = "baseline.json"


def fitted_baseline(run: RunFolder) -> dict[str, Any] | None:
    """What `overread baseline` wrote of a run: of the first fold where there are several; None where it is no baseline."""
    for path in (run.path / FILE, *sorted(run.path.glob(f"fold-*/{FILE}"))):
        if path.exists():
            return {name: value for name, value in read_json(path).items() if name != "names"}
    return None


def beside_baseline(project: Project, run: RunFolder, evaluations: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """By partition: the run less the baseline, paired; nothing for a run that is a baseline, or where none was evaluated.

    "baseline" (name of its run), "chosen", "reference" and "model" (their scores), "comparisons" (see `overread compare`),
    "reason" where the two cannot be paired
    """
    if fitted_baseline(run) is not None:
        return {}
    found = {}
    for partition in evaluations:
        name = _evaluated(project, partition)
        if name is not None and run.evaluation(file_word(partition)).exists():
            found[partition] = _paired(project, name, run, partition)
    return found


def _evaluated(project: Project, partition: str) -> str | None:
    """The baseline that was evaluated on a partition: the one called so, else the first by name."""
    names = [
        name
        for name in sorted(project.runs(), key=lambda n: (n != DEFAULT_NAME, n))
        if fitted_baseline(project.run(name)) is not None and project.run(name).evaluation(file_word(partition)).exists()
    ]
    return names[0] if names else None


def _paired(project: Project, name: str, run: RunFolder, partition: str) -> dict[str, Any]:
    baseline = project.run(name)
    told = {
        "baseline": name,
        "chosen": (fitted_baseline(baseline) or {})["chosen"],
        "reference": read_json(baseline.evaluation(file_word(partition)))["scores"],
        "model": read_json(run.evaluation(file_word(partition)))["scores"],
    }
    try:
        found = compare([project.path], runs=[name, run.name], on=file_word(partition))
    except OverreadError as error:
        return {**told, "comparisons": [], "reason": str(error)}
    return {**told, "comparisons": found["comparisons"], "reason": ""}
