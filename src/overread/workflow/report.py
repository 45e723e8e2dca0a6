"""`overread report`: gather what a run left behind, without anything private, and write one page."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from overread.cohort.index import current_digest, read_index, read_splits
from overread.core.errors import OverreadError
from overread.record.events import read_events
from overread.record.files import read_json
from overread.record.provenance import machine, versions
from overread.record.run import RunFolder
from overread.reporting.report import Panel, ReportInput, write_report
from overread.workflow.partitions import partition_summaries
from overread.workflow.private import Cleaner, private_words
from overread.workflow.project import Project

# What of project.toml may be shown: no folder, no file, no date, no column but the one that groups.
SHOWN = {
    "question": (
        "task",
        "classes",
        "values",
        "positive",
        "exclusive",
        "ordered",
        "units",
        "unit",
        "aggregation",
        "index_exam",
        "sided",
    ),
    "truth": ("reader", "method"),
    "cohort": ("group_by",),
    "split": ("scheme", "tuning", "internal", "folds", "stratify_by", "seed"),
    "evaluation": (
        "hypothesis",
        "primary_endpoint",
        "declared",
        "margin",
        "threshold_rule",
        "surface_tolerance_mm",
        "interval_level",
    ),
}


def report(project: Project, run_name: str | None = None) -> Path:
    """Write `runs/<name>/report.html` and return its path; refused where the run does not exist."""
    run = project.run(run_name)
    if not run.path.is_dir():
        known = ", ".join(project.runs()) or "none yet"
        raise OverreadError(f"There is no run '{run.name}' in this project (runs: {known}).", "train first with `overread train`")
    return write_report(run.report, gather(project, run))


def gather(project: Project, run: RunFolder) -> ReportInput:
    """Everything the report says, as plain values, with private words taken out."""
    members = _members(run)
    evaluations = {p: read_json(run.evaluation(p)) for p in ("tuning", "internal") if run.evaluation(p).exists()}
    clean = Cleaner(private_words(project.path, keep=project.question.classes))
    plan = _plan(members)
    return ReportInput(
        title=project.name.replace("_", " "),
        run=run.name,
        created=datetime.now(UTC).strftime("%-d %B %Y"),
        question=project.question.as_dict(),
        settings=clean(_settings(project)),
        plan=clean(plan),
        events={name: clean(list(read_events(member.events_path))) for name, member in members.items()},
        evaluations=clean(evaluations),
        flow=clean(_read(project.path / "cohort" / "flow.json", [])),
        partitions=clean(partition_summaries(project.path)),
        ledger=clean(project.ledger.entries()),
        provenance=clean(_provenance(project, run, members, plan, evaluations)),
        panels={p: _panels(run, p, clean) for p in ("tuning", "internal")},
        is_phantom=_is_phantom(project, evaluations),
    )


def _members(run: RunFolder) -> dict[str, RunFolder]:
    """The trainings of a run: itself, or one per fold."""
    folds = sorted((p for p in run.path.glob("fold-*") if p.is_dir()), key=lambda p: int(p.name.rpartition("-")[2]))
    return {p.name.replace("-", " "): RunFolder(p) for p in folds} if folds else {"": run}


def _settings(project: Project) -> dict[str, Any]:
    values = project.settings.model_dump(mode="json")
    shown = {section: {name: values[section][name] for name in names} for section, names in SHOWN.items()}
    shown["cohort"]["by_patient"] = read_splits(project.path)["grouped_by"] == "patient"
    return shown


def _plan(members: Mapping[str, RunFolder]) -> dict[str, Any]:
    """The plan of the run; of the first fold where there are several."""
    for member in members.values():
        if member.plan.exists():
            return tomllib.loads(member.plan.read_text(encoding="utf-8"))
    return {}


def _read(path: Path, otherwise: Any) -> Any:
    return read_json(path) if path.exists() else otherwise


def _is_phantom(project: Project, evaluations: Mapping[str, Any]) -> bool:
    cases = [row.case for row in read_index(project.path)]
    return any(e["is_phantom"] for e in evaluations.values()) or (bool(cases) and all(c.origin == "simulated" for c in cases))


def _panels(run: RunFolder, partition: str, clean: Cleaner) -> list[Panel]:
    folder = run.path / f"panels-{partition}"
    described = _read(folder / "panels.json", {"panels": []})
    return [
        Panel((folder / entry["file"]).read_bytes(), entry["case_id"], clean(entry["why"]), clean(entry["caption"]))
        for entry in described["panels"]
        if (folder / entry["file"]).exists()
    ]


def _provenance(
    project: Project, run: RunFolder, members: Mapping[str, RunFolder], plan: Mapping[str, Any], evaluations: Mapping[str, Any]
) -> dict[str, Any]:
    cards = {name: _read(member.model / "model.json", {}) for name, member in members.items()}
    trained: dict[str, Any] = next((card["training"] for card in cards.values() if card.get("training")), {})
    hashes = {"Cohort": current_digest(project.path), "Splits": read_splits(project.path)["hash"]}
    hashes |= {"Plan": plan["identity"]} if "identity" in plan else {}
    hashes |= {f"Model{f', {name}' if name else ''}": card["sha256"] for name, card in cards.items() if card.get("sha256")}
    name, place = run.name, project.name
    folds = " --fold all" if len(members) > 1 else ""
    commands = [f"overread train {place} --name {name}{folds}{_started_with(members)}"]
    commands += [f"overread evaluate {place} --run {name}{_declared(e)}" for e in evaluations.values()]
    return {
        "versions": trained.get("versions") or versions(),
        "machine": trained.get("machine") or machine(),
        "seed": trained.get("seed", project.settings.training.seed),
        "hashes": hashes,
        "commands": [*commands, f"overread report {place} --run {name}"],
    }


def _started_with(members: Mapping[str, RunFolder]) -> str:
    """The budget that the training was given, and the settings it was given on the command line, as options."""
    started = (e for m in members.values() for e in read_events(m.events_path) if e.get("event") == "started")
    event = next(started, {})
    words = [f" --set {shlex.quote(f'{key}={value}')}" for key, value in event.get("overrides", {}).items()]
    if event.get("epochs"):
        words.append(f" --epochs {event['epochs']}")
    elif event.get("minutes"):
        words.append(f" --minutes {event['minutes']:g}")
    return "".join(words)


def _declared(evaluation: Mapping[str, Any]) -> str:
    """What was declared at the opening of the seal, as options; nothing for tuning cases."""
    if evaluation["partition"] != "internal":
        return ""
    opening = evaluation.get("opening") or {}
    said = {name: opening.get(name) for name in ("hypothesis", "primary_endpoint", "margin")}
    words = [f" --{name.replace('_', '-')} {shlex.quote(str(value))}" for name, value in said.items() if value is not None]
    return " --on internal" + "".join(words)
