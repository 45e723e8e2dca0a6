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
from overread.workflow.evaluate import declaration_of, evaluate
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
OTHER_SEEDS = (
    "What was found on the internal test with seeds {seeds} is left out here: these are other trainings. Its openings stay in "
    "the ledger; --on internal scores these trainings too."
)
Tell = Callable[[str], None]
Evaluations = Mapping[str, Sequence[Mapping[str, Any]]]  # side -> the evaluation of each seed


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
    if asked.on == "internal":
        endpoint = _declared(project, cohort, asked)
    beside = _beside(project, home, cohort, made, progress, fold)
    for warning in beside.warnings:
        tell(f"WARNING: {warning}")
    trial = _trial(project, home, cohort, beside, asked, fold, progress, tell)
    tuned = trial.trained(beside)
    if asked.on == "internal":
        trial.rehearse(tuned, endpoint)
        trial.opened(tuned, asked.declare)
    result = _result(trial, home, cohort, beside, tuned, asked.on)
    write_json(home.path / FILE, result)
    write_text(home.path / PAGE, usefulness_page(project.name.replace("_", " "), result))
    return result


def _declared(project: Project, cohort: Cohort, asked: Asked) -> Endpoint:
    """The declared endpoint, before anything is trained or opened: refused where it has no paired test, or no better side."""
    if not cohort.of("internal"):
        raise OverreadError("This project has no internal test.", "compare on the tuning cases: leave --on out")
    declaration = declaration_of(project, asked.declare, is_phantom=cohort.is_phantom)
    endpoint = Endpoint.of(project.question, declaration.primary_endpoint)
    refuse_undirected(endpoint)
    return endpoint


def _beside(
    project: Project, home: RunFolder, cohort: Cohort, made: MadeImages | None, progress: Progress | None, fold: int | None
) -> MadeBeside:
    """The made images: those that are named, else those of an earlier call."""
    if made is not None:
        return made_beside(project, cohort, made, progress, fold)
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

    def rehearse(self, tuned: Evaluations, endpoint: Endpoint) -> None:
        """Compare tuning cases by what was declared, so that what cannot be compared shows before the seal is opened.

        Refused where a training was tested already by another endpoint.
        """
        for side in (WITHOUT, WITH):
            for k, seed in enumerate(self.seeds):
                before = self.tested(side, seed, tuned[side][k]["model"])
                said = (before or {}).get("opening") or {}
                if said and Endpoint.of(self.project.question, said["primary_endpoint"]).key != endpoint.key:
                    raise OverreadError(
                        f"{self.run_name(side, seed)} was tested with the primary endpoint {said['primary_endpoint']}; declared "
                        f"is {endpoint.key} now. A paired comparison needs one.",
                        f"say --primary-endpoint {said['primary_endpoint']}, or begin again with another --name",
                    )
        _compared(self, tuned, "tuning", endpoint)

    def tested(self, side: str, seed: int, model: str) -> dict[str, Any] | None:
        """The evaluation of this very model on the internal test; None where it was not tested."""
        path = self.run(side, seed).evaluation("internal")
        found = dict(read_json(path)) if path.exists() else {}
        return found if found.get("model") == model else None

    def opened(self, tuned: Evaluations, declare: Mapping[str, Any] | None) -> None:
        """Test every training that was not tested: the seal of the internal test is opened once for each."""
        for k, seed in enumerate(self.seeds):
            for side in (WITHOUT, WITH):
                if self.tested(side, seed, tuned[side][k]["model"]) is None:
                    name, told = self.run_name(side, seed), self.tell
                    evaluate(self.project, name, "internal", self.fold, declare, progress=self.progress, tell=told, panels=False)

    def all_tested(self, tuned: Evaluations) -> dict[str, list[dict[str, Any]]] | None:
        """Evaluations on the internal test; None where a training was not tested."""
        found = {side: [self.tested(side, s, tuned[side][k]["model"]) for k, s in enumerate(self.seeds)] for side in tuned}
        kept = {side: [one for one in of_side if one is not None] for side, of_side in found.items()}
        return kept if all(len(of_side) == len(self.seeds) for of_side in kept.values()) else None


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
    words = ((f"--{key.replace('_', '-')}", (asked.declare or {}).get(key)) for key in ("hypothesis", "primary_endpoint"))
    said = [word for option, value in words if value for word in (option, str(value))]
    again = project.command("usefulness", "--name", home.name, *held, *on, *said)
    tell(f"{2 * count} trainings of {budget} each: {count} without and {count} with {len(beside.cases)} made images.")
    return Trial(project, home.name, fold, budget, own, tuple(seed + k for k in range(count)), again, progress, tell)


def _result(trial: Trial, home: RunFolder, cohort: Cohort, beside: MadeBeside, tuned: Evaluations, on: str) -> dict[str, Any]:
    """What these trainings show on the tuning cases, and on the internal test where all of them were tested."""
    before = dict(read_json(home.path / FILE)).get("parts", {}) if (home.path / FILE).exists() else {}
    parts = {"tuning": _compared(trial, tuned, "tuning", _endpoint(trial.project, tuned))}
    tested = trial.all_tested(tuned)
    if tested is not None:
        parts["internal"] = _compared(trial, tested, "internal", _endpoint(trial.project, tested))
    sides = {side: [_training(trial, side, seed) for seed in trial.seeds] for side in (WITHOUT, WITH)}
    changed = _other_choices(trial)
    notes = [SAME_EPOCHS if trial.budget.minutes is None else FEWER_PASSES]
    notes += [ONE_SEED] if len(trial.seeds) < 2 else []
    notes += [f"The plan chose otherwise with made images: {', '.join(changed)}."] if changed else []
    notes += beside.notes
    if "internal" in before and "internal" not in parts:
        seeds = ", ".join(map(str, before["internal"].get("seeds", [])))
        notes.append(OTHER_SEEDS.format(seeds=seeds or "that were not told"))
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
        "warnings": list(beside.warnings),
        "notes": notes,
    }


def _compared(trial: Trial, found: Evaluations, on: str, endpoint: Endpoint) -> dict[str, Any]:
    """Both scores, their paired difference as `overread compare` gives it, and what made images add over the trainings."""
    held = "" if trial.fold is None else f"/fold-{trial.fold}"
    named = [f"{side}={'+'.join(trial.run_name(side, seed) + held for seed in trial.seeds)}" for side in (WITHOUT, WITH)]
    level = trial.project.settings.evaluation.interval_level
    difference = compare([trial.project.path], runs=named, on=on, endpoints=[endpoint.key], level=level)
    (gain,) = gains(Contender(WITH, tuple(found[WITH])), [Contender(WITHOUT, tuple(found[WITHOUT]))], endpoint, level)
    claim = difference["comparisons"][0]
    return {
        "seeds": list(trial.seeds),
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


def _endpoint(project: Project, found: Evaluations) -> Endpoint:
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


def _training(trial: Trial, side: str, seed: int) -> dict[str, Any]:
    """How long one training was, and how often it saw each of its images, about: classes may be drawn evenly."""
    run = trial.run(side, seed)
    told = read_json(run.model / "model.json")["training"]
    cases = told["cases"]["training"]
    return {
        "seed": seed,
        "run": trial.run_name(side, seed),
        "steps": told["steps"],
        "minutes": told["minutes"],
        "cases": cases,
        "passes": round(told["steps"] * read_plan(run.plan).sampling.batch / cases, 2),
    }


def _other_choices(trial: Trial) -> list[str]:
    """Choices of the plan that differ between the two, apart from how many steps an epoch has."""
    one, other = (read_plan(trial.run(side, trial.seeds[0]).plan).as_dict() for side in (WITHOUT, WITH))
    return [k for k in one if k not in (*NOT_THE_CURVE, "steps_per_epoch") and one[k] != other.get(k)]
