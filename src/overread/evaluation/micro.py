"""Micro averages: all pairs of case and class counted together, so that common classes weigh more than rare ones."""

from __future__ import annotations

from dataclasses import replace

from overread.core.question import Question
from overread.evaluation.answered import Answered
from overread.evaluation.finding import EveryFinding
from overread.evaluation.findings import finding_score
from overread.evaluation.rules import Rules
from overread.evaluation.scored import Scored
from overread.metrics import decided
from overread.metrics.ranking import AUC, AVERAGE_PRECISION

SUBJECT = "micro"
ANY = (AUC, AVERAGE_PRECISION)
SEVERAL = (*ANY, decided.SENSITIVITY, decided.SPECIFICITY, decided.PPV, decided.NPV, decided.F1)


def micro_scores(question: Question, table: Answered, rules: Rules) -> list[Scored]:
    """Beside the macro means; where one class is called per case, decisions have no micro average of their own (accuracy)."""
    pooled = EveryFinding(table)
    scores = []
    for metric in ANY if question.exclusive else SEVERAL:
        named = replace(metric, formula=f"{metric.formula}; over all pairs of case and class (micro)")
        found = finding_score(metric, SUBJECT, pooled, rules)
        scores.append(replace(found, metric=named, interval=replace(found.interval, n_cases=pooled.cases)))
    return scores
