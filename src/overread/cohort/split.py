"""Who trains, who tunes, who is kept for the test: split by patient, alike in every class, the same for the same seed.

All cases of one group (a patient, and whoever shares an identical image with that patient) go
together. Groups are placed one after the other where they bring the table of partitions by
strata nearest to the wanted proportions, measured by chi-square; groups that matter most for a
rare stratum come first, equals in an order drawn from the seed. In a small cohort groups then change
places as long as that helps, and a class that would be absent from a partition weighs most.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from overread.core.errors import OverreadError

QUANTILES = 4  # bins of a regression target, at the most
CASES_PER_QUANTILE = 7  # with fewer, a partition of 15 % has no place for one case of each bin
SMALL = 80  # groups; a larger cohort is even without changing places
ABSENT = 10.0  # what a stratum costs that is missing from a partition although there are groups enough for all
ROUNDS = 200  # a safeguard: every exchange lowers the cost, so they end by themselves


def split_by_group(
    groups: Sequence[str],
    strata: Sequence[Sequence[Hashable]],
    shares: Mapping[str, float],
    seed: int = 0,
    fixed: Mapping[str, str] | None = None,
) -> list[str]:
    """A partition for every case.

    groups  one name per case; cases of one name stay together
    strata  per case, what should be spread evenly: its class, its findings, its structures
    shares  partition -> wanted share; shares sum to 1
    fixed   group -> partition for groups that already have one; nobody changes partition
    returns one partition per case, in the order given; the same for the same groups, strata and seed,
            whatever the order of the cases
    """
    if abs(sum(shares.values()) - 1) > 1e-9 or min(shares.values()) <= 0:
        told = ", ".join(f"{name} {share:.2f}" for name, share in shares.items())
        raise OverreadError(
            f"Every partition needs a share above 0, and the shares sum to 1; got {told}.",
            "change --tuning or --internal: training gets what they leave, tuning may not be 0 (--internal 0 makes no test)",
        )
    names, counts = _count(groups, strata)
    wanted = np.array(list(shares.values()))[:, None] * counts.sum(0)[None, :]  # (P, S)
    placed = np.zeros_like(wanted)
    partitions = list(shares)
    at = np.full(len(names), -1)
    for k, name in enumerate(names):
        if fixed is not None and fixed.get(name) in partitions:
            at[k] = partitions.index(fixed[name])
            placed[at[k]] += counts[k]
    free = np.flatnonzero(at < 0)
    for k in _order(names, counts, seed):
        if at[k] < 0:
            at[k] = int(np.argmin(_growth(counts[k], placed, wanted)))
            placed[at[k]] += counts[k]
    if len(free) <= SMALL:
        _improve(at, free, counts, placed, wanted)
    chosen = {name: partitions[at[k]] for k, name in enumerate(names)}
    return [chosen[g] for g in groups]


def folds_by_group(
    groups: Sequence[str], strata: Sequence[Sequence[Hashable]], folds: int, seed: int = 0, fixed: Mapping[str, int] | None = None
) -> list[int]:
    """A fold (0, 1, ...) for every case; see `split_by_group`."""
    if folds < 2 or folds > len(set(groups)):
        raise OverreadError(
            f"{folds} folds cannot be made of {len(set(groups))} patients.", f"choose 2 to {len(set(groups))} folds with --folds"
        )
    shares = {str(k): 1 / folds for k in range(folds)}
    given = {g: str(k) for g, k in (fixed or {}).items()}
    return [int(k) for k in split_by_group(groups, strata, shares, seed, given)]


def _count(groups: Sequence[str], strata: Sequence[Sequence[Hashable]]) -> tuple[list[str], np.ndarray]:
    """Group names in sorted order, and per group (G, S): one patient, its cases, its cases in every stratum."""
    names = sorted(set(groups))
    kinds = sorted({s for case in strata for s in case}, key=str)
    row, column = {g: k for k, g in enumerate(names)}, {s: k + 2 for k, s in enumerate(kinds)}
    counts = np.zeros((len(names), 2 + len(kinds)))
    counts[:, 0] = 1
    for group, case in zip(groups, strata, strict=True):
        counts[row[group], 1] += 1
        for stratum in case:
            counts[row[group], column[stratum]] += 1
    return names, counts


def _order(names: Sequence[str], counts: np.ndarray, seed: int) -> list[int]:
    """Heaviest part of a stratum first; among equals a draw that does not depend on who else is there."""
    weight = np.round((counts / counts.sum(0)).max(1), 9)
    draw = [hashlib.sha256(f"{seed}|{name}".encode()).hexdigest() for name in names]
    return sorted(range(len(names)), key=lambda k: (-weight[k], draw[k]))


def _growth(count: np.ndarray, placed: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(P,) how much chi-square, the sum of (placed - wanted)^2 / wanted, grows if a group goes to each partition."""
    growth: np.ndarray = ((2 * count * (placed - wanted) + count**2) / wanted).sum(1)
    return growth


def _improve(at: np.ndarray, free: np.ndarray, counts: np.ndarray, placed: np.ndarray, wanted: np.ndarray) -> None:
    """Move one group, or exchange two, as long as the cost falls; `at` and `placed` are changed in place.

    at      (G,) partition of each group;  free  groups that may move
    counts  (G, S) groups by strata;  placed, wanted  (P, S)
    """
    enough = (counts > 0).sum(0) >= len(wanted)

    def cost(part: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """(N,) of a partition, by index, with these (N, S) counts in it."""
        chi = ((rows - wanted[part]) ** 2 / wanted[part]).sum(-1)
        absent: np.ndarray = ABSENT * ((rows < 0.5) & enough).sum(-1)
        return chi + absent

    first, second = np.triu_indices(len(free), 1)
    first, second = free[first], free[second]
    alone = np.repeat(free, len(wanted))
    target = np.tile(np.arange(len(wanted)), len(free))
    nobody = np.full(len(alone), -1)
    for _ in range(ROUNDS):
        out, back = np.concatenate([first, alone]), np.concatenate([second, nobody])
        source = at[out]
        goal = np.concatenate([at[second], target])
        change = counts[out] - np.where(back[:, None] >= 0, counts[back], 0)
        before = cost(source, placed[source]) + cost(goal, placed[goal])
        after = cost(source, placed[source] - change) + cost(goal, placed[goal] + change)
        gain = np.where(source == goal, 0, before - after)
        best = int(np.argmax(gain)) if len(gain) else 0
        if len(gain) == 0 or gain[best] < 1e-9:
            return
        placed[source[best]] -= change[best]
        placed[goal[best]] += change[best]
        at[out[best]] = goal[best]
        if back[best] >= 0:
            at[back[best]] = source[best]


def linked_groups(patients: Sequence[str], digests: Sequence[str]) -> list[str]:
    """One group per case: patients, joined where two of them share an identical image.

    returns the first (in sorted order) patient of each group
    """
    parent = {p: p for p in patients}

    def root(patient: str) -> str:
        while parent[patient] != patient:
            parent[patient] = parent[parent[patient]]
            patient = parent[patient]
        return patient

    owner: dict[str, str] = {}
    for patient, digest in zip(patients, digests, strict=True):
        first, second = sorted((root(owner.setdefault(digest, patient)), root(patient)))
        parent[second] = first
    return [root(p) for p in patients]


def quantile_strata(values: Sequence[float | None]) -> list[str]:
    """Name the bin in which each number lies, for an even spread of a regression target: quarters, fewer of few numbers."""
    known = np.array([v for v in values if v is not None], dtype=float)
    if known.size == 0:
        return ["unknown"] * len(values)
    bins = min(QUANTILES, max(1, known.size // CASES_PER_QUANTILE))
    edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1]))
    return ["unknown" if v is None else f"bin {int(np.searchsorted(edges, v, side='right')) + 1}" for v in values]
