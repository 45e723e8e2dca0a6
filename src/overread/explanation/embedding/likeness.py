"""When two cases count as alike: by their truths, in a stated way for every task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from overread.core.kinds import Boxes, Findings, Instances, Kind, LabelMap, Measurements
from overread.core.question import Question

SPREAD = 0.5  # of the standard deviation of the training cases, by which numbers may differ
FACTOR = 2.0  # by which sizes of structures may differ


@dataclass(frozen=True)
class Plain:
    """A truth as numbers, one for each class of the question, and in words.

    values  (K,) classes: 1 or 0, NaN where not known; quantities; size of each structure; number of objects of each class
    """

    values: np.ndarray
    words: str


def plain_truth(question: Question, truth: Kind) -> Plain:
    """A truth in numbers and words, without anything that could name a patient."""
    if isinstance(truth, Findings):
        values = _listed(question, truth.probabilities)
        named = [name for name, v in zip(question.classes, values, strict=True) if v > 0.5]
        return Plain(values, ", ".join(named) or ("not known" if np.isnan(values).all() else "none"))
    if isinstance(truth, Measurements):
        values = _listed(question, truth.values)
        units = [*question.units, *[""] * len(question.classes)]
        told = [f"{n} {_number(v)} {u}".strip() for n, v, u in zip(question.classes, values, units, strict=False)]
        return Plain(values, ", ".join(told))
    if isinstance(truth, LabelMap):
        return _sizes(question, truth)
    assert isinstance(truth, Boxes | Instances)
    counts = np.array([sum(name == each for each in truth.classes) for name in question.classes], dtype=float)
    several = [f"{n:g} {name}" for name, n in zip(question.classes, counts, strict=True) if n]
    return Plain(counts, ", ".join(several) or "no object")


def rule_words(question: Question) -> str:
    """What counts as alike, as a sentence."""
    if question.task == "classification":
        if question.exclusive:
            return "alike: the same class"
        return "alike: findings that both have, as a share of those that one of them has (Jaccard); 1 where neither has any"
    if question.task == "regression":
        return f"alike: every quantity differs by at most {SPREAD:g} standard deviations of the training cases"
    if question.task == "segmentation":
        return f"alike: the same structures are there, and none is more than {FACTOR:g} times as large as in the other"
    return "alike: objects of the same classes, and of each as many, or one more or less"


def alike(question: Question, one: np.ndarray, others: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """(M,) 0 to 1 how alike each of the others (M, K) is to one (K,); NaN where a truth is not known.

    spread  (K,) standard deviation of the training cases
    """
    known = np.isfinite(one) & np.isfinite(others)
    if question.task == "classification" and not question.exclusive:
        both = (known & (one > 0.5) & (others > 0.5)).sum(1)
        either = (known & ((one > 0.5) | (others > 0.5))).sum(1)
        found = np.where(either > 0, both / np.maximum(either, 1), 1.0)
    elif question.task == "classification":
        found = ((one > 0.5) == (others > 0.5)).all(1)
    elif question.task == "regression":
        found = (~known | (np.abs(one - others) <= SPREAD * spread + 1e-9)).all(1)
    elif question.task == "segmentation":
        small, large = np.minimum(one, others), np.maximum(one, others)
        found = ((small > 0) == (large > 0)).all(1) & (large <= FACTOR * small + 1e-9).all(1)
    else:
        found = ((one > 0) == (others > 0)).all(1) & (np.abs(one - others) <= 1).all(1)
    return np.where(known.any(1), found, np.nan).astype(float)


def label_columns(question: Question, truths: Mapping[str, Plain]) -> dict[str, dict[str, str | float]]:
    """What cases are coloured and held fixed by: column -> case_id -> the label in words, or a number to be put into bands."""
    if question.task == "classification":
        return {"label": {case_id: plain.words for case_id, plain in truths.items() if plain.words != "not known"}}
    heads = {"regression": "{}", "segmentation": "size of {}"}
    head = heads.get(question.task, "number of {}")
    columns: dict[str, dict[str, str | float]] = {}
    for k, name in enumerate(question.classes):
        values = {case_id: float(plain.values[k]) for case_id, plain in truths.items()}
        columns[head.format(name)] = {case_id: value for case_id, value in values.items() if np.isfinite(value)}
    return columns


def _listed(question: Question, values: Mapping[str, float | None]) -> np.ndarray:
    return np.array([np.nan if (v := values.get(name)) is None else float(v) for name in question.classes], dtype=float)


def _sizes(question: Question, truth: LabelMap) -> Plain:
    """In ml, or in pixels where no spacing is known or the image is planar."""
    grid = truth.grid
    in_ml = grid.spacing_known and not grid.is_planar
    unit = float(np.prod(grid.spacing)) / 1000 if in_ml else 1.0
    sizes = np.array([truth.mask(name).sum() * unit for name in question.classes], dtype=float)
    told: Sequence[str] = [
        f"{name} {_number(v)} {'ml' if in_ml else 'px'}" for name, v in zip(question.classes, sizes, strict=True) if v > 0
    ]
    return Plain(sizes, ", ".join(told) or "nothing drawn")


def _number(value: float) -> str:
    return "not known" if np.isnan(value) else f"{value:.3g}"
