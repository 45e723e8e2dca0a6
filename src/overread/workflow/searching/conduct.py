"""One trial of a search: trained on the training cases, scored on the tuning cases, written down; its weights are not kept."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overread.cohort.progress import Progress
from overread.cohort.subdivision import Subdivision
from overread.core.errors import OverreadError, Stopped
from overread.evaluation.comparing.endpoints import Endpoint
from overread.evaluation.learning.selection import part_scores
from overread.record.events import read_events, settled
from overread.record.files import read_json
from overread.record.run import RunFolder
from overread.workflow.learning.series import Budget, train_part
from overread.workflow.project import Project
from overread.workflow.searching.early import EndedEarly, judged_by, looks_of, watch
from overread.workflow.searching.trials import DONE, EARLY, FAILED, Trial

PART_OF = "a search"
UNSAID = "it was refused; the reason names a file and stands on the terminal only"


@dataclass(frozen=True)
class Conduct:
    """What all trials of one search share.

    name         of the run that is trained at the end; the trials lie in its folder
    subdivision  training and tuning cases as the project has them; the internal test is in neither
    seed         of every training: trials differ by their settings, not by luck
    again        the command that goes on
    """

    project: Project
    name: str
    fold: int | None
    budget: Budget
    overrides: Mapping[str, str]
    subdivision: Subdivision
    endpoint: Endpoint
    seed: int
    again: str
    progress: Progress | None
    tell: Callable[[str], None]

    def run_of(self, number: int) -> RunFolder:
        return self.project.run(self.run_name(number), self.fold)

    def run_name(self, number: int) -> str:
        return f"{self.name}/trial-{number}"

    def evaluation(self, number: int) -> dict[str, Any]:
        """What a done trial answered on the tuning cases."""
        return dict(read_json(self.run_of(number).evaluation("tuning")))

    def done(self, number: int, settings: Mapping[str, str], before: Sequence[Trial]) -> Trial:
        """Train and score one trial; what cannot be trained is a failed trial, but for the first, which has to work.

        before  the trials that have ended
        """
        run, began = self.run_of(number), time.monotonic()
        state, value, reason = DONE, None, ""
        try:
            found = self._trained(number, settings, watch(run, self.budget, before))
            value = self._scored(number, found)
        except EndedEarly:
            state = EARLY
        except Stopped:
            raise
        except OverreadError as error:
            if number == 1:
                raise
            state, reason = FAILED, error.what if "/" not in error.what else UNSAID
            self.tell(f"Trial {number} failed: {error.what}")
        if state == DONE and value is None:
            state, reason = FAILED, f"{self.endpoint.metric.name} is not defined on its answers"
        minutes = max((time.monotonic() - began) / 60, _minutes_of(run))
        looks = looks_of(settled(read_events(run.events_path)), self.budget)
        _without_weights(run.path)
        taken, name = round(minutes, 3), self.run_name(number)
        return Trial(number, dict(settings), state, value, looks, taken, self.seed, name, reason, judged_by(run.plan))

    def _scored(self, number: int, found: Mapping[str, Any]) -> float | None:
        """The score on tuning cases; the first trial must have one, for without it nothing can be compared."""
        metric = self.endpoint.metric
        (value,) = part_scores(metric, self.endpoint.subject, [found])
        if value is None and number == 1:
            raise OverreadError(
                f"{metric.name} is not defined on the answers of the first trial, which is as project.toml says.",
                "give trials more time, or set another evaluation.primary_endpoint",
            )
        return value

    def _trained(self, number: int, settings: Mapping[str, str], hear: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        own = {**self.overrides, **settings}
        name = self.run_name(number)
        return train_part(self.project, name, self.fold, self.subdivision, self.budget, own, self.progress, self.again, hear)


def _minutes_of(run: RunFolder) -> float:
    """Of training, over all sittings: a trial that was stopped and went on has more than its last one."""
    return max((float(e["minutes"]) for e in read_events(run.events_path) if e["event"] == "epoch"), default=0.0)


def _without_weights(folder: Path) -> None:
    """A search of many trials would fill a disk; plan, curve and scores stay, and the best settings are trained anew."""
    for name in ("model", "predictions"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for path in (*folder.glob("checkpoint*"), *folder.glob("*.overread")):
        path.unlink()
