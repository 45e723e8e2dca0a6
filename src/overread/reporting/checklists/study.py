"""What the record knows of items 1 to 21: question, data, reference standard, partitions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overread.reporting.checklists.known import Known, Maker, member_file, partly, run_file, whole
from overread.reporting.given import ReportInput
from overread.reporting.of_images import task_title, technique
from overread.reporting.paper import facts, facts_model
from overread.reporting.paper.undone import test_openings
from overread.reporting.sections.results import primary
from overread.reporting.words import leaks_accepted, listed, partition_name, question_sentence, split_sentence

_MACHINE = {
    "vendor",
    "model",
    "kernel",
    "thickness_mm",
    "kvp",
    "field_strength_t",
    "echo_time_ms",
    "repetition_time_ms",
    "protocol",
}


def _technique(given: ReportInput) -> Known:
    network = facts_model.network(given)
    phrase = technique(given.question["task"]) if network else ""
    return partly(f"{phrase} {network}".strip(), "report.html#plan")


def _abstract(given: ReportInput) -> Known:
    scores = " ".join(facts.results(given)[:1])
    return partly(f"Partitions: {facts.partitions(given)}. {scores}".strip(), "report.html#partitions", "report.html#results")


def _hypothesis(given: ReportInput) -> Known:
    opening = next(iter(test_openings(given.ledger)), None)
    if opening is None or opening.get("by_default") or not opening.get("hypothesis"):
        return partly(str(given.settings.get("evaluation", {}).get("hypothesis") or ""), "project.toml: evaluation.hypothesis")
    said = str(opening["hypothesis"]).rstrip(".")
    text = f"Declared {str(opening.get('time', ''))[:10]}, before the first opening of the seal: {said}."
    return whole(text, "report.html#seal", f"cohort/ledger.jsonl: {str(opening['hash'])[:19]}")


def _goal(given: ReportInput) -> Known:
    return partly(f"{task_title(given.question['task'])}. {question_sentence(given.question)}", "report.html#question")


def _sources(given: ReportInput) -> Known:
    sites = dict.fromkeys(s for p in given.partitions for s in (p.get("levels") or {}).get("Site", {}) if s != "not known")
    text = f"Sites: {listed(list(sites))}." if sites else ""
    return partly(text, "report.html#partitions")


def _criteria(given: ReportInput) -> Known:
    return partly(facts.flow(given), "report.html#flow", "cohort/flow.json")


def _preprocessing(given: ReportInput) -> Known:
    return whole(facts_model.preparation(given.plan), "report.html#plan", member_file(given, "plan.toml"))


def _parts_of_data(given: ReportInput) -> Known:
    steps = [f"{s['step']}: {s['excluded']} left out" for s in given.flow if s.get("excluded")]
    text = f"By rule, in the order of the data flow: {'; '.join(steps)}." if steps else ""
    return partly(text, "cohort/flow.json")


def _missing(given: ReportInput) -> Known:
    lacking = [
        f"{name} in {partition_name(p['partition'])}: {summary['missing']} of {p['cases']}"
        for p in given.partitions
        for name, summary in (p.get("numbers") or {}).items()
        if summary and summary.get("missing")
    ]
    unknown = [
        f"{name} in {partition_name(p['partition'])}: {levels['not known']} of {p['cases']}"
        for p in given.partitions
        for name, levels in (p.get("levels") or {}).items()
        if levels.get("not known")
    ]
    rule = str(((given.evaluation or {}).get("rules") or {}).get("empty_truth", "")).rstrip(".")
    counted = f"Missing values: {'; '.join([*lacking, *unknown])}." if lacking or unknown else ""
    return partly(f"{counted}{f' Rule: {rule}.' if rule else ''}".strip(), "report.html#partitions", "report.html#results")


def _acquisition(given: ReportInput) -> Known:
    table = ((given.audit or {}).get("tables") or {}).get("acquisition")
    columns = list(dict.fromkeys(row["column"] for row in (table or {}).get("rows") or [] if row.get("column")))
    if columns:
        text = f"Told by partition and label in the audit: {listed([c.replace('_', ' ') for c in columns])}."
        told = whole if _MACHINE & set(columns) else partly  # sizes of images say nothing of scanner and protocol
        return told(text, "audit/audit.html", "audit/audit.json")
    scanners = dict.fromkeys(s for p in given.partitions for s in (p.get("levels") or {}).get("Scanner", {}) if s != "not known")
    return partly(f"Scanners: {listed(list(scanners))}." if scanners else "", "report.html#partitions")


def _reference(given: ReportInput) -> Known:
    if given.is_phantom:
        return whole("Computed together with the phantom's images.", "report.html#question")
    truth = given.settings.get("truth", {})
    parts = [
        f"{word} {truth[name]}" for name, word in (("reader", "Given by"), ("method", "established by"))
        if truth.get(name) not in (None, "", "unknown")
    ]  # fmt: skip
    return partly(f"{', '.join(parts)}." if parts else "", "project.toml: truth")


def _annotators(given: ReportInput) -> Known:
    reader = given.settings.get("truth", {}).get("reader")
    return partly(f"{reader}." if reader not in (None, "", "unknown") else "", "project.toml: truth.reader")


def _assignment(given: ReportInput) -> Known:
    if not given.partitions or not given.settings:
        return Known()
    text = f"{split_sentence(given.settings, given.ledger)} {facts.partitions(given)}."
    return whole(text, "report.html#partitions", "cohort/splits.json")


def _apart(given: ReportInput) -> Known:
    if not given.settings:
        return Known()
    proof = ("report.html#partitions", "cohort/splits.json", "cohort/ledger.jsonl")
    if leaks := leaks_accepted(given.ledger):
        return whole(
            f"Not apart: {leaks} {'leak' if leaks == 1 else 'leaks'} between partitions, accepted with a reason.", *proof
        )
    suspected = [c["statement"] for c in (given.audit or {}).get("concerns") or [] if c.get("subject") == "leak" and _is_grave(c)]
    if suspected:
        return partly(f"The audit doubts it: {' '.join(suspected)}", *proof, "audit/audit.html")
    if given.settings.get("cohort", {}).get("by_patient"):
        return whole("Patients are disjoint across partitions; images with identical pixels were looked for.", *proof)
    return partly("Cases are disjoint across partitions; patients were not identified, so more cannot be claimed.", *proof)


def _is_grave(concern: Mapping[str, Any]) -> bool:
    return concern.get("severity") in ("fault", "warning")


def _size(given: ReportInput) -> Known:
    evaluation = given.evaluations.get("internal")
    if evaluation is None:
        return Known()
    head = primary(evaluation)
    reached = f" Interval reached: {facts.sentence(head)}" if head is not None else ""
    text = f"{facts.people(given, evaluation['n_cases'], evaluation['n_patients'])}.{reached}"
    return partly(text, "report.html#results", run_file(given, "evaluation-internal.json"))


STUDY: dict[int, Maker] = {
    1: _technique,
    2: _abstract,
    4: _hypothesis,
    6: _goal,
    7: _sources,
    8: _criteria,
    9: _preprocessing,
    10: _parts_of_data,
    12: _missing,
    13: _acquisition,
    14: _reference,
    16: _annotators,
    19: _assignment,
    20: _apart,
    21: _size,
}
