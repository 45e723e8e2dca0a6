"""Scores for the training loop: few, fast, without intervals. A score that is not defined is left out, never NaN."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from overread.core.kinds import Boxes, Findings, Instances, Kind, LabelMap, Measurements
from overread.core.question import Question
from overread.metrics.objects.quick import quick_object_scores
from overread.metrics.pictures.quick import quick_picture_scores
from overread.metrics.ranking import auc


def quick_scores(question: Question, truths: Sequence[Kind], answers: Sequence[Kind]) -> dict[str, float]:
    """Mean scores over cases by name: "dice/liver" and "dice"; "auc" and "accuracy"; "mae/age" and "mae"; of objects "ap50",
    "sensitivity_at_1fp" and "pq"; of images "ssim", "psnr" and "image_mae".

    truths, answers  one per case, in one order; label maps of a case on one grid
    """
    if len(truths) != len(answers):
        raise ValueError(f"{len(truths)} truths and {len(answers)} answers")
    if question.task == "segmentation":
        return _segmentation(question, truths, answers)
    if question.task == "regression":
        return _regression(question, truths, answers)
    if question.is_of_pictures:
        return quick_picture_scores(question, truths, answers)
    if question.is_of_objects:
        return quick_object_scores(question, _objects(truths), _objects(answers))
    return _classification(question, truths, answers)


def values_of(kinds: Sequence[Kind], names: Sequence[str]) -> np.ndarray:
    """(N, K) numbers of Findings or Measurements, NaN where a value is not known."""
    rows = []
    for kind in kinds:
        if not isinstance(kind, Findings | Measurements):
            raise TypeError(f"Findings or Measurements were expected, not {type(kind).__name__}")
        values = kind.probabilities if isinstance(kind, Findings) else kind.values
        rows.append([np.nan if values.get(name) is None else values[name] for name in names])
    return np.array(rows, dtype=float).reshape(len(kinds), len(names))


def _objects(kinds: Sequence[Kind]) -> list[Boxes | Instances]:
    objects = [kind for kind in kinds if isinstance(kind, Boxes | Instances)]
    if len(objects) < len(kinds):
        raise TypeError("Boxes or Instances were expected")
    return objects


def _segmentation(question: Question, truths: Sequence[Kind], answers: Sequence[Kind]) -> dict[str, float]:
    table = np.full((len(truths), len(question.classes)), np.nan)
    for row, (truth, answer) in enumerate(zip(truths, answers, strict=True)):
        if not isinstance(truth, LabelMap) or not isinstance(answer, LabelMap):
            raise TypeError("label maps were expected")
        table[row] = case_dice(truth, answer, question.classes)
    return _means("dice", question.classes, table)


def case_dice(truth: LabelMap, answer: LabelMap, names: Sequence[str]) -> np.ndarray:
    """(K,) Dice of each named structure, NaN where it is empty in truth and answer."""
    if len(truth.layers) == len(answer.layers) == 1:
        return _joint_dice(truth, answer, names)
    scores = []
    for name in names:
        true, answered = truth.mask(name), answer.mask(name)
        size = int(true.sum()) + int(answered.sum())
        scores.append(2 * int((true & answered).sum()) / size if size else np.nan)
    return np.array(scores, dtype=float)


def _joint_dice(truth: LabelMap, answer: LabelMap, names: Sequence[str]) -> np.ndarray:
    """Every structure in one pass: one count of the pairs of values."""
    true_value = {s.name: s.value for s in truth.structures}
    answer_value = {s.name: s.value for s in answer.structures}
    side = (
        int(max(truth.layers.max(initial=0), answer.layers.max(initial=0), *true_value.values(), *answer_value.values(), 0)) + 1
    )
    pairs = truth.layers[0].astype(np.int64).ravel() * side + answer.layers[0].ravel()
    table = np.bincount(pairs, minlength=side * side).reshape(side, side)
    true_size, answer_size = table.sum(1), table.sum(0)
    scores = np.full(len(names), np.nan)
    for k, name in enumerate(names):
        t, a = true_value[name], answer_value[name]
        if size := true_size[t] + answer_size[a]:
            scores[k] = 2 * table[t, a] / size
    return scores


def _regression(question: Question, truths: Sequence[Kind], answers: Sequence[Kind]) -> dict[str, float]:
    return _means("mae", question.classes, np.abs(values_of(answers, question.classes) - values_of(truths, question.classes)))


def _classification(question: Question, truths: Sequence[Kind], answers: Sequence[Kind]) -> dict[str, float]:
    truth, answer = values_of(truths, question.classes), values_of(answers, question.classes)
    scores = {}
    for k, name in enumerate(question.classes):
        known = np.isfinite(truth[:, k]) & np.isfinite(answer[:, k])
        area = auc(truth[known, k] > 0.5, answer[known, k])
        if area is not None:
            scores[f"auc/{name}"] = area
    positive = f"auc/{question.positive}"
    scores["auc"] = scores[positive] if question.is_binary and positive in scores else _mean(list(scores.values()))
    if question.exclusive:
        known = np.isfinite(truth).all(1) & np.isfinite(answer).all(1)
        scores["accuracy"] = _mean(list(truth[known].argmax(1) == answer[known].argmax(1)))
    else:
        known = np.isfinite(truth) & np.isfinite(answer)
        scores["accuracy"] = _mean(list(((truth > 0.5) == (answer >= 0.5))[known]))
    if question.is_binary:
        scores = {key: value for key, value in scores.items() if "/" not in key}
    return {key: value for key, value in scores.items() if np.isfinite(value)}


def _means(key: str, names: Sequence[str], table: np.ndarray) -> dict[str, float]:
    means = {f"{key}/{name}": _mean(column[np.isfinite(column)]) for name, column in zip(names, table.T, strict=True)}
    defined = {name: value for name, value in means.items() if np.isfinite(value)}
    return {**defined, key: _mean(list(defined.values()))} if defined else {}


def _mean(values: Sequence[float] | np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
