"""`overread report`: gather what a run left behind, without anything private, and write one page and what goes with it."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from overread.cohort.index import current_digest, is_phantom, read_index, read_splits
from overread.cohort.index import versions as versions_of
from overread.core.errors import OverreadError
from overread.evaluation.afterwards.label_error import of_evaluation
from overread.evaluation.rules import Rules
from overread.record.events import read_events, settled
from overread.record.files import read_json, write_text
from overread.record.provenance import machine, versions
from overread.record.run import RunFolder
from overread.reporting.charts.files import write_figures
from overread.reporting.checklists.claim import claim_csv, claim_rows
from overread.reporting.checklists.mappings import STARD_NOTE, TRIPOD_NOTE, mapped_csv, stard_rows, tripod_rows
from overread.reporting.given import Panel, ReportInput
from overread.reporting.paper.answers import FILE, keep_answers
from overread.reporting.paper.cards import data_card, model_card
from overread.reporting.paper.methods import as_text
from overread.reporting.report import write_report
from overread.workflow.anomalies.record import anomalies_of
from overread.workflow.baselines.report import beside_baseline, fitted_baseline
from overread.workflow.ensembles.record import as_plan, ensemble_of, made_by
from overread.workflow.explanations.record import records_of
from overread.workflow.external import external_cohorts
from overread.workflow.generation.made_record import made_of
from overread.workflow.generation.structures_record import structures_of
from overread.workflow.learning.case_files import case_files
from overread.workflow.learning.part_of import part_note
from overread.workflow.learning.refusal_record import refusal_of
from overread.workflow.partitions import partition_summaries
from overread.workflow.private import Cleaner, private_words
from overread.workflow.project import CURVE, OF_A_MODEL, PLANNED, Project
from overread.workflow.robust.record import degraded_picture, robustness_of

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
        "objects",
        "guides",
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
        "matching",
        "false_positives",
    ),
}


def report(project: Project, run_name: str | None = None) -> Path:
    """Write `runs/<name>/report.html` and what goes with it, and return its path; refused where the run does not exist.

    Beside it: figures/ (SVG with source data as CSV), claim.csv, stard.csv, tripod-ai.csv, methods.txt, model-card.md and
    data-card.md. In the project folder: claim.toml, the authors' answers, written once and never written over.
    """
    run = project.run(run_name)
    if not run.path.is_dir() or (run.path / CURVE).exists():
        known = ", ".join(project.runs()) or "none yet"
        raise OverreadError(
            f"There is no run '{run.name}' in this project (runs: {known}).", f"train first: `{project.command('train')}`"
        )
    _refuse_bare(project, run)
    given = gather(project, run)
    for name, text in _beside(given).items():
        write_text(run.path / name, text)
    write_figures(run.path / "figures", given)
    return write_report(run.report, given)


def _refuse_bare(project: Project, run: RunFolder) -> None:
    """A run that nothing was planned, learned or scored in has nothing to report, whatever earlier reports lie there."""
    names = (*PLANNED, *OF_A_MODEL, *(f"fold-*/{name}" for name in OF_A_MODEL), "events.jsonl", "fold-*/events.jsonl")
    if not any(any(run.path.glob(name)) for name in names):
        raise OverreadError(
            f"Run '{run.name}' holds no plan, no model and no scores: there is nothing to report.",
            f"train it first: `{project.command('train', '--name', run.name)}`",
        )


def _beside(given: ReportInput) -> dict[str, str]:
    """Files beside the report, from the same record."""
    rows, answers = claim_rows(given), dict(given.answers)
    return {
        "claim.csv": claim_csv(rows),
        "stard.csv": mapped_csv(stard_rows(rows, answers), STARD_NOTE),
        "tripod-ai.csv": mapped_csv(tripod_rows(rows, answers), TRIPOD_NOTE),
        "methods.txt": as_text(given),
        "model-card.md": model_card(given),
        "data-card.md": data_card(given),
    }


def gather(project: Project, run: RunFolder) -> ReportInput:
    """Everything the report says, as plain values, with private words taken out."""
    members = _members(run)
    home = _home(run, members)
    evaluations, fitted = _evaluations(project, home), fitted_baseline(run)
    clean = _cleaner(project)
    plan = _plan(members)
    is_of_phantom = _is_phantom(project, evaluations)
    made = {name: part for name, m in members.items() if (part := made_of(m, is_phantom=is_of_phantom))}
    return ReportInput(
        title=clean(project.name.replace("_", " ")),
        run=run.name,
        created=datetime.now(UTC).strftime("%-d %B %Y"),
        question=clean(_question(project)),
        settings=clean(_settings(project)),
        plan=clean(plan),
        events={name: clean(settled(read_events(member.events_path))) for name, member in members.items()},
        evaluations=clean(evaluations),
        flow=clean(_read(project.path / "cohort" / "flow.json", [])),
        partitions=clean(partition_summaries(project.path)),
        ledger=clean(project.ledger_entries()),
        provenance=clean(_provenance(project, run, members, plan, evaluations, fitted)),
        panels={p: _panels(home, p, clean) for p in ("tuning", "internal")},
        is_phantom=is_of_phantom,
        versions=clean(versions_of(project.path)),
        model=clean(next((card for m in members.values() if (card := _read(m.model / "model.json", {}))), {})),
        answers=clean(keep_answers(project.path / FILE)),
        audit=clean(_audit(project)),
        fitted=clean(fitted),
        beside=clean(beside_baseline(project, home, evaluations)),
        curve=clean(_of_this_cohort(project, "learning-curve.json")),
        selections=clean([found for m in members.values() if (found := _read(m.path / "selection.json", None))]),
        part=clean(next((note for m in members.values() if (note := part_note(m))), "")),
        robustness=clean({name: found for name, m in members.items() if (found := robustness_of(m))}),
        explanations=clean({name: found for name, m in members.items() if (found := records_of(m))}),
        thumbnails={p: _thumbnails(home, p) for p in ("tuning", "internal")},
        matching={p: _matching(home, p, clean) for p in ("tuning", "internal")},
        case_files=case_files(project, run, home, members, evaluations, clean),
        refusal=clean({name: found for name, m in members.items() if (found := refusal_of(m))}),
        made={name: replace(part, record=clean(part.record)) for name, part in made.items()},
        structures=clean({name: found for name, m in members.items() if (found := structures_of(m, project.question))}),
        anomalies=clean({name: found for name, m in members.items() if (found := anomalies_of(m))}),
        degraded={name: picture for name, m in members.items() if (picture := degraded_picture(m))},
    )


def _cleaner(project: Project) -> Cleaner:
    """Takes out what is private in the project and in its external cohorts, whose patients a reason in the ledger may name."""
    places = [project.path, *(other.path for other in external_cohorts(project))]
    return Cleaner(frozenset[str]().union(*(private_words(place, keep=project.question.classes) for place in places)))


def _home(run: RunFolder, members: Mapping[str, RunFolder]) -> RunFolder:
    """Where the evaluations lie: in the run's folder; in that of the only fold, where one was trained and tested alone."""
    alone = next(iter(members.values()))
    pooled = any(run.path.glob("evaluation-*.json"))
    return alone if len(members) == 1 and not pooled else run


def _evaluations(project: Project, home: RunFolder) -> dict[str, Any]:
    """By partition, external ones as "external:NAME"; with what label errors would do, where one finding is asked for."""
    paths = [home.evaluation("tuning"), home.evaluation("internal"), *sorted(home.path.glob("evaluation-external*.json"))]
    found = [read_json(path) for path in paths if path.exists()]
    settings = project.settings.evaluation
    rules = Rules(settings.threshold_rule, level=settings.interval_level, resamples=settings.resamples)
    return {e["partition"]: {**e, "label_error": e.get("label_error") or of_evaluation(e, rules)} for e in found}


def _audit(project: Project) -> dict[str, Any] | None:
    """The audit of the cohort as it is now; None where there is none, or only one of an earlier version."""
    return _of_this_cohort(project, "audit/audit.json")


def _of_this_cohort(project: Project, name: str) -> dict[str, Any] | None:
    """A record in the project's folder; None where there is none, or only one of another version of the cohort."""
    found: dict[str, Any] | None = _read(project.path / name, None)
    return found if found is not None and found.get("cohort") == current_digest(project.path) else None


def _members(run: RunFolder) -> dict[str, RunFolder]:
    """The trainings of a run: itself, or one per fold."""
    folds = sorted((p for p in run.path.glob("fold-*") if p.is_dir()), key=lambda p: int(p.name.rpartition("-")[2]))
    return {p.name.replace("-", " "): RunFolder(p) for p in folds} if folds else {"": run}


def _settings(project: Project) -> dict[str, Any]:
    values = project.settings.model_dump(mode="json")
    shown = {section: {name: values[section][name] for name in names} for section, names in SHOWN.items()}
    splits = read_splits(project.path)
    shown["cohort"]["by_patient"] = splits["grouped_by"] == "patient"
    if rule := splits.get("rule"):
        shown["split"]["rule"] = {**rule, "after": rule["after"][:4]} if "after" in rule else rule  # a year, no day of a patient
    return shown


def _question(project: Project) -> dict[str, Any]:
    """The question; with the column that held the answers, where "yes" alone would not say what is asked."""
    columns = project.settings.truth.label_columns
    named = {"finding": columns[0]} if len(columns) == 1 and project.question.positive else {}
    return {**project.question.as_dict(), **named}


def _plan(members: Mapping[str, RunFolder]) -> dict[str, Any]:
    """The plan of the run; of the first fold where there are several. An ensemble has none: what its card says of it."""
    for member in members.values():
        if member.plan.exists():
            return tomllib.loads(member.plan.read_text(encoding="utf-8"))
        if ensemble_of(member):
            return as_plan(read_json(member.model / "model.json"))
    return {}


def _read(path: Path, otherwise: Any) -> Any:
    return read_json(path) if path.exists() else otherwise


def _is_phantom(project: Project, evaluations: Mapping[str, Any]) -> bool:
    cases = [row.case for row in read_index(project.path)]
    return any(e["is_phantom"] for e in evaluations.values()) or is_phantom(cases)


def _panels(run: RunFolder, partition: str, clean: Cleaner) -> list[Panel]:
    folder = run.path / f"panels-{partition}"
    described = _read(folder / "panels.json", {"panels": []})
    return [
        Panel((folder / entry["file"]).read_bytes(), entry["case_id"], clean(entry["why"]), clean(entry["caption"]))
        for entry in described["panels"]
        if (folder / entry["file"]).exists()
    ]


def _thumbnails(run: RunFolder, partition: str) -> dict[tuple[str, int], bytes]:
    folder = run.path / f"panels-{partition}"
    listed = _read(folder / "panels.json", {}).get("errors", [])
    return {(e["case_id"], e["number"]): (folder / e["file"]).read_bytes() for e in listed if (folder / e["file"]).exists()}


def _matching(run: RunFolder, partition: str, clean: Cleaner) -> list[Panel]:
    folder = run.path / f"panels-{partition}"
    listed = _read(folder / "panels.json", {}).get("matching", [])
    return [
        Panel((folder / e["file"]).read_bytes(), e["case_id"], "matching", clean(e["caption"]))
        for e in listed
        if (folder / e["file"]).exists()
    ]


def _provenance(
    project: Project,
    run: RunFolder,
    members: Mapping[str, RunFolder],
    plan: Mapping[str, Any],
    evaluations: Mapping[str, Any],
    fitted: Mapping[str, Any] | None,
) -> dict[str, Any]:
    cards = {name: _read(member.model / "model.json", {}) for name, member in members.items()}
    trained: dict[str, Any] = next((card["training"] for card in cards.values() if card.get("training")), {})
    hashes = {"Cohort": current_digest(project.path), "Splits": read_splits(project.path)["hash"]}
    hashes |= {"Plan": plan["identity"]} if "identity" in plan else {}
    hashes |= {f"Model{f', {name}' if name else ''}": card["sha256"] for name, card in cards.items() if card.get("sha256")}
    name, place = run.name, project.name
    alone = next(iter(members)) if len(members) == 1 else ""  # "fold 2": one fold that was trained and tested by itself
    fold = f" --fold {alone.removeprefix('fold ')}" if alone else ""
    folds = " --fold all" if len(members) > 1 else fold
    if fitted is not None:
        commands = [f"overread baseline {place} --name {name}{folds}"]
        trained = {key: fitted[key] for key in ("versions", "seed")}
        hashes |= {"Model": fitted["model"]}
    elif joined := next((record for member in members.values() if (record := ensemble_of(member))), None):
        commands = [made_by(place, name, joined, folds)]
    else:
        commands = [f"overread train {place} --name {name}{folds}{_started_with(members)}"]
    commands += [f"overread evaluate {place} --run {name}{fold}{_declared(e)}" for e in evaluations.values()]
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
    partition = evaluation["partition"]
    if partition != "internal" and not partition.startswith("external:"):
        return ""
    opening = evaluation.get("opening") or {}
    said = {name: opening.get(name) for name in ("hypothesis", "primary_endpoint", "margin")}
    words = [f" --{name.replace('_', '-')} {shlex.quote(str(value))}" for name, value in said.items() if value is not None]
    words += [f" --declare {shlex.quote(endpoint)}" for endpoint in opening.get("declared") or ()]
    return f" --on {shlex.quote(partition)}" + "".join(words)
