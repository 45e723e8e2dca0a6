"""How unsure several answers to one case are, and how far they disagree: entropies in bits.

Entropy of the mean answer = mean entropy of the answers + what they disagree by (mutual information of answer and pass).

Sources: Houlsby et al., arXiv 1112.5745 (2011); Gal et al., ICML 2017; Depeweg et al., ICML 2018; Kendall and Gal, NeurIPS 2017.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TINIEST = 1e-12  # p log p is 0 there


def entropy(probability: np.ndarray, *, exclusive: bool, axis: int = -1) -> np.ndarray:
    """Bits: 0 sure; 1 as unsure as a coin, where there are two classes.

    probability  0 to 1; K classes along `axis`, which is left out of what is returned
    exclusive    the K add up to 1; else each is a finding of its own, and their entropies are added up, as though they were
                 independent
    """
    p = np.asarray(probability)
    terms = _bits(p) if exclusive else _bits(p) + _bits(1 - p)
    return np.maximum(np.asarray(terms.sum(axis)), 0.0)  # 0, where rounding would say -0.0


def _bits(p: np.ndarray) -> np.ndarray:
    safe = np.clip(p, TINIEST, 1.0)
    return -p * np.log2(safe)


@dataclass(frozen=True)
class Entropies:
    """Three numbers, or three arrays of one shape, in bits.

    total     entropy of the mean of the answers
    expected  mean of the entropies of the answers: what each of them is unsure of by itself
    mutual    total less expected, never below 0: what they disagree by
    """

    total: np.ndarray
    expected: np.ndarray
    mutual: np.ndarray

    @classmethod
    def of(cls, answers: np.ndarray, weights: np.ndarray, *, exclusive: bool) -> Entropies:
        """answers  (T, ..., K) probabilities of T passes
        weights  (T,) of the passes, 1 in all
        """
        mean = np.tensordot(weights, answers, 1)
        each = entropy(answers, exclusive=exclusive)
        return cls.split(entropy(mean, exclusive=exclusive), np.tensordot(weights, each, 1))

    @classmethod
    def split(cls, total: np.ndarray, expected: np.ndarray) -> Entropies:
        """From the entropy of the mean and the mean of the entropies."""
        total, expected = np.asarray(total), np.asarray(expected)
        return cls(total, expected, np.maximum(total - expected, 0.0))


def spread(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(T, ...) values of T passes -> their mean and the standard deviation around it, over the passes as they are."""
    mean = np.tensordot(weights, values, 1)
    return mean, np.sqrt(np.tensordot(weights, (values - mean) ** 2, 1))
