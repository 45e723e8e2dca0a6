"""Which cases come into a step, and which place of each: deterministic by seed and step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from overread.batches.cache import PreparedCase


@dataclass(frozen=True)
class Pick:
    """One place of a batch: the case, and the row of the object that the window is centred on; None: any place."""

    case: int
    row: int | None = None


@dataclass(frozen=True)
class Pools:
    """Cases by what they hold.

    found, clean  places of the cases with an object, and of those without
    by_class      class -> places of the cases that hold it
    """

    found: np.ndarray
    clean: np.ndarray
    by_class: Mapping[int, np.ndarray]

    @classmethod
    def of(cls, cases: Sequence[PreparedCase]) -> Pools:
        held = [np.unique(case.objects.classes) if case.objects is not None else np.empty(0, int) for case in cases]
        found = np.array([bool(len(classes)) for classes in held], dtype=bool)
        names = sorted({int(c) for classes in held for c in classes})
        by_class = {c: np.flatnonzero([c in classes for classes in held]) for c in names}
        return cls(np.flatnonzero(found), np.flatnonzero(~found), by_class)


def pick_objects(
    cases: Sequence[PreparedCase],
    pools: Pools,
    step: int,
    batch: int,
    clean: float | None,
    centred: float,
    seed: int,
    random: np.random.Generator,
) -> list[Pick]:
    """The picks of a step.

    clean    share of images taken from cases without any object; None leaves both at their natural share
    centred  share of the other images whose window is centred on an object, of each class equally often

    Shares are kept exactly as the steps go on, not only on average, and cases of a pool come each once per pass.
    """
    picks = []
    for place in range(step * batch, (step + 1) * batch):
        if clean is None or not len(pools.clean) or not len(pools.found):
            position, pool, turn = place, np.arange(len(cases)), 0
        elif is_due(place, clean):
            position, pool, turn = int(place * clean + 1e-9), pools.clean, 1
        else:
            position, pool, turn = place - int(place * clean + 1e-9), pools.found, 2
        if turn != 1 and pools.by_class and is_due(position, centred):
            picks.append(_on_an_object(cases, pools, random))
            continue
        order = np.random.default_rng([seed, 1_000_003 + turn, position // len(pool)]).permutation(len(pool))
        picks.append(Pick(int(pool[order[position % len(pool)]])))
    return picks


def is_due(position: int, share: float) -> bool:
    """Whether this position is one of the `share` that are: spread evenly, so that n positions hold n * share of them."""
    return int((position + 1) * share + 1e-9) > int(position * share + 1e-9)


def _on_an_object(cases: Sequence[PreparedCase], pools: Pools, random: np.random.Generator) -> Pick:
    name = random.choice(list(pools.by_class))
    case = int(random.choice(pools.by_class[name]))
    objects = cases[case].objects
    assert objects is not None
    return Pick(case, int(random.choice(np.flatnonzero(objects.classes == name))))
