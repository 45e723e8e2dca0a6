"""Every run of a project that was evaluated, with the one score that the chart shows. Nothing is opened here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from overread.core.errors import OverreadError
from overread.metrics.table import default_endpoint, resolve_endpoint
from overread.record.files import read_json
from overread.record.run import RunFolder
from overread.workflow.ensembles.record import FILE as ENSEMBLE
from overread.workflow.project import Project

NETWORK, TOGETHER, BASELINE, ELSEWHERE = "network", "ensemble", "baseline", "answers of another program"


@dataclass(frozen=True)
class Tried:
    """One run.

    run    its folder, and that of the model whose cost is measured; of folds the first one that has a model
    score  as it stands in the evaluation: metric, subject, interval ...
    """

    name: str
    kind: str
    run: RunFolder
    score: Mapping[str, Any]

    @property
    def has_network(self) -> bool:
        return self.kind in (NETWORK, TOGETHER)


def endpoint_of(project: Project, evaluations: Sequence[Mapping[str, Any]]) -> str:
    """The primary endpoint: as it was declared before an opening, else of project.toml, else that of the task."""
    declared = {opening["primary_endpoint"] for e in evaluations if (opening := e.get("opening"))}
    if len(declared) == 1 and (said := declared.pop()):
        return str(said)
    return project.settings.evaluation.primary_endpoint or default_endpoint(project.question)


def tried(project: Project, on: str) -> tuple[list[Tried], str]:
    """The runs with an evaluation on this partition, and the endpoint "metric/subject" that they are compared by.

    on  "tuning" or "internal"; of the internal test only what was evaluated before is read
    """
    evaluations = {name: made for name in project.runs() if (made := _evaluation(project.run(name), on)) is not None}
    if not evaluations:
        raise OverreadError(
            f"No run of this project was evaluated on {on}, so there is nothing to draw.",
            f"`{project.command('evaluate', '--on', on)}`" if on == "tuning" else "leave --on out for the tuning cases",
        )
    metric, subject = resolve_endpoint(project.question, endpoint_of(project, list(evaluations.values())))
    key = f"{metric.key}/{subject}"
    found = []
    for name, evaluation in evaluations.items():
        score = next((s for s in evaluation["scores"] if (s["metric"], s["subject"]) == (metric.key, subject)), None)
        if score is None:
            again = f"`{project.command('evaluate', '--run', name)}`"
            raise OverreadError(f"The evaluation of run '{name}' on {on} has no {key}.", f"evaluate it again: {again}")
        run = _with_model(project, name)
        found.append(Tried(name, _kind(project.run(name), run), run, score))
    return found, key


def _evaluation(run: RunFolder, on: str) -> Mapping[str, Any] | None:
    path = run.evaluation(on)
    return dict(read_json(path)) if path.is_file() else None


def _with_model(project: Project, name: str) -> RunFolder:
    folds = [project.run(name, fold) for fold in project.folds]
    return next((run for run in folds if (run.model / "model.json").exists()), project.run(name))


def _kind(whole: RunFolder, run: RunFolder) -> str:
    if (run.model / "model.json").exists():
        return TOGETHER if (run.path / ENSEMBLE).exists() else NETWORK
    parts = [whole.path, *sorted(whole.path.glob("fold-*"))]
    return BASELINE if any((path / "baseline.json").exists() for path in parts) else ELSEWHERE
