"""Unlabelled images as a model sees them: how unsure it is of each, and its features."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from overread.cohort.index import Cohort
from overread.cohort.load import load_image
from overread.cohort.progress import Progress
from overread.core.case import Case
from overread.core.errors import OverreadError
from overread.core.image import Image
from overread.explanation.embedding.gathered import embed
from overread.reading.answering import Answering
from overread.reading.uncertain import Ways, possible, uncertainty_of
from overread.reading.uncertain_ways import CHANGES

MEASURES = {  # what ranks the cases, by task
    "classification": "entropy",
    "regression": "sd",
    "segmentation": "entropy",
    "detection": "disagreement",
    "instances": "disagreement",
}


@dataclass(frozen=True)
class Pool:
    """What was looked at, in one order.

    unsure    (N,) the task's measure, NaN where it is not defined
    features  (N, F) float32
    left_out  name -> why it was not looked at
    """

    names: tuple[str, ...]
    unsure: np.ndarray
    features: np.ndarray
    left_out: dict[str, str] = field(default_factory=dict)


def ways_of(answering: Answering) -> Ways:
    """The several answers that tell how unsure the model is: all it has, else small changes of the image."""
    offered = tuple(way for way in possible(answering) if way != CHANGES)
    return Ways(offered or (CHANGES,))


def look_at(
    answering: Answering,
    images: Iterable[tuple[str, Callable[[], Image]]],
    matching: str,
    done: Callable[[str], None] = lambda name: None,
) -> Pool:
    """Read every image once; one that cannot be read, or must not be taken, is left out by its reason.

    images  (name, how to open it); what opening raises leaves the image out
    """
    measure, ways = MEASURES[answering.task.question.task], ways_of(answering)
    names: list[str] = []
    unsure: list[float] = []
    rows: list[np.ndarray] = []
    left_out: dict[str, str] = {}
    for name, open_it in images:
        try:
            image = open_it()
            value = uncertainty_of(answering, answering.prepare(image), ways, matching).values.get(measure)
        except OverreadError as why:
            left_out[name] = why.what
        else:
            names.append(name)
            unsure.append(np.nan if value is None else float(value))
            rows.append(embed(answering, [name], lambda _, image=image: image).features[0])  # type: ignore[misc]
        done(name)
    features = np.stack(rows) if rows else np.zeros((0, 0), np.float32)
    return Pool(tuple(names), np.array(unsure, dtype=float), features, left_out)


def look_at_cases(answering: Answering, cohort: Cohort, cases: Sequence[Case], matching: str, progress: Progress | None) -> Pool:
    """The same of cases of a cohort, without their truths."""
    if progress is not None:
        progress.start(len(cases), "Looking at cases to propose")

    def done(name: str) -> None:
        if progress is not None:
            progress.advance(1, name)

    def opener(case: Case) -> Callable[[], Image]:
        return lambda: load_image(cohort, case)

    pool = look_at(answering, ((case.case_id, opener(case)) for case in cases), matching, done)
    if progress is not None:
        progress.finish()
    return pool


def features_of_cases(answering: Answering, cohort: Cohort, cases: Sequence[Case], progress: Progress | None) -> np.ndarray:
    """(M, F) features of labelled cases; (0, 0) of none."""
    if progress is not None:
        progress.start(len(cases), "Looking at labelled cases")
    by_id = {case.case_id: case for case in cases}

    def done(case_id: str) -> None:
        if progress is not None:
            progress.advance(1, case_id)

    found = embed(answering, list(by_id), lambda case_id: load_image(cohort, by_id[case_id]), done)
    if progress is not None:
        progress.finish()
    return found.features
