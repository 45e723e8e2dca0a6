"""The report: one HTML file that opens without a network, prints well, and leaves nothing out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from overread.record.files import write_text
from overread.reporting import words
from overread.reporting.charts_cases import agreement_chart, distribution_chart, scatter_chart
from overread.reporting.charts_probability import calibration_chart, pr_chart, roc_chart, threshold_rows, threshold_slider
from overread.reporting.charts_training import flow_chart, loss_chart, score_chart
from overread.reporting.glossary import terms_used
from overread.reporting.page import environment
from overread.reporting.planning import plan_rows
from overread.reporting.results import confusion_rows, counts, distributions, fold_rows, primary, score_rows
from overread.reporting.undone import times_opened, undone
from overread.reporting.verdict import judge

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Panel:
    """A picture of one case: PNG bytes, its pseudonym, why it was chosen, and what is seen."""

    png: bytes
    case_id: str
    why: str
    caption: str


@dataclass(frozen=True)
class ReportInput:
    """Everything a report is made of, as plain values without names, dates, original ids or paths of patients.

    settings     the sections of project.toml that may be shown; cohort.by_patient says whether patients were known
    plan         plan.toml, with "reasons"
    events       one list of events per training: {"": [...]} or {"fold 0": [...], ...}
    evaluations  "tuning" and "internal", where they exist
    flow         steps of the data flow with counts and reasons
    partitions   one summary per partition: partition, cases, patients, classes, numbers, levels
    ledger       entries of the ledger, oldest first
    provenance   versions, machine, seed, hashes, commands
    panels       partition -> pictures
    """

    title: str
    run: str
    created: str
    question: Record
    settings: Record
    plan: Record
    events: Mapping[str, Sequence[Record]]
    evaluations: Mapping[str, Record]
    flow: Sequence[Record]
    partitions: Sequence[Record]
    ledger: Sequence[Record]
    provenance: Record
    panels: Mapping[str, Sequence[Panel]] = field(default_factory=dict)
    is_phantom: bool = False


def write_report(path: Path, given: ReportInput) -> Path:
    """Write the report whole, or not at all; returns its path."""
    write_text(path, render(given))
    return Path(path)


def render(given: ReportInput) -> str:
    """The page as text."""
    template = environment().get_template("report.html.j2")
    page = template.render(**_context(given), glossary=[])
    return template.render(**_context(given), glossary=terms_used(_visible(page)))


def _visible(page: str) -> str:
    """The words of a page, without markup, style, script and pictures."""
    page = re.sub(r"<(style|script)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"<[^>]*>", " ", page)


def _context(given: ReportInput) -> dict[str, Any]:
    shown = "internal" if "internal" in given.evaluations else "tuning" if "tuning" in given.evaluations else None
    evaluation = given.evaluations.get(shown) if shown else None
    trainings = [_training(name, events) for name, events in given.events.items()]
    return {
        "r": given,
        "shown": shown,
        "partition_words": words.PARTITIONS,
        "sentence": words.question_sentence(given.question),
        "facts": words.question_facts(given.question, given.settings, evaluation),
        "split": words.split_sentence(given.settings, given.ledger),
        "flow": Markup(
            flow_chart(
                given.flow,
                [(str(words.PARTITIONS.get(p["partition"], p["partition"])), int(p["cases"])) for p in given.partitions],
            )
        ),
        "partition_rows": words.partition_table(given.partitions),
        "plan": plan_rows(given.plan),
        "trainings": trainings,
        "results": [_result(name, given) for name in ("internal", "tuning") if name in given.evaluations],
        "head": _head(evaluation) if evaluation else None,
        "openings": [e for e in given.ledger if e.get("entry") == "opening"],
        "times_opened": times_opened(given.ledger),
        "baseline": [row for e in given.evaluations.values() for row in e.get("baseline") or []],
        "undone": undone(
            given.settings, given.evaluations, given.partitions, given.ledger, given.provenance["seed"], given.is_phantom
        ),
    }


def _head(evaluation: Record) -> dict[str, Any] | None:
    """The one score at the head of the page."""
    score = primary(evaluation)
    if score is None:
        return None
    row = next(r for r in score_rows({"scores": [score]}))
    return {"row": row, "opening": evaluation.get("opening"), "is_primary": score["role"] == "primary"}


def _training(name: str, events: Sequence[Record]) -> dict[str, Any]:
    """One training as curves, verdict and what happened on the way."""
    epochs = [e for e in events if e.get("event") == "epoch"]
    verdict = judge(events)
    ended = next((e for e in reversed(events) if e.get("event") in ("finished", "stopped")), {})
    return {
        "name": name,
        "epochs": len(epochs),
        "minutes": ended.get("minutes") or (epochs[-1].get("minutes") if epochs else None),
        "ended": {"stopped": "stopped by the user", "finished": "finished"}.get(str(ended.get("event")), "not finished"),
        "verdict": verdict,
        "loss": Markup(loss_chart(events, verdict)),
        "scores": Markup(score_chart(events)),
        "resumed": sum(e.get("event") == "resumed" for e in events),
        "adapted": [e for e in events if e.get("event") == "adapted"],
        "warnings": [e.get("what", "") for e in events if e.get("event") == "warning"],
    }


def _result(partition: str, given: ReportInput) -> dict[str, Any]:
    """One evaluation as tables and charts."""
    evaluation = given.evaluations[partition]
    curves = evaluation.get("curves") or {}
    units = _agreement_units(evaluation["question"])
    strips = distributions(evaluation)
    return {
        "partition": partition,
        "title": words.PARTITIONS[partition],
        "standing": words.standing(evaluation),
        "baseline": evaluation.get("baseline") or [],
        "evaluation": evaluation,
        "counts": counts(evaluation["n_cases"], evaluation["n_patients"]),
        "rows": score_rows(evaluation),
        "definitions": list({s["name"]: s for s in reversed(evaluation["scores"])}.values())[::-1],
        "folds": fold_rows(evaluation),
        "points": evaluation.get("operating_points") or [],
        "confusion": confusion_rows(evaluation["confusion"]) if evaluation.get("confusion") else [],
        "probability": [_probability_charts(name, evaluation) for name in curves.get("roc") or {}],
        "agreement": [
            {
                "name": name,
                "charts": [
                    Markup(scatter_chart(name, units.get(name, ""), pairs)),
                    Markup(agreement_chart(name, units.get(name, ""), pairs)),
                ],
            }
            for name, pairs in (curves.get("agreement") or {}).items()
            if pairs.get("truth")
        ],
        "strips": [
            {"chart": Markup(distribution_chart(d.title, d.unit, d.groups, d.is_bounded)), "missing": d.missing, "title": d.title}
            for d in strips
        ],
        "panels": list(given.panels.get(partition, ())),
    }


def _agreement_units(question: Record) -> dict[str, str]:
    """Unit by name of what is compared: volumes of structures in ml, quantities in their own."""
    if question["task"] == "segmentation":
        return dict.fromkeys(question["classes"], "ml")
    return dict(zip(question["classes"], question.get("units") or [], strict=False))


def _probability_charts(name: str, evaluation: Record) -> dict[str, Any]:
    curves = evaluation["curves"]
    scores = {s["metric"]: s for s in evaluation["scores"] if s["subject"] == name}
    precision = (curves.get("pr") or {}).get(name)
    prevalence = precision.get("prevalence") if precision else None
    area = next(iter(score_rows({"scores": [scores["auc"]]})), None) if "auc" in scores else None
    positives = negatives = None
    if prevalence is not None and area is not None:
        known = scores["auc"]["interval"]["n_cases"]  # cases whose truth is not known have no place on the curve
        positives = round(prevalence * known)
        negatives = known - positives
    points = [dict(p) for p in evaluation.get("operating_points") or [] if p["class_name"] == name]
    point = points[0] if len(points) == 1 else None  # folds have one each: no single point to draw
    if point:
        reached = {key: scores[key]["interval"]["estimate"] for key in ("sensitivity", "specificity") if key in scores}
        point = {"threshold": point["threshold"], **reached}
    bins = (curves.get("calibration") or {}).get(name)
    roc = curves["roc"][name]
    return {
        "name": name,
        "roc": Markup(roc_chart(name, roc, point, f"AUC {area.estimate} ({area.interval})" if area else "")),
        "slider": Markup(threshold_slider(name, roc, point, prevalence, positives, negatives)),
        "thresholds": threshold_rows(roc, positives, negatives) if positives is not None and negatives is not None else [],
        "pr": Markup(pr_chart(name, precision)) if precision else "",
        "calibration": Markup(calibration_chart(name, bins)) if bins else "",
    }
