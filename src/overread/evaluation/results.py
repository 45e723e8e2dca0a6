"""One evaluation put together: scores, roles of the scores, operating points, curves, cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from overread.core.question import Decisions, Question
from overread.core.score import Interval
from overread.evaluation.answered import NO_FOLD, Answered, ScoredCase
from overread.evaluation.classification import evaluate_classification
from overread.evaluation.intervals.undercoverage import doubted
from overread.evaluation.objects.evaluate import evaluate_objects
from overread.evaluation.objects.found_case import FoundCase
from overread.evaluation.pictures.case import PictureCase
from overread.evaluation.pictures.evaluate import evaluate_pictures
from overread.evaluation.regression import evaluate_regression
from overread.evaluation.result import Result
from overread.evaluation.rules import Rules
from overread.evaluation.scored import Evaluated, Scored
from overread.evaluation.segmentation import evaluate_segmentation
from overread.evaluation.sources.refused import RULES, mark_refused, refused_note
from overread.metrics.metric import Metric
from overread.metrics.table import resolve_endpoint

FORMAT = 1

Cases = Answered | Sequence[ScoredCase] | Sequence[FoundCase] | Sequence[PictureCase]


@dataclass(frozen=True)
class About:
    """What an evaluation is of, besides its cases.

    partition  "tuning", "internal", "external:NAME", or "answers" (anybody's, without a project)
    model      hash of the model; None where none is known
    opening    the ledger's entry of the opening of the seal; None where nothing was sealed
    refused    case_id -> why it was not answered; these cases count as errors
    """

    partition: str
    is_phantom: bool = False
    model: str | None = None
    opening: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


def evaluate(
    question: Question,
    cases: Cases,
    decisions: Mapping[int, Decisions],
    rules: Rules,
    about: About,
) -> Result:
    """Compute everything the evaluation file holds.

    cases      `Answered` for classification and regression, one `ScoredCase` per case for segmentation, one `FoundCase` per
               case for detection and instances, one `PictureCase` per case where the answer is an image
    decisions  fold -> the frozen decisions of its model; {-1: ...} where there are no folds
    """
    found = _evaluated(question, cases, rules, decisions)
    patients = {row["patient_id"] for row in found.cases}
    roles = _Roles(question, about)
    scores = [_score(scored, roles) for scored in found.scores]
    refused = _refused(cases, about)
    notes = [*about.notes, *found.notes]
    if refused:
        notes.insert(0, refused_note(question, refused, len(found.cases)))
    result = Result(
        format=FORMAT,
        task=question.task,
        partition=about.partition,
        question=question.as_dict(),
        is_phantom=about.is_phantom,
        n_cases=len({row["case_id"] for row in found.cases}),
        n_patients=len(patients),
        model=about.model,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        opening=_opening(question, about.opening, found.scores),
        scores=scores,
        operating_points=[_point(p, fold) for fold, d in sorted(decisions.items()) for p in d.operating_points],
        confusion=found.confusion,
        curves=found.curves,
        cases=mark_refused(found.cases, refused),
        rules={**found.rules, **({"refused": RULES[question.task]} if refused else {})},
        notes=notes,
    )
    result.update(found.more)
    if refused:
        result["answered_only"] = _answered_only(question, cases, rules, decisions, refused, roles)
    return result


def _refused(cases: Cases, about: About) -> dict[str, str]:
    """What was not answered, by the case that lends its unit the name."""
    if isinstance(cases, Answered):
        names = [name for name, gone in zip(cases.case_ids, cases.refused, strict=True) if gone]
    else:
        names = [case.case_id for case in cases if case.case_id in about.refused]
    return {name: about.refused.get(name, "no reason given") for name in names}


def _answered_only(
    question: Question,
    cases: Cases,
    rules: Rules,
    decisions: Mapping[int, Decisions],
    refused: Mapping[str, str],
    roles: _Roles,
) -> dict[str, Any]:
    """The scores of the cases that were answered, for a second look: leaving out what was refused flatters."""
    kept: Cases = (
        cases.select(~cases.refused)
        if isinstance(cases, Answered)
        else cast(Cases, [case for case in cases if case.case_id not in refused])
    )
    about = {"n_refused": len(refused), "reasons": dict(Counter(refused.values()).most_common())}
    if not (kept.case_ids if isinstance(kept, Answered) else kept):
        return {**about, "n_cases": 0, "n_patients": 0, "scores": []}
    found = _evaluated(question, kept, rules, decisions)
    return {
        **about,
        "n_cases": len(found.cases),
        "n_patients": len({row["patient_id"] for row in found.cases}),
        "scores": [_score(scored, roles) for scored in found.scores],
    }


def fold_table(
    question: Question, cases: Cases, rules: Rules, models: Mapping[int, str | None], about: About
) -> list[dict[str, Any]]:
    """The scores of each fold by itself."""
    rows = []
    for fold, model in sorted(models.items()):
        own = _of_fold(cases, fold)
        found = _evaluated(question, own, rules, {})
        roles = _Roles(question, about)
        rows.append(
            {
                "fold": fold,
                "model": model,
                "n_cases": len(found.cases),
                "n_patients": len({row["patient_id"] for row in found.cases}),
                "scores": [_score(scored, roles) for scored in found.scores],
            }
        )
    return rows


def _evaluated(question: Question, cases: Cases, rules: Rules, decisions: Mapping[int, Decisions]) -> Evaluated:
    if isinstance(cases, Answered):
        run = evaluate_regression if question.task == "regression" else evaluate_classification
        return run(question, cases, rules)
    if question.is_of_pictures:
        return evaluate_pictures(question, cast(Sequence[PictureCase], cases), rules)
    if question.is_of_objects:
        return evaluate_objects(question, cast(Sequence[FoundCase], cases), decisions, rules)
    return evaluate_segmentation(question, cast(Sequence[ScoredCase], cases), rules)


def _of_fold(cases: Cases, fold: int) -> Cases:
    if isinstance(cases, Answered):
        return cases.select(cases.fold == fold)
    return cast(Cases, [case for case in cases if case.fold == fold])


class _Roles:
    """Which scores were declared before the seal was opened."""

    def __init__(self, question: Question, about: About) -> None:
        self.partition = about.partition
        opening = about.opening or {}
        endpoint = opening.get("primary_endpoint")
        self.primary = _endpoint(question, endpoint) if endpoint else None
        self.declared = {_endpoint(question, name) for name in opening.get("declared", ())}

    def of(self, metric: Metric, subject: str) -> str:
        if self.partition == "tuning":
            return "tuning"
        if (metric.key, subject) == self.primary:
            return "primary"
        return "declared" if (metric.key, subject) in self.declared else "exploratory"


def _endpoint(question: Question, name: str) -> tuple[str, str]:
    metric, subject = resolve_endpoint(question, name)
    return metric.key, subject


def _score(scored: Scored, roles: _Roles) -> dict[str, Any]:
    metric = scored.metric
    return {
        "metric": metric.key,
        "name": metric.name,
        "subject": scored.subject,
        "unit": metric.unit,
        "better": metric.better,
        "definition": metric.definition,
        "formula": metric.formula,
        "role": roles.of(metric, scored.subject),
        "interval": doubted(metric, scored.interval).as_dict(),
    }


def _point(point: Any, fold: int) -> dict[str, Any]:
    values = asdict(point)
    return values if fold == NO_FOLD else {**values, "fold": fold}


def _opening(question: Question, opening: Mapping[str, Any] | None, scores: Sequence[Scored]) -> dict[str, Any] | None:
    if opening is None:
        return None
    names = ("number", "hash", "time", "hypothesis", "primary_endpoint", "margin", "threshold_rule", "declared")
    metric, subject = resolve_endpoint(question, opening["primary_endpoint"])
    interval = next((s.interval for s in scores if s.metric.key == metric.key and s.subject == subject), None)
    if interval is None:  # a score that these cases do not have: a margin set for it is not met
        interval = Interval(None, None, None, "none", 0, 0, reason="no case for which it is defined")
    met = is_met(metric, interval, opening["margin"])
    return {**{name: opening[name] for name in names}, "endpoint_met": met}


def is_met(metric: Metric, interval: Interval, margin: float | None) -> bool | None:
    """Whether the whole interval clears the margin: at or above it where higher is better, at or below it where lower is,
    within plus or minus it where zero is. None without a margin; False where no interval could be given."""
    if margin is None or metric.better == "none":
        return None
    if interval.low is None or interval.high is None:
        return False
    if metric.better == "higher":
        return interval.low >= margin
    if metric.better == "lower":
        return interval.high <= margin
    return -abs(margin) <= interval.low and interval.high <= abs(margin)
