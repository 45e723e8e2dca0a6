"""Which of many unlabelled cases to label next: those that the model is unsure of, and no two alike.

Uncertainty sampling: Lewis and Gale, SIGIR 1994. Cases far from everything that is labelled or chosen already (greedy k-centre,
"core-set"): Sener and Savarese, ICLR 2018. First the unsure, among them the far ones: Yang et al., MICCAI 2017 (suggestive
annotation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from overread.core.errors import OverreadError

BOTH, UNCERTAINTY, DIVERSITY, CHANCE = "both", "uncertainty", "diversity", "chance"
WAYS = (BOTH, UNCERTAINTY, DIVERSITY, CHANCE)
SHORTLIST = 3  # times as many as are asked for: the unsure ones, among which those far apart are taken


@dataclass(frozen=True)
class Proposal:
    """One case to label.

    position  in the pool
    unsure    its uncertainty
    distance  to the nearest case that is labelled or stands above it, in standard deviations per feature; None by uncertainty
              or chance alone, which do not look at it
    """

    position: int
    unsure: float
    distance: float | None


def propose(
    unsure: Sequence[float], features: np.ndarray, known: np.ndarray, count: int, by: str = BOTH, seed: int = 0
) -> list[Proposal]:
    """The cases to label next, the most wanted first.

    unsure    (N,) of the pool; NaN where it is not defined, which counts as least unsure
    features  (N, F) of the pool
    known     (M, F) of the cases that are labelled already; M may be 0
    count     how many are wanted; all where the pool is smaller
    seed      of the order by chance
    """
    if by not in WAYS:
        raise OverreadError(f"Cases cannot be proposed by '{by}'.", f"say one of {', '.join(WAYS)}")
    if count < 1:
        raise OverreadError(f"{count} cases to label are none.", "ask for one or more")
    values = np.where(np.isfinite(np.asarray(unsure, dtype=float)), unsure, -np.inf)
    count = min(count, len(values))
    if by == CHANCE:
        drawn = np.random.default_rng(seed).permutation(len(values))[:count]
        return [Proposal(int(k), float(unsure[k]), None) for k in drawn]
    order = np.argsort(-values, kind="stable")
    if by == UNCERTAINTY:
        return [Proposal(int(k), float(unsure[k]), None) for k in order[:count]]
    shortlist = order[: SHORTLIST * count] if by == BOTH else np.arange(len(values))
    scaled, labelled = _scaled(features, known)
    return [Proposal(k, float(unsure[k]), far) for k, far in _far_apart(shortlist, scaled, labelled, values, count)]


def _scaled(features: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both with each feature of mean 0 and spread 1 over what is labelled, or over the pool where nothing is.

    A feature that never varies among the labelled, and does in the pool, is what is most unlike: its spread is that over both.
    """
    features = np.asarray(features, dtype=np.float64)
    known = np.asarray(known, dtype=np.float64).reshape(-1, features.shape[1])
    base, both = known if len(known) > 1 else features, np.concatenate([known, features])
    mean, spread, wider = base.mean(0), base.std(0), both.std(0)
    least = 1e-9 * max(1.0, float(np.abs(both).max(initial=0.0)))
    spread = np.where(spread > least, spread, wider)
    spread = np.where(spread > least, spread, np.inf)  # constant everywhere
    return (features - mean) / spread, (known - mean) / spread


def _far_apart(
    shortlist: np.ndarray, features: np.ndarray, known: np.ndarray, unsure: np.ndarray, count: int
) -> list[tuple[int, float]]:
    """Greedy k-centre: each time the case farthest from all that is labelled or taken. The first of all is the least sure."""
    across = np.sqrt(features.shape[1])
    nearest = np.array([_to_nearest(features[k], known) for k in shortlist]) / across
    taken: list[tuple[int, float]] = []
    left = np.ones(len(shortlist), dtype=bool)
    for _ in range(count):
        candidates = np.where(left, nearest, -np.inf)
        if np.isinf(nearest).all():  # nothing is labelled yet
            candidates = unsure[shortlist]
        place = int(np.argmax(candidates))
        taken.append((int(shortlist[place]), float(nearest[place])))
        left[place] = False
        to_it = np.linalg.norm(features[shortlist] - features[shortlist[place]], axis=1) / across
        nearest = np.minimum(nearest, to_it)
    return taken


def _to_nearest(one: np.ndarray, known: np.ndarray) -> float:
    return float(np.linalg.norm(known - one, axis=1).min()) if len(known) else np.inf
