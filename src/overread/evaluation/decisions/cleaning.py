"""Clean-up of masks, chosen by structure on tuning cases: keep the largest component, or drop small ones, or neither."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from overread.core.kinds import LabelMap
from overread.core.question import Decisions, Question
from overread.metrics.components import components, kept

SMALLEST_GAIN = 0.0005  # in mean Dice; less is noise, and a rule frozen into a model should earn its place
MOST_MINIMA = 20  # volumes tried per structure

LazyPair = Callable[[], tuple[LabelMap, LabelMap]]  # truth and raw answer of one case on one grid


@dataclass(frozen=True)
class Parts:
    """What cleaning can change in one case: the components of its answer.

    truth_voxels  size of the truth
    voxels        (n,) size of each component of the answer
    shared        (n,) how many of its voxels lie in the truth
    voxel_ml      None where spacing is not known
    """

    truth_voxels: int
    voxels: np.ndarray
    shared: np.ndarray
    voxel_ml: float | None

    def dice(self, *, largest_only: bool = False, minimum_ml: float = 0.0) -> float:
        """Dice after cleaning; 1 for an empty answer to an empty truth, so that every rule is judged on the same cases."""
        minimum = minimum_ml / self.voxel_ml if self.voxel_ml else 0.0
        stay = kept(self.voxels, largest_only=largest_only, minimum_voxels=minimum)
        size = self.truth_voxels + int(self.voxels[stay].sum())
        return 2 * int(self.shared[stay].sum()) / size if size else 1.0


def fit_cleaning(question: Question, cases: Iterable[LazyPair], decisions: Decisions | None = None) -> Decisions:
    """Add `keep_largest` and `minimum_ml` to the decisions, each only where it raises the mean Dice of the tuning cases.

    cases  one function per case that loads truth and answer; one case is in memory at a time
    """
    parts: dict[str, list[Parts]] = {name: [] for name in question.classes}
    for load in cases:
        truth, answer = load()
        for name in question.classes:
            parts[name].append(_parts(truth, answer, name))
    chosen = {name: _choose(found) for name, found in parts.items()}
    decisions = decisions or Decisions()
    return replace(
        decisions,
        keep_largest=tuple(name for name, rule in chosen.items() if rule == "largest"),
        minimum_ml={name: rule for name, rule in chosen.items() if isinstance(rule, float)},
    )


def _parts(truth: LabelMap, answer: LabelMap, name: str) -> Parts:
    true = truth.mask(name)
    found = components(answer.mask(name))
    grid = answer.grid
    voxel_ml = grid.voxel_ml if grid.spacing_known and not grid.is_planar else None
    shared = np.zeros(0, int)
    if found.box is not None:
        inside = found.labels[true[found.box]]
        shared = np.bincount(inside, minlength=len(found.voxels) + 1)[1:]
    return Parts(int(true.sum()), found.voxels, shared, voxel_ml)


def _choose(cases: list[Parts]) -> str | float | None:
    """ "largest", a volume in ml, or None."""
    if not any(len(c.voxels) > 1 or (len(c.voxels) and not c.truth_voxels) for c in cases):
        return None
    best: str | float | None = None
    reached = float(np.mean([c.dice() for c in cases])) + SMALLEST_GAIN
    rules: list[str | float] = ["largest", *_minima(cases)]
    for rule in rules:
        largest_only, minimum_ml = (False, rule) if isinstance(rule, float) else (True, 0.0)
        score = float(np.mean([c.dice(largest_only=largest_only, minimum_ml=minimum_ml) for c in cases]))
        if score > reached + 1e-9:
            best, reached = rule, score
    return best


def _minima(cases: list[Parts]) -> list[float]:
    """Volumes worth trying: just above those of components that lie wholly outside the truth."""
    if any(c.voxel_ml is None for c in cases):
        return []
    false = np.unique([v * (c.voxel_ml or 0.0) for c in cases for v, s in zip(c.voxels, c.shared, strict=True) if s == 0])
    if len(false) > MOST_MINIMA:
        false = np.quantile(false, np.linspace(0, 1, MOST_MINIMA))
    return [float(f"{v * 1.01:.4g}") for v in false]
