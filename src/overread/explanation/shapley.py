"""Shapley values: what each player of a team brought to what the team reached. No network here.

A coalition is a row of 0 and 1 over players; its worth is what the answer is when these players are there and the others are
not. The values of all players add up to the worth of all less the worth of none, exactly, in both ways of computing them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import factorial

import numpy as np

Worth = Callable[[np.ndarray], np.ndarray]  # (M, P) bool coalitions -> (M,) or (M, K) numbers


@dataclass(frozen=True)
class Shapley:
    """values          (P,) or (P, K), one per player (and per number asked for)
    standard_error  as `values`, of the sampling; None where every coalition was asked, or one order and its reverse alone
    none, everyone  worth of no player and of all
    asked           coalitions whose worth was computed
    """

    values: np.ndarray
    standard_error: np.ndarray | None
    none: np.ndarray
    everyone: np.ndarray
    asked: int


def exact(worth: Worth, players: int) -> Shapley:
    """Every one of the 2^P coalitions is asked. Source: Shapley 1953; Lundberg and Lee, NeurIPS 2017, equation 4."""
    coalitions = (np.arange(2**players)[:, None] >> np.arange(players) & 1).astype(bool)
    worths = np.asarray(worth(coalitions), dtype=np.float64)
    size, numbers = coalitions.sum(1), np.arange(2**players)
    weights = np.array([factorial(s) * factorial(players - s - 1) / factorial(players) for s in range(players)])
    values = []
    for player in range(players):
        without = numbers[~coalitions[:, player]]
        gain = worths[without + 2**player] - worths[without]
        values.append(np.tensordot(weights[size[without]], gain, 1))
    return Shapley(np.array(values), None, worths[0], worths[-1], len(coalitions))


def sampled(worth: Worth, players: int, permutations: int, seed: int = 0) -> Shapley:
    """Players join in random orders, each order followed by its reverse; a player's value is its mean gain on joining.

    permutations  orders in all, rounded up to pairs
    Sources: Castro et al., Comput Oper Res 2009;36:1726 (orders); Mitchell et al., JMLR 2022;23(43) (an order and its reverse).
    The standard error is that of the mean over pairs, which are independent of one another.
    """
    random = np.random.default_rng(seed)
    pairs = max(1, -(-permutations // 2))
    drawn = [random.permutation(players) for _ in range(pairs)]
    orders = [order for one in drawn for order in (one, one[::-1])]
    ends = np.array([np.zeros(players, bool), np.ones(players, bool)])
    worths = np.asarray(worth(np.concatenate([ends, *map(_growing, orders)])), dtype=np.float64)
    none, everyone, steps = worths[0], worths[1], worths[2:].reshape(len(orders), players - 1, *worths.shape[1:])
    gains = np.empty((len(orders), players, *worths.shape[1:]))
    for number, order in enumerate(orders):
        gains[number, order] = np.diff(np.concatenate([none[None], steps[number], everyone[None]]), axis=0)
    means = gains.reshape(pairs, 2, *gains.shape[1:]).mean(1)
    error = means.std(0, ddof=1) / np.sqrt(pairs) if pairs > 1 else None
    return Shapley(means.mean(0), error, none, everyone, len(worths))


def _growing(order: np.ndarray) -> np.ndarray:
    """(P - 1, P): the coalitions on the way from nobody to everybody, without these two."""
    rank = np.argsort(order)
    return rank[None] <= np.arange(len(order) - 1)[:, None]
