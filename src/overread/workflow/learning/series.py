"""Several trainings that belong together: one budget for all, each on its subdivision, kept when they are asked for again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overread.cohort.progress import Progress
from overread.cohort.subdivision import Subdivision, read_subdivision, write_subdivision
from overread.core.errors import OverreadError, Stopped
from overread.record.files import digest_json, read_json, write_json
from overread.record.run import RunFolder
from overread.training.plan import RUN
from overread.workflow import plan as planning
from overread.workflow.evaluate import evaluate
from overread.workflow.project import Project
from overread.workflow.train import DEFAULT_MINUTES, FOLDERS, Hear, is_finished, train
from overread.workflow.unlabelled.consistency import REST

SHAPING = ("training", "region", "evaluation")  # sections of project.toml that a finished training and its scores rest on
OWN_KEYS = {"training": {"minutes", "epochs", "seed"}}  # an order holds these itself
TOLD_ONLY = {"evaluation": {"hypothesis", "primary_endpoint", "declared", "margin"}}  # shape no training and no score
IN_WORDS = {"settings": "[training], [region] or [evaluation] in project.toml"}


@dataclass(frozen=True)
class Budget:
    """What each training gets; one of the two."""

    minutes: float | None
    epochs: int | None

    def __str__(self) -> str:
        if self.epochs is not None:
            return f"{self.epochs} epoch{'s' if self.epochs != 1 else ''}"
        return f"{self.minutes:g} minutes"

    def as_dict(self) -> dict[str, Any]:
        return {"minutes": self.minutes, "epochs": self.epochs}


def budget_of(project: Project, minutes: float | None, epochs: int | None, overrides: Mapping[str, str]) -> Budget:
    """As asked, else that of [training], else 15 minutes."""
    training = planning.with_overrides(project.settings, overrides).training
    if minutes is None and epochs is None:
        minutes, epochs = training.minutes, training.epochs
    if minutes is not None and epochs is not None:
        raise OverreadError("Both minutes and epochs are set.", "keep one of them")
    return Budget(DEFAULT_MINUTES, None) if minutes is None and epochs is None else Budget(minutes, epochs)


def settings_digest(project: Project, overrides: Mapping[str, str]) -> str:
    """Digest of the settings that shape a training and its scores, as they are after overrides: "settings" of an order.

    Lines that say what is so without them count as left out, so that a setting that is new to the program changes no digest.
    """
    settings = planning.with_overrides(project.settings, overrides)
    values = settings.model_dump(mode="json", include=set(SHAPING), exclude={**OWN_KEYS, **TOLD_ONLY}, exclude_defaults=True)
    return digest_json({section: values.get(section, {}) for section in SHAPING})


def keep_order(path: Path, order: Mapping[str, Any], fixed: tuple[str, ...], what: str) -> None:
    """Write what was asked for; refused where trainings of another kind were begun under the same name.

    fixed  names of what may not change between two calls: a table of unlike trainings says nothing. What an order from before
           there was such a name does not hold is not asked of it
    """
    before = kept_order(path)
    changed = [name for name in fixed if name in before and before[name] != order[name]]
    if "overrides" in changed and "settings" in changed:
        changed.remove("settings")  # the one is told by the other
    if changed:
        raise OverreadError(
            f"{what} was begun otherwise; what changed: {', '.join(IN_WORDS.get(name, name) for name in changed)}.",
            "ask for the same again, or begin another one with --name",
        )
    write_json(path, {"format": 1, **order})


def kept_order(path: Path) -> dict[str, Any]:
    """What an earlier call asked for; empty where there was none."""
    return dict(read_json(path)) if path.exists() else {}


def told_overrides(overrides: Mapping[str, str]) -> dict[str, str]:
    """Settings as they may be shown: some may name a folder."""
    return {k: v for k, v in overrides.items() if k not in FOLDERS or v.startswith(RUN) or v == REST}


def refuse_taken(run: RunFolder, mark: Path, what: str) -> None:
    """A name under which something else lies already."""
    if run.path.is_dir() and any(run.path.iterdir()) and not mark.exists():
        raise OverreadError(f"'{run.name}' is a run already, and no {what}.", f"give this {what} another name with --name")


def train_part(
    project: Project,
    name: str,
    fold: int | None,
    subdivision: Subdivision,
    budget: Budget,
    overrides: Mapping[str, str],
    progress: Progress | None,
    again: str,
    hear: Hear = lambda event: None,
) -> dict[str, Any]:
    """Train one run on its subdivision and evaluate it on its tuning cases; what is finished is kept.

    again    the command that goes on, said where the user stops
    hear     is told every event of the training, as of `train`
    returns  the content of its `evaluation-tuning.json`
    """
    run = project.run(name, fold)
    known = read_subdivision(run.subdivision)
    if known is None:
        write_subdivision(run.subdivision, subdivision)
    elif known != subdivision:
        raise OverreadError(
            f"Run '{name}' was begun with other cases or settings.", "begin another learning curve or selection with --name"
        )
    if not is_finished(run):
        try:
            train(project, budget.minutes, budget.epochs, fold, run.checkpoint.exists(), name, overrides, progress, hear)
        except Stopped as stopped:
            raise Stopped(stopped.what, again) from stopped
    return evaluated(project, name, fold, run, progress)


def evaluated(project: Project, name: str, fold: int | None, run: RunFolder, progress: Progress | None) -> dict[str, Any]:
    """The evaluation of this very model on its tuning cases; made where there is none."""
    path = run.evaluation("tuning")
    if path.exists():
        found = dict(read_json(path))
        if found.get("model") == read_json(run.model / "model.json")["sha256"]:
            return found
    return evaluate(project, name, "tuning", fold, progress=progress, panels=False).as_dict()
