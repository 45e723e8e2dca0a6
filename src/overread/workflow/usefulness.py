"""`overread usefulness`: the same training without and with made images, compared on the same cases, pair by pair.

Made images are added to the training cases of the runs "with" alone; the project is not changed. Tuning cases are scored, and
the internal test where it is asked for, whose seal is opened once for each training through the project's own ledger.
Sources: that a made image is worth what it teaches, Ravuri and Vinyals, NeurIPS 2019, arXiv:1905.10887; what several seeds
are for, Bouthillier et al., MLSys 2021, arXiv:2103.03098.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from overread.cohort.beside import MadeBeside, read_beside, write_beside
from overread.cohort.index import Cohort
from overread.cohort.progress import Progress
from overread.core.errors import OverreadError, Stopped
from overread.evaluation.comparing.compared import Contender
from overread.evaluation.comparing.endpoints import Endpoint
from overread.evaluation.learning.ablation import Gain, gains, refuse_undirected
from overread.metrics.table import default_endpoint
from overread.record.files import read_json, write_json, write_text
from overread.record.run import RunFolder
from overread.reporting.searches.usefulness_page import usefulness_page
from overread.training.plan import NOT_THE_CURVE
from overread.workflow.compare import compare
from overread.workflow.evaluate import evaluate
from overread.workflow.generation.made_beside import MadeImages, made_beside, sizes_note
from overread.workflow.learning.objective import objective
from overread.workflow.learning.plan_file import read_plan
from overread.workflow.learning.series import (
    Budget,
    budget_of,
    evaluated,
    keep_order,
    kept_order,
    refuse_taken,
    settings_digest,
    told_overrides,
)
from overread.workflow.plan import refuse_unfit, with_overrides
from overread.workflow.project import USEFULNESS, Project
from overread.workflow.train import is_finished, train

FILE, PAGE, DEFAULT_NAME = "usefulness.json", "usefulness.html", "usefulness"
WITHOUT, WITH = "without", "with"
REPEATS = 3
FORMAT = 1
TASKS = ("classification", "regression", "segmentation")
FIXED = ("cohort", "fold", "budget", "overrides", "seed", "settings", "made")
TUNING = (
    "These are tuning cases: decisions of every training were fitted on them, alike for both, so scores flatter and differences "
    "are of like with like."
)
FEWER_PASSES = (
    "Both got the same time. More images in the same time are fewer passes over each: part of any difference may be that the "
    "real images were seen less often."
)
SAME_EPOCHS = "Both got the same epochs, so the trainings with made images took more steps: part of any difference may be that."
ONE_SEED = (
    "One training of each says nothing of luck: another seed may differ by as much. So nothing is called shown; take --repeats 3."
)
LEARNED_FROM = (
    "Whether the network that made these images learned from patients who are held out here cannot be seen in them: it must have "
    "been trained on the same split (--splits FILE), or this comparison is not fair."
)
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Asked:
    """What is wanted; None takes what an earlier call of the same name was told, else the usual.

    on       "tuning" or "internal"
    repeats  trainings of each side, each with its own seed
    declare  for the sealed test, as of `evaluate`
    """

    on: str = "tuning"
    minutes: float | None = None
    epochs: int | None = None
    repeats: int | None = None
    name: str | None = None
    fold: int | None = None
    overrides: Mapping[str, str] | None = None
    declare: Mapping[str, Any] | None = None


def usefulness(
    project: Project,
    made: MadeImages | None = None,
    asked: Asked = Asked(),
    progress: Progress | None = None,
    tell: Tell = lambda line: None,
) -> dict[str, Any]:
    """Train without and with, score both, compare; writes `usefulness.json` and `usefulness.html`. What is trained is kept.

    made  the images; None takes those of an earlier call
    """
    if project.question.task not in TASKS:
        raise OverreadError(
            f"This project asks for {project.question.task}; made images are tried in {', '.join(TASKS)}.",
            "give a project that answers one of these",
        )
    if asked.on not in ("tuning", "internal"):
        raise OverreadError(f"There is no partition '{asked.on}' to compare on.", "say tuning or internal")
    (fold,) = project.folds_asked(asked.fold, "give --fold K to hold one out")
    home = project.run(asked.name or DEFAULT_NAME)
    refuse_taken(home, home.path / USEFULNESS, "trial of made images")
    endpoint = objective(project)
    refuse_undirected(endpoint)
    cohort = project.cohort(fold)
    refuse_unfit(cohort)
    beside = _beside(project, home, cohort, made, progress)
    trial = _trial(project, home, cohort, beside, asked, fold, progress, tell)
    found = trial.trained(beside)
    if asked.on == "internal":
        found = trial.opened(found, asked.declare)
    result = _result(trial, home, cohort, beside, found, asked.on)
    write_json(home.path / FILE, result)
    write_text(home.path / PAGE, usefulness_page(project.name.replace("_", " "), result))
    return result


def _beside(project: Project, home: RunFolder, cohort: Cohort, made: MadeImages | None, progress: Progress | None) -> MadeBeside:
    """The made images: those that are named, else those of an earlier call."""
    if made is not None:
        return made_beside(project, cohort, made, progress)
    kept = read_beside(home.made)
    if kept is None:
        raise OverreadError(f"'{home.name}' has no made images yet.", "name their folder with --made FOLDER")
    return kept


@dataclass(frozen=True)
class Trial:
    """What all trainings share."""

    project: Project
    name: str
    fold: int | None
    budget: Budget
    overrides: Mapping[str, str]
    seeds: tuple[int, ...]
    again: str
    progress: Progress | None
    tell: Tell

    def run_name(self, side: str, seed: int) -> str:
        return f"{self.name}/{side}-{seed}"

    def run(self, side: str, seed: int) -> RunFolder:
        return self.project.run(self.run_name(side, seed), self.fold)

    def trained(self, beside: MadeBeside) -> dict[str, list[dict[str, Any]]]:
        """Evaluations on the tuning cases, one for each seed; both sides of a seed before the next one."""
        found: dict[str, list[dict[str, Any]]] = {WITHOUT: [], WITH: []}
        for seed in self.seeds:
            for side, of_side in found.items():
                run, name = self.run(side, seed), self.run_name(side, seed)
                if side == WITH and not run.made.exists():
                    write_beside(run.made, beside)
                if not is_finished(run):
                    self.tell(f"{side} made images, seed {seed}: {self.budget}")
                    self._train(run, name, seed)
                of_side.append(evaluated(self.project, name, self.fold, run, self.progress))
        return found

    def _train(self, run: RunFolder, name: str, seed: int) -> None:
        own = {**self.overrides, "training.seed": str(seed)}
        minutes, epochs = self.budget.minutes, self.budget.epochs
        try:
            train(self.project, minutes, epochs, self.fold, run.checkpoint.exists(), name, own, self.progress)
        except Stopped as stopped:
            raise Stopped(stopped.what, self.again) from stopped

    def opened(
        self, tuned: Mapping[str, Sequence[Mapping[str, Any]]], declare: Mapping[str, Any] | None
    ) -> dict[str, list[dict[str, Any]]]:
        """Evaluations on the internal test: its seal is opened once for each training that has not been tested."""
        found: dict[str, list[dict[str, Any]]] = {WITHOUT: [], WITH: []}
        for k, seed in enumerate(self.seeds):
            for side, of_side in found.items():
                path = self.run(side, seed).evaluation("internal")
                kept = dict(read_json(path)) if path.exists() else {}
                if kept.get("model") != tuned[side][k]["model"]:
                    name = self.run_name(side, seed)
                    kept = evaluate(
                        self.project, name, "internal", self.fold, declare, progress=self.progress, tell=self.tell, panels=False
                    ).as_dict()
                of_side.append(kept)
        return found


def _trial(
    project: Project,
    home: RunFolder,
    cohort: Cohort,
    beside: MadeBeside,
    asked: Asked,
    fold: int | None,
    progress: Progress | None,
    tell: Tell,
) -> Trial:
    """The order as given, else as it was given before; written down before anything is trained."""
    before = kept_order(home.path / USEFULNESS)
    own = dict(asked.overrides or before.get("overrides") or {})
    minutes, epochs = asked.minutes, asked.epochs
    if minutes is None and epochs is None and before:
        minutes, epochs = before["budget"]["minutes"], before["budget"]["epochs"]
    budget = budget_of(project, minutes, epochs, own)
    seed = with_overrides(project.settings, own).training.seed
    count = asked.repeats or int(before.get("repeats") or REPEATS)
    order = {
        "cohort": cohort.digest,
        "fold": fold,
        "budget": budget.as_dict(),
        "overrides": own,
        "seed": seed,
        "repeats": count,
        "settings": settings_digest(project, own),
        "made": beside.digest,
    }
    keep_order(home.path / USEFULNESS, order, FIXED, f"The trial '{home.name}'")
    if not home.made.exists():
        write_beside(home.made, beside)
    held = () if fold is None else ("--fold", str(fold))
    on = () if asked.on == "tuning" else ("--on", asked.on)
    again = project.command("usefulness", "--name", home.name, *held, *on)
    tell(f"{2 * count} trainings of {budget} each: {count} without and {count} with {len(beside.cases)} made images.")
    return Trial(project, home.name, fold, budget, own, tuple(seed + k for k in range(count)), again, progress, tell)


def _result(
    trial: Trial,
    home: RunFolder,
    cohort: Cohort,
    beside: MadeBeside,
    found: Mapping[str, Sequence[Mapping[str, Any]]],
    on: str,
) -> dict[str, Any]:
    """This call's comparison, beside what an earlier call found on the other partition with the same trainings."""
    before = dict(read_json(home.path / FILE)) if (home.path / FILE).exists() else {}
    parts = dict(before.get("parts", {}))
    parts[on] = _compared(trial, found, on)
    sides = {side: [_training(trial.run(side, seed), seed) for seed in trial.seeds] for side in (WITHOUT, WITH)}
    changed = _other_choices(trial)
    notes = [LEARNED_FROM, SAME_EPOCHS if trial.budget.minutes is None else FEWER_PASSES]
    notes += [ONE_SEED] if len(trial.seeds) < 2 else []
    notes += [f"The plan chose otherwise with made images: {', '.join(changed)}."] if changed else []
    notes += [note] if (note := sizes_note(cohort, beside)) else []
    real = [case for case in cohort.of("training") if not case.is_made]
    return {
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "name": home.name,
        "on": on,
        "cohort": cohort.digest,
        "fold": trial.fold,
        "is_phantom": cohort.is_phantom,
        "level": trial.project.settings.evaluation.interval_level,
        "budget": trial.budget.as_dict(),
        "seeds": list(trial.seeds),
        "overrides": told_overrides(trial.overrides),
        "n_training": len(cohort.of("training")),
        "n_patients_training": len({case.patient_id for case in real}),
        "n_made": len(beside.cases),
        "made": beside.digest,
        "trainings": sides,
        "parts": parts,
        "notes": notes,
    }


def _compared(trial: Trial, found: Mapping[str, Sequence[Mapping[str, Any]]], on: str) -> dict[str, Any]:
    """Both scores, their paired difference as `overread compare` gives it, and what made images add over the trainings."""
    endpoint = _endpoint(trial.project, found)
    held = "" if trial.fold is None else f"/fold-{trial.fold}"
    named = [f"{side}={'+'.join(trial.run_name(side, seed) + held for seed in trial.seeds)}" for side in (WITHOUT, WITH)]
    level = trial.project.settings.evaluation.interval_level
    difference = compare([trial.project.path], runs=named, on=on, endpoints=[endpoint.key], level=level)
    (gain,) = gains(Contender(WITH, tuple(found[WITH])), [Contender(WITHOUT, tuple(found[WITHOUT]))], endpoint, level)
    claim = difference["comparisons"][0]
    return {
        "endpoint": endpoint.as_dict(),
        "n_cases": difference["n_cases"],
        "n_patients": difference["n_patients"],
        "scores": {side: [_score(one, endpoint) for one in found[side]] for side in (WITHOUT, WITH)},
        "values": claim["values"],
        "difference": claim["difference"],
        "p": claim["p"],
        "gain": gain.gain.as_dict(),
        "p_over_trainings": gain.p,
        "each_seed": list(gain.each),
        "spread_over_seeds": gain.spread,
        "verdict": gain.verdict,
        "words": _words(gain, len(trial.seeds)),
        "openings": [one["opening"]["number"] for side in (WITHOUT, WITH) for one in found[side] if one.get("opening")],
        "notes": [TUNING] if on == "tuning" else [note for note in difference["notes"] if "opened" in note or "declared" in note],
        "remark": gain.remark,
    }


def _endpoint(project: Project, found: Mapping[str, Sequence[Mapping[str, Any]]]) -> Endpoint:
    """What was declared before the seal was opened, the same for all; of tuning cases, the project's primary endpoint."""
    declared = {one["opening"]["primary_endpoint"] for side in found.values() for one in side if one.get("opening")}
    if len(declared) > 1:
        raise OverreadError(
            f"The trainings were tested with different primary endpoints: {', '.join(sorted(declared))}.",
            "a paired comparison needs one; begin again with another --name",
        )
    own = project.settings.evaluation.primary_endpoint or default_endpoint(project.question)
    endpoint = Endpoint.of(project.question, next(iter(declared), own))
    refuse_undirected(endpoint)
    return endpoint


def _score(one: Mapping[str, Any], endpoint: Endpoint) -> dict[str, Any] | None:
    """The score with its interval, as the evaluation of one training has it."""
    wanted = (endpoint.metric.key, endpoint.subject)
    return next((dict(s["interval"]) for s in one["scores"] if (s["metric"], s["subject"]) == wanted), None)


def _words(gain: Gain, repeats: int) -> str:
    said = {"helps": "Shown to help", "harms": "Shown to harm", "not shown": "Not shown to help"}[gain.verdict]
    if gain.verdict != "not shown":
        return f"{said}."
    if repeats < 2:
        return f"{said}: each was trained once, and how another training would turn out is not known."
    if gain.gain.low is None:
        return f"{said}: {gain.gain.reason}."
    return f"{said}: the interval of the difference holds 0."


def _training(run: RunFolder, seed: int) -> dict[str, Any]:
    """How long one training was, and how often it saw each of its images, about: classes may be drawn evenly."""
    told = read_json(run.model / "model.json")["training"]
    cases = told["cases"]["training"]
    return {
        "seed": seed,
        "run": run.path.name,
        "steps": told["steps"],
        "minutes": told["minutes"],
        "cases": cases,
        "passes": round(told["steps"] * read_plan(run.plan).sampling.batch / cases, 2),
    }


def _other_choices(trial: Trial) -> list[str]:
    """Choices of the plan that differ between the two, apart from how many steps an epoch has."""
    one, other = (read_plan(trial.run(side, trial.seeds[0]).plan).as_dict() for side in (WITHOUT, WITH))
    return [k for k in one if k not in (*NOT_THE_CURVE, "steps_per_epoch") and one[k] != other.get(k)]
