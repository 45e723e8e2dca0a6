"""Cases that were refused, or on which the reading failed: errors in every score, and the answered cases by themselves.

A model that may pass over the hard cases looks better than it is, so a case without an answer is answered for it, as
wrong as can be:

    classification   0 for what is true, 1 for what is not; of several exclusive classes, the wrong ones share the 1
    regression       the smallest or the largest true number of the cases, whichever is farther from the truth
    segmentation     nothing where a structure is, and a voxel where there is none: Dice 0 both ways
    images           everywhere the lowest or highest intensity of the range, whichever is farther from the truth
    objects          nothing found: every object of the truth is missed; a case without one counts as called, with a score of 1
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from overread.core.question import PICTURES, Question

RULES = {
    "classification": "called wrong, with the probability farthest from the truth",
    "regression": "answered with the smallest or largest true number, whichever is farther from the truth",
    "segmentation": "Dice 0: nothing drawn where there is something, and something where there is nothing",
    "detection": "nothing found: every object missed; where there is none, a false positive with the score 1",
    "instances": "nothing found: every object missed; where there is none, a false positive with the score 1",
    **dict.fromkeys(
        PICTURES, "answered everywhere with the lowest or highest intensity of the range, whichever is farther from the truth"
    ),
}


def worst_answers(question: Question, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a case that was not answered is taken to have answered.

    truth    (N, K) 1, 0 or the measured number; NaN where not known
    returns  answers (N, K) and calls (N, K); calls are NaN for numbers
    """
    if question.task == "regression":
        known = np.isfinite(truth)
        low = np.where(known, truth, np.inf).min(0)
        high = np.where(known, truth, -np.inf).max(0)
        answers = np.where(truth - low > high - truth, low, high)
        return np.where(known, answers, np.nan), np.full(truth.shape, np.nan)
    answers = 1 - truth
    if not question.exclusive or len(question.classes) == 2:
        return answers, answers.copy()
    calls = np.where(np.arange(truth.shape[1])[None] == np.nan_to_num(answers, nan=-1).argmax(1)[:, None], 1.0, 0.0)
    return answers / answers.sum(1, keepdims=True), np.where(np.isfinite(truth), calls, np.nan)


def mark_refused(rows: Sequence[dict[str, Any]], refused: Mapping[str, str]) -> list[dict[str, Any]]:
    """Rows of cases, those without an answer marked with the reason; what was put in their answer's place is taken out."""
    return [_marked(row, refused[row["case_id"]]) if row["case_id"] in refused else row for row in rows]


def _marked(row: dict[str, Any], reason: str) -> dict[str, Any]:
    answer = row["answer"]
    blank = dict.fromkeys(answer) if isinstance(answer, dict) else None
    return {**row, "answer": blank, "refused": reason, **({"called": []} if "called" in row else {})}


def refused_note(question: Question, refused: Mapping[str, str], cases: int) -> str:
    """How many, why, and how they count, in a sentence."""
    reasons = ", ".join(f"{reason} ({n})" for reason, n in Counter(refused.values()).most_common())
    verb = "was" if len(refused) == 1 else "were"
    return (
        f"{len(refused)} of {cases} cases {verb} refused or failed: {reasons}. In every score each counts as an error "
        f"({RULES[question.task]}). Scores of the answered cases alone are secondary and stand apart."
    )
