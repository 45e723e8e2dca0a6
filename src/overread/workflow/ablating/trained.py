"""One-switch ablations: the base and each training with one part switched off, with the same cases, budget and seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from overread.cohort.index import Cohort
from overread.cohort.progress import Progress
from overread.cohort.subdivision import OPEN, Subdivision
from overread.core.errors import OverreadError
from overread.evaluation.comparing.compared import Contender
from overread.evaluation.comparing.endpoints import Endpoint
from overread.evaluation.learning.ablation import gains
from overread.reading.model import build_network
from overread.training.plan import Plan
from overread.workflow.ablating.switches import SWITCHES
from overread.workflow.learning.series import Budget, told_overrides, train_part
from overread.workflow.plan import with_overrides
from overread.workflow.project import Project
from overread.workflow.searching.planned import plan_of

PART_OF = "an ablation"
BASE = "base"


@dataclass(frozen=True)
class Ablation:
    """What all trainings share.

    name       of the folder in runs/ that holds them
    overrides  settings of the base
    seeds      of the trainings of each variant
    """

    project: Project
    name: str
    fold: int | None
    budget: Budget
    overrides: Mapping[str, str]
    seeds: tuple[int, ...]
    again: str
    progress: Progress | None
    tell: Callable[[str], None]

    def applicable(self, names: Sequence[str], cohort: Cohort) -> tuple[dict[str, Mapping[str, str]], dict[str, str]]:
        """Settings by switch, and the reasons of those that say nothing here; found out before anything is trained."""
        plan = plan_of(self.project, cohort, self.overrides, self.progress, self.fold)
        training = with_overrides(self.project.settings, self.overrides).training
        variants: dict[str, Mapping[str, str]] = {}
        refused: dict[str, str] = {}
        for name in names:
            off = SWITCHES[name].off(plan, training)
            why = off if isinstance(off, str) else self._obstacle(cohort, plan, off)
            if why:
                refused[name] = why
            else:
                assert not isinstance(off, str)
                variants[name] = off
        return variants, refused

    def _obstacle(self, cohort: Cohort, base: Plan, off: Mapping[str, str]) -> str:
        """Why nothing would change, or why it cannot be trained; "" where it can."""
        try:
            plan = plan_of(self.project, cohort, {**self.overrides, **off}, None, self.fold)
            build_network(plan.network)
        except OverreadError as error:
            return error.what
        return "it changes nothing: it is off already" if plan.identity == base.identity else ""

    def trained(self, variants: Mapping[str, Mapping[str, str]], cohort: Cohort) -> dict[str, list[dict[str, Any]]]:
        """Evaluations of every variant and of the base, one for each seed; all variants of a seed before the next one."""
        training, tuning = (frozenset(case.case_id for case in cohort.of(part)) for part in OPEN)
        every = {BASE: {}, **{f"no-{name}": off for name, off in variants.items()}}
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in every}
        for seed in self.seeds:
            for name, off in every.items():
                about = {"variant": name.replace("-", " "), "seed": seed, "settings": told_overrides(off)}
                self.tell(f"{name.replace('-', ' ')}, seed {seed}: {self.budget}")
                own = {**self.overrides, **off, "training.seed": str(seed)}
                run = f"{self.name}/{name}-{seed}"
                part = Subdivision(training, tuning, PART_OF, about)
                found[name].append(train_part(self.project, run, self.fold, part, self.budget, own, self.progress, self.again))
        return found


def compared(
    found: Mapping[str, Sequence[Mapping[str, Any]]], variants: Mapping[str, Mapping[str, str]], endpoint: Endpoint, level: float
) -> list[dict[str, Any]]:
    """A row for each switch: the score with and without, the gain with its interval, and how seeds differ."""
    base = Contender(BASE, tuple(found[BASE]))
    others = [Contender(name, tuple(found[f"no-{name}"])) for name in variants]
    return [
        {
            "switch": gain.name,
            "title": SWITCHES[gain.name].title,
            "settings": told_overrides(variants[gain.name]),
            "with": gain.with_it,
            "without": gain.without,
            "gain": gain.gain.as_dict(),
            "p": gain.p,
            "p_holm": gain.p_holm,
            "verdict": gain.verdict,
            "each_seed": list(gain.each),
            "spread_over_seeds": gain.spread,
            "remark": gain.remark,
        }
        for gain in gains(base, others, endpoint, level)
    ]
