"""Shapley values of the features of a small model: what age, or the texture of the image, brought to each answer.

Interventional: a group of features that is left out takes the values of background cases, all others keep the case's own. So a
group gets what the model makes of it, and nothing for what only goes along with it. Features that go together are still judged
on cases that do not exist; that is the price. Sources: Lundberg and Lee, NeurIPS 2017; Janzing et al., AISTATS 2020
(arXiv:1910.13413), on why interventional.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from overread.explanation.shapley import Shapley, exact, sampled

EVERY_COALITION = 10  # groups up to which all coalitions are asked: 1024
PERMUTATIONS = 64
ROWS = 20_000  # of the table that the model answers at once


def group_values(
    answers: Callable[[np.ndarray], np.ndarray],
    table: np.ndarray,
    background: np.ndarray,
    groups: Mapping[str, np.ndarray],
    seed: int = 0,
) -> Shapley:
    """What each group of features brought to each answer: values of shape (G, N * K), see `Shapley`.

    answers     (M, F) features -> (M, K)
    table       (N, F) of the cases that are explained
    background  (B, F) of training cases
    groups      name -> numbers of its columns; together all F columns
    The worth of no group is the mean answer to the background, that of all groups the answer to the case.
    """
    members = [np.isin(np.arange(table.shape[1]), columns) for columns in groups.values()]

    def worth(coalitions: np.ndarray) -> np.ndarray:
        return np.array([_mean_answers(answers, table, background, _columns(members, c)).ravel() for c in coalitions])

    return exact(worth, len(groups)) if len(groups) <= EVERY_COALITION else sampled(worth, len(groups), PERMUTATIONS, seed)


def _columns(members: list[np.ndarray], coalition: np.ndarray) -> np.ndarray:
    """(F,) bool: the columns of the groups that are there."""
    present = np.zeros_like(members[0])
    for mask, there in zip(members, coalition, strict=True):
        present |= mask & there
    return present


def _mean_answers(
    answers: Callable[[np.ndarray], np.ndarray], table: np.ndarray, background: np.ndarray, present: np.ndarray
) -> np.ndarray:
    """(N, K): the mean answer to each case with the columns that are not present taken from every background case."""
    if present.all():
        return np.asarray(answers(table))
    if not present.any():
        return np.repeat(np.asarray(answers(background)).mean(0, keepdims=True), len(table), 0)
    at_once = max(1, ROWS // len(background))
    means = []
    for k in range(0, len(table), at_once):
        some = table[k : k + at_once]
        mixed = np.where(present, some[:, None], background[None])
        found = np.asarray(answers(mixed.reshape(-1, table.shape[1])))
        means.append(found.reshape(len(some), len(background), -1).mean(1))
    return np.concatenate(means)
