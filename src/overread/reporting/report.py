"""The report: one HTML file that opens without a network, prints well, and leaves nothing out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from overread.record.files import write_text
from overread.reporting import words
from overread.reporting.charts.cases import agreement_chart, distribution_chart, scatter_chart
from overread.reporting.charts.probability import calibration_chart, pr_chart, roc_chart, threshold_rows, threshold_slider
from overread.reporting.charts.terms import term_charts
from overread.reporting.charts.training import flow_chart, loss_chart, score_chart
from overread.reporting.charts.voxels import voxel_section
from overread.reporting.generation.fidelity_page import lead as fidelity_lead
from overread.reporting.given import Panel, Record, ReportInput
from overread.reporting.glossary import terms_used
from overread.reporting.of_images import is_unpaired, sealed, task_title
from overread.reporting.page import environment
from overread.reporting.paper.carried_over import fallen
from overread.reporting.paper.sections import paper_sections
from overread.reporting.paper.undone import test_openings, times_opened, undone
from overread.reporting.proportions import in_words
from overread.reporting.sections.anomalies import anomaly_sections
from overread.reporting.sections.baseline import beside_baseline, model_sentence, tried_rows
from overread.reporting.sections.errors import errors_section, notes_of
from overread.reporting.sections.explanations import explanation_section
from overread.reporting.sections.groups import (
    answered_only,
    correction_sentence,
    decision_charts,
    earlier_rows,
    error_method,
    error_rows,
    external_tables,
    risk_charts,
    subgroup_tables,
)
from overread.reporting.sections.learning_curve import curve_section
from overread.reporting.sections.made import made_sections, unjudged
from overread.reporting.sections.objects import STATES, is_of_objects, object_section
from overread.reporting.sections.pictures import picture_section
from overread.reporting.sections.planning import plan_rows
from overread.reporting.sections.refusal import refusal_section
from overread.reporting.sections.results import (
    confusion_rows,
    counts,
    distributions,
    fold_rows,
    positives_of,
    primary,
    score_rows,
)
from overread.reporting.sections.robustness import robustness_section
from overread.reporting.sections.selection import selection_table
from overread.reporting.sections.structures import structure_section
from overread.reporting.sections.verdict import judge, kept_epoch

_FOREIGN = "These answers come from another program; no frozen model of Overread stands behind them."
_HAND_MADE = "These answers come from a small model on hand-made features; no network stands behind them."
__all__ = ["Panel", "ReportInput", "render", "write_report"]


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
    evaluation = given.evaluation
    trainings = [
        _training(name, events, given.question) for name, events in given.events.items() if events or given.fitted is None
    ]
    return {
        "r": given,
        "shown": given.shown,
        "states": STATES,
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
        "small_model": model_sentence(given.fitted) if given.fitted else "",
        "tried": tried_rows(given.fitted) if given.fitted else [],
        "trainings": trainings,
        "selections": [selection_table(selection) for selection in given.selections],
        "curve": curve_section(given.curve) if given.curve else None,
        "refusal": [refusal_section(name, found) for name, found in given.refusal.items()],
        "robustness": [robustness_section(name, found, given.degraded.get(name)) for name, found in given.robustness.items()],
        "task_title": task_title(given.question["task"]),
        "sealed": sealed(given.question),
        "makes_images": given.question["task"] == "synthesize" or is_unpaired(given.question),
        "is_unpaired": is_unpaired(given.question),
        "made": [section for name, part in given.made.items() for section in made_sections(name, part)],
        "made_lead": next((fidelity_lead(part.record) for part in given.made.values() if part.record), ""),
        "structures_title": "Are masks followed?" if given.question.get("guides") else "Structures before and after",
        "structures": [structure_section(name, found) for name, found in given.structures.items()],
        "anomalies": [s for name, several in given.anomalies.items() for found in several for s in anomaly_sections(name, found)],
        "explanations": [explanation_section(name, found) for name, found in given.explanations.items()],
        "results": [_result(name, given) for name in _in_order(given.evaluations)],
        "notes_on_cases": notes_of(given.case_files),
        "notes_place": given.case_files.place,
        "head": _head(evaluation) if evaluation else None,
        "fallen": fallen(given.evaluations),
        "elsewhere": [
            _elsewhere(name, given.evaluations[name]) for name in _in_order(given.evaluations) if name[:8] == "external"
        ],
        "openings": [e for e in given.ledger if e.get("entry") == "opening"],
        "n_test_openings": len(test_openings(given.ledger)),
        "times_opened": times_opened(given.ledger),
        "baseline": [row for e in given.evaluations.values() for row in e.get("baseline") or []],
        "undone": undone(
            given.settings,
            given.evaluations,
            given.partitions,
            given.ledger,
            given.provenance["seed"],
            given.is_phantom,
            given.audit,
            is_tried=bool(given.robustness),
            is_explained=any("trial" in records for records in given.explanations.values()),
        ),
        **paper_sections(given),
    }


def _in_order(evaluations: Mapping[str, Record]) -> list[str]:
    """Internal test, other places, tuning."""
    external = sorted(name for name in evaluations if name.startswith("external"))
    return [name for name in ("internal", *external, "tuning") if name in evaluations]


def _head(evaluation: Record) -> dict[str, Any] | None:
    """The one score at the head of the page."""
    score = primary(evaluation)
    if score is None:
        return None
    row = next(r for r in score_rows({"scores": [score]}))
    return {"row": row, "opening": evaluation.get("opening"), "is_primary": score["role"] == "primary"}


def _elsewhere(partition: str, evaluation: Record) -> tuple[str, str]:
    """(external test, its primary endpoint in words)."""
    score = primary(evaluation)
    told = "no score" if score is None else f"{score['name']} {in_words(score)}"
    return words.partition_name(partition), f"{told}; {counts(evaluation['n_cases'], evaluation['n_patients'])}"


def _training(name: str, events: Sequence[Record], question: Record) -> dict[str, Any]:
    """One training as curves, verdict and what happened on the way."""
    epochs = [e for e in events if e.get("event") == "epoch"]
    verdict = unjudged(question, events) or judge(events)
    warnings = [e for e in events if e.get("event") == "warning"]
    ended = next((e for e in reversed(events) if e.get("event") in ("finished", "stopped")), {})
    return {
        "name": name,
        "epochs": len(epochs),
        "minutes": ended.get("minutes") or (epochs[-1].get("minutes") if epochs else None),
        "ended": {"stopped": "stopped by the user", "finished": "finished"}.get(str(ended.get("event")), "not finished"),
        "verdict": verdict,
        "kept": kept_epoch(events),
        "loss": Markup(loss_chart(events, verdict)),
        "scores": Markup(score_chart(events)),
        "resumed": sum(e.get("event") == "resumed" for e in events),
        "adapted": _adapted(events),
        "terms": [(name, Markup(chart)) for name, chart in term_charts(events)],
        "alarms": [e.get("what", "") for e in warnings if e.get("about") == "learning"],
        "warnings": [e.get("what", "") for e in warnings if e.get("about") != "learning"],
    }


def _adapted(events: Sequence[Record]) -> list[str]:
    """What was changed during training, one line for each thing and reason."""
    several: dict[tuple[str, str], list[Record]] = {}
    for event in (e for e in events if e.get("event") == "adapted"):
        several.setdefault((str(event.get("what", "")), str(event.get("why", ""))), []).append(event)
    told = []
    for (what, why), changes in several.items():
        often = f", in {len(changes)} changes" if len(changes) > 1 else ""
        told.append(f"{what} from {changes[0]['from']} to {changes[-1]['to']}{often} ({why})")
    return told


def _result(partition: str, given: ReportInput) -> dict[str, Any]:
    """One evaluation as tables and charts."""
    evaluation = given.evaluations[partition]
    curves = evaluation.get("curves") or {}
    units = _agreement_units(evaluation["question"])
    strips = distributions(evaluation)
    return {
        "partition": partition,
        "title": words.partition_name(partition),
        "is_test": evaluation.get("opening") is not None or partition == "internal",
        "is_drawn": partition == given.shown or partition.startswith("external"),
        "standing": words.standing(evaluation, given.model.get("decisions")),
        "baseline": evaluation.get("baseline") or [],
        "evaluation": evaluation,
        "counts": counts(evaluation["n_cases"], evaluation["n_patients"]),
        "rows": score_rows(evaluation),
        "definitions": list({s["name"]: s for s in reversed(evaluation["scores"])}.values())[::-1],
        "folds": fold_rows(evaluation),
        "points": evaluation.get("operating_points") or [],
        "confusion": confusion_rows(evaluation["confusion"]) if evaluation.get("confusion") else [],
        "probability": [_probability_charts(n, evaluation) for n in curves.get("roc") or {} if not is_of_objects(evaluation)],
        "objects": object_section(
            evaluation, given.thumbnails.get(partition, {}), given.matching.get(partition, ()), given.case_files
        ),
        "errors": errors_section(evaluation, given.case_files, partition),
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
        "subgroups": subgroup_tables(evaluation),
        "elsewhere": external_tables(evaluation),
        "label_error": error_rows(evaluation),
        "label_error_method": error_method(evaluation),
        "answered_only": answered_only(evaluation),
        "earlier": earlier_rows(evaluation),
        "correction": correction_sentence(evaluation),
        "notes": _notes(evaluation, given.fitted is not None),
        "beside": beside_baseline(given, partition),
        "decisions": decision_charts(evaluation),
        "risk": risk_charts(evaluation),
        "voxels": voxel_section(evaluation),
        "pictures": picture_section(evaluation),
    }


def _notes(evaluation: Record, is_baseline: bool) -> list[str]:
    """The notes of an evaluation, without those that stand beside its tables; a baseline is no other program."""
    told = {*((evaluation.get("external") or {}).get("notes") or ()), correction_sentence(evaluation)}
    notes = [str(note) for note in evaluation.get("notes") or () if note not in told]
    return [note.replace(_FOREIGN, _HAND_MADE) for note in notes] if is_baseline else notes


def _agreement_units(question: Record) -> dict[str, str]:
    """Unit by name of what is compared: volumes of structures in ml, quantities in their own."""
    if question["task"] == "segmentation":
        return dict.fromkeys(question["classes"], "ml")
    return dict(zip(question["classes"], question.get("units") or [], strict=False))


def _probability_charts(name: str, evaluation: Record) -> dict[str, Any]:
    curves = evaluation["curves"]
    scores = {s["metric"]: s for s in evaluation["scores"] if s["subject"] == name}
    precision = (curves.get("pr") or {}).get(name)
    area = next(iter(score_rows({"scores": [scores["auc"]]})), None) if "auc" in scores else None
    positives, negatives = positives_of(name, evaluation)  # of these cases, whatever prevalence was stated
    prevalence = positives / (positives + negatives) if positives + negatives else None
    points = [dict(p) for p in evaluation.get("operating_points") or [] if p["class_name"] == name]
    point = points[0] if len(points) == 1 else None  # folds have one each: no single point to draw
    if point:
        reached = {key: scores[key]["interval"]["estimate"] for key in ("sensitivity", "specificity") if key in scores}
        point = {"threshold": point["threshold"], **reached}
    bins = (curves.get("calibration") or {}).get(name)
    roc = curves["roc"][name]
    sampling = evaluation.get("sampling") or {}
    is_enriched = sampling.get("sampling") == "enriched"
    stated = (sampling.get("prevalence") or {}).get(name)
    return {
        "name": name,
        "roc": Markup(roc_chart(name, roc, point, f"AUC {area.estimate} ({area.interval})" if area else "")),
        "slider": Markup(
            threshold_slider(name, roc, point, stated if is_enriched else prevalence, positives, negatives, is_enriched)
        ),
        "thresholds": threshold_rows(roc, positives, negatives, is_enriched) if prevalence is not None else [],
        "is_enriched": is_enriched,
        "pr": Markup(pr_chart(name, precision)) if precision else "",
        "calibration": Markup(calibration_chart(name, bins)) if bins else "",
    }
