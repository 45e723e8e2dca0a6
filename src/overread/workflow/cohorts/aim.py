"""Before training: whether the tuning patients are enough to show what the threshold rule aims at."""

from __future__ import annotations

from collections.abc import Iterable

from overread.core.case import Case
from overread.core.question import Question
from overread.evaluation.decisions.threshold_rules import parse_rule
from overread.metrics.table import positive_class


def aim_note(question: Question, tuning: Iterable[Case], rule: str) -> str:
    """What to say of an aim that the tuning patients cannot show to be reached, were all of them right; "" where they can.

    A finding with the fewest patients of the kind that counts is named: those with it for sensitivity, those without for
    specificity. Nothing is said where no threshold is fitted (more than two exclusive classes) or nothing is aimed at.
    """
    if question.task != "classification" or (question.exclusive and not question.is_binary):
        return ""
    parsed = parse_rule(rule)
    if parsed.kind not in ("sensitivity", "specificity") or parsed.cases_needed == 0:
        return ""
    kind, value = ("positive", 1.0) if parsed.kind == "sensitivity" else ("negative", 0.0)
    names = (positive_class(question),) if question.is_binary else question.classes
    cases = [case for case in tuning if case.truth is not None]
    held = {n: len({c.patient_id for c in cases if c.truth is not None and c.truth.values.get(n) == value}) for n in names}
    fewest = min(held, key=lambda name: held[name])
    needed = parsed.cases_needed
    if needed is not None and held[fewest] >= needed:
        return ""
    lack = (
        f"no number of {kind} patients can show '{parsed.text}'"
        if needed is None
        else f"'{parsed.text}' takes {needed} {kind} tuning patients to be shown, {fewest} has {held[fewest]}"
    )
    return f"{lack}; the strictest threshold will take its place, so set another rule or give tuning more patients"
