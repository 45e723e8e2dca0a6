"""Attribution methods on trial on real data: which of them fail, table of method by criterion with intervals.

    python benchmarks/explanation_trial.py --which kermany --labels
    python benchmarks/explanation_trial.py --which brain
    python benchmarks/explanation_trial.py --which kermany --project work/kermany-15min --limit 40

kermany  2,002 paediatric chest films, pneumonia or not; nobody drew the pneumonia, so localisation is not tried
brain    330 slices of brain MR, tumours outlined: instances, with the project's own outlines as truth

Projects and runs of `kermany.py` and `objects_2d.py` are used where they lie in `work/`; a run that is missing is trained. A
second training with another seed gives maps to compare with. Only tuning cases are read; no seal is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kermany
import objects_2d
from common import WORK, Started, parser, run, say_result, table, write_result
from runs import interval_text, train_or_resume

from overread.cli.progress import reporter
from overread.reporting.explanation.trial import caught
from overread.workflow.project import Project
from overread.workflow.trial import trial

MARKS = {"passed": "+", "failed": "-", "not tried": " "}


@dataclass(frozen=True)
class Set:
    """A collection: where its project lies, how it is made, what its run is called."""

    folder: str
    make: Callable[[Path], Project]
    run: str
    minutes: float


SETS = {
    "kermany": Set("kermany-15min", kermany.open_or_init, kermany.RUN, 15.0),
    "brain": Set("objects-brain", lambda folder: objects_2d.open_or_init(folder, objects_2d.SETS["brain"]), "auto-30min", 30.0),
}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--which", choices=SETS, required=True)
    options.add_argument("--project", type=Path, help="folder of the project; that of the other benchmark where not given")
    options.add_argument("--run", help="of that project; that of the other benchmark where not given")
    options.add_argument("--minutes", type=float, help="of every training that is still to be made")
    options.add_argument("--method", default="", help="some methods, joined by commas; all otherwise")
    options.add_argument("--limit", type=int, default=30, help="tuning cases at most")
    options.add_argument("--no-seed", action="store_true", help="leave out the second training with another seed")
    options.add_argument("--labels", action="store_true", help="train once more on shuffled truths")
    asked, started = options.parse_args(), Started()
    chosen = SETS[asked.which]
    project = chosen.make(asked.project or WORK / chosen.folder)
    name, minutes = asked.run or chosen.run, asked.minutes or chosen.minutes
    took = {} if has_model(project, name) else {name: train_or_resume(project, name, minutes)}
    seeds = [] if asked.no_seed else [f"{name}-seed-1"]
    for other in seeds:
        if not has_model(project, other):
            took[other] = train_or_resume(project, other, minutes, overrides={"training.seed": "1"})
    found = trial(
        project,
        name,
        methods=[word for word in asked.method.split(",") if word],
        limit=asked.limit,
        labels=asked.labels,
        minutes=minutes if asked.labels else None,
        seeds=seeds,
        progress=reporter(),
    )
    settings = {"which": asked.which, "run": name, "limit": asked.limit, "labels": asked.labels, "seeds": seeds}
    settings |= {"n_cases": found["n_cases"], "n_patients": found["n_patients"], "n_drawn": found["n_drawn"]}
    rows = [*found["methods"], *found["controls"]]
    figures = {
        "trainings": took,
        "methods": {row["method"]: figures_of(row) for row in found["methods"]},
        "controls": {row["method"]: figures_of(row) for row in found["controls"]},
        "escaped": found["escaped"],
        "refused": found["refused"],
    }
    spread = {"intervals": f"bootstrap by patient, {found['level']:.0%}"}
    stem = f"explanation-trial-{asked.which}"
    path = write_result(stem, started, settings=settings, figures=figures, spread=spread, notes=found["notes"])
    say_result(path, [*lines_of(rows), "", doubt(found)])


def has_model(project: Project, name: str) -> bool:
    return (project.run(name).model / "model.json").exists()


def figures_of(row: Mapping[str, Any]) -> dict[str, Any]:
    criteria = {
        each["criterion"]: {
            "verdict": each["verdict"],
            "interval": each["interval"],
            "beside": each["beside"],
            "why": each["why"],
        }
        for each in row["criteria"]
    }
    return {"verdict": row["verdict"], "why": row["why"], "parameters": row["parameters"], "criteria": criteria}


def lines_of(rows: list[dict[str, Any]]) -> list[str]:
    tried = {c["criterion"]: c["title"] for row in rows for c in row["criteria"] if c["verdict"] != "not tried"}
    cells = []
    for row in rows:
        by_key = {c["criterion"]: c for c in row["criteria"]}
        cells.append([row["title"], row["verdict"], *(cell(by_key[key]) for key in tried)])
    return table(["method", "verdict", *tried.values()], cells)


def cell(found: Mapping[str, Any]) -> str:
    if found["interval"] is None or found["verdict"] == "not tried":
        return ""
    return f"{MARKS[found['verdict']]} {interval_text(found['interval'], 2)}"


def doubt(found: Mapping[str, Any]) -> str:
    if found["escaped"]:
        return f"The trial is in doubt: {'; '.join(found['escaped'])}."
    missed = [row["title"] for row in found["controls"] if not caught(row)]
    return f"Could not be tried: {', '.join(missed)}." if missed else "Every control failed what it must fail."


if __name__ == "__main__":
    run(main)
