"""The rule by which thresholds of objects are chosen: so many false positives per case, and how many cases could show that."""

from __future__ import annotations

import math

from overread.core.errors import OverreadError
from overread.evaluation.decisions.threshold_rules import CERTAINTY


def false_positives_rule(per_case: float) -> str:
    """The rule in words; a number that cannot be an aim is refused."""
    if not 0 < per_case < math.inf:
        raise OverreadError(
            f"The aim of {per_case:g} false positives per case cannot be reached by any threshold.",
            "set evaluation.false_positives to a number above 0, such as 1.0 or 0.25",
        )
    times = "false positive" if per_case == 1 else "false positives"
    return f"at most {per_case:g} {times} per case"


def cases_needed(per_case: float) -> int:
    """Fewest cases that can show the aim to be reached, had none of them a false positive.

    The exact one-sided 95 % upper bound of a rate of which nothing was seen in n cases is -ln(0.05) / n (Poisson).
    """
    return math.ceil(-math.log(1 - CERTAINTY) / per_case - 1e-9)
