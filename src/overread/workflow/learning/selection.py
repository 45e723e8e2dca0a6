"""One choice among candidates: train each on the inner parts of the open cases, choose, write it down, train the winner."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from overread.cohort.never_tested import trains_beside
from overread.cohort.progress import Progress
from overread.cohort.subdivision import Subdivision
from overread.cohort.subsets import Drawable, acquired_only, drawable, inner_parts
from overread.core.errors import OverreadError, Stopped
from overread.evaluation.learning.selection import (
    Choice,
    choice_in_words,
    choose,
    in_words,
    mean_interval,
    part_scores,
    with_unit,
)
from overread.evaluation.rules import Rules
from overread.metrics.metric import Metric
from overread.metrics.table import resolve_endpoint
from overread.record.events import read_events
from overread.record.files import write_json
from overread.record.run import RunFolder
from overread.workflow.learning.series import Budget, told_overrides, train_part
from overread.workflow.plan import refuse_unfit
from overread.workflow.project import Project
from overread.workflow.train import is_finished, train

FILE = "selection.json"
PART_OF = "a selection"


@dataclass(frozen=True)
class Selection:
    """The choice within one outer fold, or within the project's one split.

    name   of the run that is trained at the end; the trainings that are compared lie in its folder
    order  what was asked for: "candidates", "overrides", "inner", "seed", "endpoint", "cohort"
    """

    project: Project
    name: str
    fold: int | None
    budget: Budget
    order: Mapping[str, Any]
    progress: Progress | None
    tell: Callable[[str], None]

    @property
    def candidates(self) -> list[dict[str, str]]:
        return list(self.order["candidates"])

    @property
    def again(self) -> str:
        """The command that goes on."""
        held = () if self.fold is None else ("--fold", str(self.fold))
        return self.project.command("select", "--name", self.name, *held)

    def divided(self) -> tuple[Drawable, list[int]]:
        """The open cases with the inner part of each."""
        cohort = acquired_only(self.project.cohort(self.fold))
        refuse_unfit(cohort)
        cases = sorted((*cohort.of("training"), *cohort.of("tuning")), key=lambda case: case.case_id)
        drawn = drawable(cohort, cases, self.project.settings.split.stratify_by, self.progress)
        return drawn, inner_parts(drawn, int(self.order["inner"]), int(self.order["seed"]))

    def done(self, divided: tuple[Drawable, list[int]]) -> dict[str, Any]:
        """Compare, write the choice down, train the winner."""
        drawn, parts = divided
        metric, subject = resolve_endpoint(self.project.question, self.order["endpoint"])
        found = [self._tried(k, drawn, parts) for k in range(len(self.candidates))]
        metric = with_unit(metric, subject, found[0][0])
        scores = [part_scores(metric, subject, evaluations) for evaluations in found]
        choice = choose(np.array(scores, dtype=float), metric.better)
        if choice is None:
            raise OverreadError(
                f"No candidate has a {metric.name} on every inner part.",
                "give the trainings more time, or take fewer inner parts with --inner, under another --name",
            )
        asked = self.project.settings.evaluation
        rules = Rules(level=asked.interval_level, resamples=asked.resamples)
        intervals = [mean_interval(metric, subject, evaluations, self.project.question, rules) for evaluations in found]
        table = [
            {
                "number": k + 1,
                "settings": told_overrides(settings),
                "scores": scores[k],
                "interval": intervals[k].as_dict(),
                "error_to_best": choice.errors[k] if np.isfinite(choice.errors[k]) else None,
                "is_best": k == choice.best,
                "is_tied": k in choice.tied,
                "is_chosen": k == choice.chosen,
            }
            for k, settings in enumerate(self.candidates)
        ]
        run = self.project.run(self.name, self.fold)
        result = self._written(run, drawn, metric, subject, table, choice)
        self.tell(result["words"])
        self._train_winner(run, choice)
        return result

    def _tried(self, candidate: int, drawn: Drawable, parts: Sequence[int]) -> list[dict[str, Any]]:
        """The evaluations of one candidate, one per inner part."""
        settings, found = self.candidates[candidate], []
        for part in range(int(self.order["inner"])):
            held = [k for k, own in enumerate(parts) if own == part]
            others = [k for k, own in enumerate(parts) if own != part]
            about = {"candidate": candidate + 1, "settings": told_overrides(settings), "inner_part_held_out": part + 1}
            training = drawn.ids(others) | self._made_beside(drawn.ids(held))
            subdivision = Subdivision(training, drawn.ids(held), PART_OF, about)
            name = f"{self.name}/try-{candidate + 1}-{part + 1}"
            self.tell(f"{name}: {in_words(settings)}; inner part {part + 1} held out")
            own = {**self.order["overrides"], **settings}
            found.append(train_part(self.project, name, self.fold, subdivision, self.budget, own, self.progress, self.again))
        return found

    def _made_beside(self, held: frozenset[str]) -> frozenset[str]:
        """Images that a network made train every candidate, but for those of a patient who is held out."""
        cases = self.project.cohort(self.fold, check=False).cases
        return trains_beside((c for c in cases if c.is_made), (c for c in cases if c.case_id in held))

    def _written(
        self,
        run: RunFolder,
        drawn: Drawable,
        metric: Metric,
        subject: str,
        table: list[dict[str, Any]],
        choice: Choice,
    ) -> dict[str, Any]:
        inner = int(self.order["inner"])
        result = {
            "format": 1,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "cohort": self.order["cohort"],
            "fold": self.fold,
            "is_phantom": self.project.cohort(self.fold, check=False).is_phantom,
            "endpoint": {"metric": metric.key, "name": metric.name, "subject": subject, "unit": metric.unit}
            | {"better": metric.better},
            "budget": self.budget.as_dict(),
            "overrides": told_overrides(self.order["overrides"]),
            "inner": inner,
            "n_trainings": inner * len(table),
            "n_cases": len(drawn.case_ids),
            "n_patients": drawn.count(range(len(drawn.case_ids))),
            "stratified_by": drawn.by,
            "candidates": table,
            "chosen": choice.chosen + 1,
            "words": choice_in_words(metric, table, choice),
        }
        write_json(run.path / FILE, result)
        return result

    def _train_winner(self, run: RunFolder, choice: Choice) -> None:
        overrides = {**self.order["overrides"], **self.candidates[choice.chosen]}
        started = next((e for e in read_events(run.events_path) if e["event"] == "started"), None)
        if run.checkpoint.exists() and started and started["overrides"] != told_overrides(overrides):
            raise OverreadError(
                f"Run '{self.name}' was trained with other settings than those chosen.", "begin another selection with --name"
            )
        if is_finished(run):
            return
        self.tell(f"{self.name}: training with the winner's settings on this project's own training and tuning cases")
        budget, resume = self.budget, run.checkpoint.exists()
        try:
            train(self.project, budget.minutes, budget.epochs, self.fold, resume, self.name, overrides, self.progress)
        except Stopped as stopped:
            raise Stopped(stopped.what, self.again) from stopped
