"""Before training: whether one clinical column alone says the answer, as a value does that is known only after it.

A grade of a biopsy, a date of an operation, a treatment: such a column makes a model that is right on every case of the cohort
and of no use for a patient who has not been diagnosed yet. Kaufman et al., ACM TKDD 2012;6:15.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import rankdata

from overread.cohort.clinical import cells
from overread.cohort.index import Cohort
from overread.cohort.numbers import as_number
from overread.core.case import Case
from overread.core.clinical import NUMBER, Clinical, Variable
from overread.core.question import Question
from overread.metrics.ranking import auc

TELLING = 0.98  # area under the curve, or rank correlation with a quantity, of one column alone on the training cases
FEWEST = 5  # cases on either side; fewer are told apart by chance


def telling_note(cohort: Cohort, clinical: Clinical) -> str:
    """What to say of columns that tell the truth nearly alone; "" where none does."""
    cases, question = cohort.of("training"), cohort.question
    said = []
    for variable in clinical.variables:
        found = {name: area for name in _asked(question) if (area := _strength(variable, cases, question, name)) is not None}
        name = max(found, key=lambda key: found[key], default="")
        if found and found[name] > TELLING:
            what = "follows" if question.task == "regression" else "tells apart"
            measure = "rank correlation" if question.task == "regression" else "area under the curve"
            said.append(f"'{variable.name}' alone {what} '{name}' in the training cases ({measure} {found[name]:.2f})")
    if not said:
        return ""
    return (
        f"WARNING: {'; '.join(said)}. Is it known before the image is read? A value that is known only after the diagnosis "
        "makes a model that cannot be used; then take the column out of [training] clinical"
    )


def _asked(question: Question) -> Sequence[str]:
    return question.classes[:1] if question.is_binary else question.classes


def _strength(variable: Variable, cases: Sequence[Case], question: Question, name: str) -> float | None:
    """How well the column alone orders the cases, 1 at most, in whichever direction; also that it is filled in at all."""
    truth = {c.case_id: v for c in cases if c.truth is not None and (v := c.truth.values.get(name)) is not None}
    texts = {case_id: text for case_id, text in cells(cases, variable.name).items() if case_id in truth}
    score = _numbers(texts) if variable.kind == NUMBER else _mean_of_level(texts, truth)
    known = np.array([truth[case_id] for case_id in score])
    values = np.array(list(score.values()))
    if question.task == "regression":
        return _correlation(values, known) if len(values) >= 2 * FEWEST else None
    every = np.array(list(truth.values())) > 0.5
    filled = np.array([case_id in texts for case_id in truth], dtype=float)
    areas = [_area(known > 0.5, values), _area(every, filled)]
    return max((area for area in areas if area is not None), default=None)


def _numbers(texts: Mapping[str, str]) -> dict[str, float]:
    found = {case_id: as_number(text, decimal_comma=True) for case_id, text in texts.items()}
    return {case_id: number for case_id, number in found.items() if number is not None}


def _mean_of_level(texts: Mapping[str, str], truth: Mapping[str, float]) -> dict[str, float]:
    """Each case with the mean truth of those that hold the same word; words of one or two cases are left out."""
    held: dict[str, list[float]] = defaultdict(list)
    for case_id, text in texts.items():
        held[text.casefold()].append(truth[case_id])
    common = {case_id: held[text.casefold()] for case_id, text in texts.items()}
    return {case_id: float(np.mean(values)) for case_id, values in common.items() if len(values) > 2}


def _area(truth: np.ndarray, values: np.ndarray) -> float | None:
    if min(int(truth.sum()), int((~truth).sum())) < FEWEST:
        return None
    area = auc(truth, values)
    return None if area is None else max(area, 1 - area)


def _correlation(values: np.ndarray, truth: np.ndarray) -> float | None:
    if len(np.unique(values)) < 2 or len(np.unique(truth)) < 2:
        return None
    return float(abs(np.corrcoef(rankdata(values), rankdata(truth))[0, 1]))
