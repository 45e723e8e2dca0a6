"""`read` calls what `evaluate` calls: one rule, tested at its edges."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from overread.core.kinds import Findings
from overread.core.question import Decisions, OperatingPoint, Question
from overread.evaluation.answered import call
from overread.workflow.read import called

TWO = Question("classification", ("well", "ill"), positive="ill")
THREE = Question("classification", ("a", "b", "c"))
SIGNS = Question("classification", ("x", "y"), exclusive=False)
AT_30 = Decisions((OperatingPoint("ill", 0.3, "youden"),))


@pytest.mark.parametrize(
    ("question", "decisions", "values", "names"),
    [
        (TWO, AT_30, (0.7, 0.3), ["ill"]),
        (TWO, AT_30, (0.71, 0.29), ["well"]),
        (TWO, Decisions(), (0.5, 0.5), ["ill"]),
        (THREE, Decisions(), (0.2, 0.5, 0.3), ["b"]),
        (SIGNS, Decisions((OperatingPoint("x", 0.8, "0.8"),)), (0.7, 0.6), ["y"]),
        (SIGNS, Decisions(), (None, 0.6), ["y"]),
    ],
)
def test_reading_calls_by_the_rule_of_the_evaluation(question: Question, decisions: Decisions, values: Any, names: Any) -> None:
    card: Any = SimpleNamespace(question=question, decisions=decisions)
    answer = Findings(dict(zip(question.classes, values, strict=True)))
    assert called(answer, card) == names
    row = np.array([[np.nan if v is None else v for v in values]])
    assert [
        c for c, is_called in zip(question.classes, call(question, row, decisions)[0], strict=True) if is_called == 1
    ] == names
