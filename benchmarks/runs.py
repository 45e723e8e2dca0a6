"""Runs of a project, as benchmarks need them: trained once, tested once, every opening of a seal counted."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from common import RESULTS
from watch import MemoryWatch

from overread.cli.progress import reporter
from overread.core.errors import OverreadError
from overread.evaluation.result import Result
from overread.evaluation.sources.predictions import Predictions
from overread.record.events import read_events
from overread.record.files import read_json, write_json, write_text
from overread.record.run import RunFolder
from overread.workflow.project import Project

TRAINED = "benchmark.json"  # in the run's folder: what its training took
OPENINGS = RESULTS / "openings.jsonl"  # every opening by any benchmark, also of projects that were thrown away


def train_or_resume(
    project: Project,
    name: str,
    minutes: float,
    *,
    fold: int | None = None,
    overrides: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Train a run, go on with a stopped one, or leave a finished one alone; returns what it took.

    seconds  wall time of the last sitting: planning, training, fitting decisions, reading tuning and test images
    minutes  of training alone, over all sittings
    """
    run = project.run(name, fold)
    if is_frozen(run):
        _refuse_other_budget(run, minutes)
    else:
        began = time.monotonic()
        with MemoryWatch() as watch:
            project.train(
                minutes=minutes,
                fold=fold,
                name=name,
                resume=run.checkpoint.exists(),
                overrides=dict(overrides or {}),
                progress=reporter(),
            )
        write_json(run.path / TRAINED, {"seconds": round(time.monotonic() - began, 1), **watch.peak.as_dict()})
    finished = [event for event in read_events(run.events_path) if event["event"] == "finished"][-1]
    took = read_json(run.path / TRAINED) if (run.path / TRAINED).exists() else {}
    return {"minutes": finished["minutes"], "steps": finished["step"], "epochs": finished["epochs"], **took}


def is_frozen(run: RunFolder) -> bool:
    """Training came to its end, and the model was written afterwards."""
    names = [event["event"] for event in read_events(run.events_path)]
    return "finished" in names and "froze" in names[names.index("finished") :]


def _refuse_other_budget(run: RunFolder, minutes: float) -> None:
    begun = [event for event in read_events(run.events_path) if event["event"] == "started"][-1]
    if begun["minutes"] != minutes:
        raise OverreadError(
            f"Run '{run.name}' was trained for {begun['minutes']} minutes, not for {minutes}.", "give another --out"
        )


def examine_once(project: Project, name: str, declare: Mapping[str, Any], fold: int | None = None) -> Result:
    """Open the seal and score; a model that has been tested is not tested again, its evaluation is read."""
    path = project.run(name, fold).evaluation("internal")
    if path.exists():
        result = Result(read_json(path))
        asked = [project.run(name, k) for k in ([fold] if "folds" not in result else project.folds)]
        if _models(result) == [_model(project, run) for run in asked]:
            return result
    return project.evaluate(
        run_name=name,
        on="internal",
        fold=fold,
        declare=declare,
        progress=reporter(),
        tell=lambda line: print(line, file=sys.stderr),
        panels=False,
    )


def _models(result: Result) -> list[str]:
    return [row["model"] for row in result["folds"]] if "folds" in result else [result["model"]]


def _model(project: Project, run: RunFolder) -> str:
    """Digest of the model; of another program's answers, theirs."""
    card = run.model / "model.json"
    return (
        str(read_json(card)["sha256"]) if card.exists() else Predictions(run.predictions / "internal", project.question).identity
    )


Openings = dict[str, dict[str, int]]


def count_openings(benchmark: str, project: Project) -> Openings:
    """How often each test was opened: in this project by its ledger, and by this benchmark in all.

    A project can be thrown away and begun anew, and its ledger goes with it. So each opening is also
    noted in `results/openings.jsonl`, which stays with the code.
    """
    lines = OPENINGS.read_text(encoding="utf-8").splitlines() if OPENINGS.exists() else []
    noted = [json.loads(line) for line in lines]
    known = {entry["hash"] for entry in noted}
    opened = [entry for entry in project.ledger.entries() if entry["entry"] == "opening"]
    for entry in opened:
        if entry["hash"] not in known:
            noted.append({"benchmark": benchmark, **{key: entry[key] for key in ("time", "partition", "run", "model", "hash")}})
    write_text(OPENINGS, "".join(json.dumps(entry) + "\n" for entry in noted))
    own = [entry for entry in noted if entry["benchmark"] == benchmark]
    return {"in_this_project": _by_partition(opened), "by_this_benchmark_in_all": _by_partition(own)}


def _by_partition(entries: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return dict(sorted(Counter(entry["partition"] for entry in entries).items()))


def openings_line(openings: Openings) -> str:
    here, ever = (
        ", ".join(f"{name} {count}" for name, count in openings[key].items())
        for key in ("in_this_project", "by_this_benchmark_in_all")
    )
    return (
        f"Openings of the sealed test by this project's ledger: {here}; by this benchmark ever (results/openings.jsonl): {ever}."
    )


def interval_text(interval: Mapping[str, Any], digits: int = 3) -> str:
    """ "0.893 (0.888 to 0.898)", or why there is none."""
    if interval["estimate"] is None:
        return f"not defined: {interval['reason']}"
    text = f"{interval['estimate']:.{digits}f}"
    return text if interval["low"] is None else f"{text} ({interval['low']:.{digits}f} to {interval['high']:.{digits}f})"
