"""Several readers' reads become one reference standard, by a stated rule.

    majority  more than half of the readers; a tie is not known (a finding) or background (a voxel)
    any, all  one reader is enough; every reader must agree
    staple    Simultaneous Truth and Performance Level Estimation (Warfield, IEEE TMI 2004;23:903): readers are weighed by
              the sensitivity and specificity that expectation maximisation finds for each of them
    NAME      this reader's read, the others are kept beside it

Voxels (or cases) in which the readers said the same are alike, so the estimation runs over the patterns of their
answers, at most 2 to the power of their number, instead of over the voxels; the result is the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from overread.core.errors import OverreadError

RULES = ("majority", "any", "all", "staple")
MOST_READERS = 16  # patterns of answers fit into a small table
ROUNDS = 200
CLOSE = 1e-7


@dataclass(frozen=True)
class Fused:
    """What the rule made of the reads.

    probability  (...) 0 to 1 that the finding is there; votes as a share for all rules but STAPLE
    accepted     (...) bool
    tied         (...) bool, majority of an even number only
    performance  reader -> {"sensitivity", "specificity"} against the estimate; STAPLE only
    """

    probability: np.ndarray
    accepted: np.ndarray
    tied: np.ndarray
    performance: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def check_rule(rule: str, readers: Sequence[str]) -> str:
    """The rule as it is known; refused where it is neither a rule nor a reader."""
    if rule in RULES or rule in readers:
        return rule
    raise OverreadError(
        f"'{rule}' is neither a rule ({', '.join(RULES)}) nor one of the readers ({', '.join(readers)}).",
        "name one of them",
    )


def fuse(reads: Mapping[str, np.ndarray], rule: str) -> Fused:
    """Reads of one finding or structure, reader -> (...) bool arrays of one shape, by `rule`."""
    readers = list(reads)
    check_rule(rule, readers)
    if rule in reads:
        own = np.asarray(reads[rule], bool)
        return Fused(own.astype(np.float64), own, np.zeros(own.shape, bool))
    votes = np.mean([np.asarray(read, bool) for read in reads.values()], axis=0)
    if rule == "any":
        return Fused(votes, votes > 0, np.zeros(votes.shape, bool))
    if rule == "all":
        return Fused(votes, votes == 1, np.zeros(votes.shape, bool))
    if rule == "majority":
        return Fused(votes, votes > 0.5, votes == 0.5)
    return _staple(reads)


def _staple(reads: Mapping[str, np.ndarray]) -> Fused:
    if len(reads) > MOST_READERS:
        raise OverreadError(f"STAPLE takes {MOST_READERS} readers at most; got {len(reads)}.", "fuse by majority")
    readers = list(reads)
    stacked = [np.asarray(reads[name], bool) for name in readers]
    codes = sum(read.astype(np.int64) << k for k, read in enumerate(stacked))
    found, place, count = np.unique(codes, return_inverse=True, return_counts=True)
    said = (found[:, None] >> np.arange(len(readers))) & 1  # (patterns, readers)
    likely, sensitivity, specificity = estimate(said.astype(bool), count.astype(np.float64))
    probability = likely[place].reshape(stacked[0].shape)
    performance = {
        name: {"sensitivity": float(sensitivity[k]), "specificity": float(specificity[k])} for k, name in enumerate(readers)
    }
    return Fused(probability, probability >= 0.5, np.zeros(probability.shape, bool), performance)


def estimate(said: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """STAPLE over patterns of answers.

    said     (P, R) bool, what each reader said in each pattern
    count    (P,) voxels or cases with this pattern
    returns  (P,) probability that the finding is there, (R,) sensitivity, (R,) specificity
    """
    prior = float((said.mean(1) * count).sum() / count.sum())
    if prior in (0.0, 1.0):
        return np.full(len(said), prior), np.ones(said.shape[1]), np.ones(said.shape[1])
    sensitivity = specificity = np.full(said.shape[1], 0.99999)
    probability = np.zeros(len(said))
    for _ in range(ROUNDS):
        there = prior * np.where(said, sensitivity, 1 - sensitivity).prod(1)
        absent = (1 - prior) * np.where(said, 1 - specificity, specificity).prod(1)
        before, probability = probability, there / np.maximum(there + absent, 1e-300)
        here, gone = probability * count, (1 - probability) * count
        sensitivity = (here @ said) / max(here.sum(), 1e-300)
        specificity = (gone @ ~said) / max(gone.sum(), 1e-300)
        if np.abs(probability - before).max() < CLOSE:
            break
    return probability, sensitivity, specificity


def fuse_layers(reads: Mapping[str, np.ndarray], values: Sequence[int], rule: str) -> tuple[np.ndarray, dict[str, Fused]]:
    """Label maps of one case by several readers -> one label map.

    reads    reader -> (Z, Y, X) integers on one grid
    values   label values of the structures
    returns  (Z, Y, X) integers, and what was found for each value; where two structures claim a voxel, the more probable
             takes it, and of equally probable ones the first
    """
    fused = np.zeros(next(iter(reads.values())).shape, np.int32)
    best = np.zeros(fused.shape)
    found: dict[str, Fused] = {}
    for value in values:
        one = fuse({name: read == value for name, read in reads.items()}, rule)
        takes = one.accepted & (one.probability > best)
        fused[takes] = value
        best[takes] = one.probability[takes]
        found[str(value)] = one
    return fused, found
