"""Which score is followed, and its drops as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.evaluation.comparing.compared import Contender, line_up
from overread.evaluation.comparing.endpoints import Endpoint
from overread.evaluation.comparing.paired import difference
from overread.evaluation.robustness.verdicts import DIRECTED, Drop, as_drop
from overread.metrics.table import default_endpoint, positive_class
from overread.workflow.project import Project
from overread.workflow.robust.suite import Condition


def endpoint_of(project: Project) -> tuple[Endpoint, list[str]]:
    """The project's primary endpoint; the usual one of the task, said aloud, where that has no paired test or no worse side."""
    usual = Endpoint.of(project.question, default_endpoint(project.question))
    asked = project.settings.evaluation.primary_endpoint
    if not asked:
        return usual, []
    try:
        found = Endpoint.of(project.question, asked)
        why = "" if found.metric.better in DIRECTED else f"{found.metric.name} has no worse side"
    except OverreadError as refusal:
        found, why = usual, refusal.what.rstrip(".")
    return (found, []) if not why else (usual, [f"The primary endpoint {asked} is not taken: {why}. {usual.metric.name} is."])


def check_defined(first: Contender, endpoint: Endpoint, *, limited: bool) -> None:
    """Found out now, and not after twenty readings."""
    try:
        difference(line_up([first, Contender("again", first.runs)]), endpoint, 1)
    except OverreadError as refusal:
        raise OverreadError(refusal.what, "read more cases: a larger --limit" if limited else refusal.next) from refusal


def at_threshold(question: Question, contenders: Sequence[Contender], level: float) -> list[list[dict[str, Any]]]:
    """Two classes: what becomes of sensitivity and specificity while the threshold stays; not part of the verdicts."""
    if not question.is_binary:
        return [[] for _ in contenders[1:]]
    lined = line_up(contenders)
    asked = [Endpoint.of(question, f"{key}/{positive_class(question)}") for key in ("sensitivity", "specificity")]
    found = [[difference(lined, endpoint, k, level=level) for endpoint in asked] for k in range(1, len(contenders))]
    return [
        [{**d.endpoint.as_dict(), "clean": d.values[0], "degraded": d.values[1], "drop": as_drop(d).as_dict()} for d in several]
        for several in found
    ]


def row(condition: Condition, drop: Drop, also: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "degradation": condition.name,
        "title": condition.title,
        "amount": condition.level.value,
        "severity": condition.level.words,
        "clean": drop.clean,
        "degraded": drop.degraded,
        "drop": drop.drop.as_dict(),
        "p": drop.p,
        "p_holm": drop.p_holm,
        "p_holds": drop.p_holds,
        "verdict": drop.verdict,
        "remark": drop.remark,
        "also": also,
    }
