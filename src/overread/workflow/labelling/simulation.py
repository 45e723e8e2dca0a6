"""Would labels be saved? Training cases are taken for unlabelled, labelled again in rounds, and scored beside labels by chance.

One way takes in each round the cases that `label-next` would propose, the other draws them; both begin with the same patients,
have the same budget, and tune and are scored on the same tuning cases. The internal test is neither opened nor read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from overread.cohort.index import Cohort
from overread.cohort.progress import Progress
from overread.cohort.some_cases import some_of
from overread.cohort.subdivision import Subdivision
from overread.cohort.subsets import drawable, usable_subsets
from overread.core.errors import OverreadError
from overread.evaluation.comparing.compared import Contender, line_up
from overread.evaluation.comparing.endpoints import Endpoint
from overread.evaluation.comparing.paired import difference
from overread.evaluation.comparing.spread import run_values
from overread.evaluation.learning.acquisition import CHANCE, propose
from overread.record.files import write_json
from overread.workflow.frozen import model_of, run_of
from overread.workflow.label_next import MOST_LABELLED
from overread.workflow.labelling.pool import features_of_cases, look_at_cases
from overread.workflow.learning.series import Budget, budget_of, keep_order, kept_order, refuse_taken, settings_digest, train_part
from overread.workflow.learning_curve import curve_endpoint, without_made
from overread.workflow.plan import refuse_unfit, with_overrides
from overread.workflow.project import CURVE, Project

FILE = "labelling.json"
PART_OF = "a simulation of labelling"
HOME = "labelling"
START, ROUNDS, REPEATS = 0.25, 2, 2
MOST_LOOKED_AT = 500  # cases of the pool that are ranked in a round, always the same ones
PROPOSED = "proposed"
FIXED = ("what", "cohort", "fold", "budget", "overrides", "settings", "seed", "count", "by", "start", "rounds")


@dataclass(frozen=True)
class Simulation:
    """What all trainings of the simulation share."""

    project: Project
    cohort: Cohort
    home: str
    fold: int | None
    budget: Budget
    order: Mapping[str, Any]
    progress: Progress | None
    tell: Callable[[str], None]

    def trained(self, name: str, labelled: frozenset[str], about: Mapping[str, Any], seed: int) -> dict[str, Any]:
        """The evaluation of one training on these labelled cases; made where it is not finished."""
        tuning = frozenset(case.case_id for case in self.cohort.of("tuning"))
        subdivision = Subdivision(labelled, tuning, PART_OF, {**about, "labelled_cases": len(labelled)})
        self.tell(f"{self.home}/{name}: {len(labelled)} labelled cases")
        held = () if self.fold is None else ("--fold", str(self.fold))
        again = self.project.command("label-next", "--simulate", "--name", self.home, *held)
        own = {**self.order["overrides"], "training.seed": str(seed)}
        where = f"{self.home}/{name}"
        return train_part(self.project, where, self.fold, subdivision, self.budget, own, self.progress, again)

    def chosen(self, name: str, labelled: frozenset[str], by: str, seed: int) -> frozenset[str]:
        """The cases that would be labelled after this training."""
        left = [case for case in self.cohort.of("training") if case.case_id not in labelled]
        pool = sorted(left, key=lambda case: hashlib.sha256(case.case_id.encode()).digest())[:MOST_LOOKED_AT]  # blind to labels
        if by == CHANCE:
            drawn = np.random.default_rng(seed).permutation(len(pool))[: self.order["count"]]
            return frozenset(pool[k].case_id for k in drawn)
        model = model_of(self.project, run_of(self.project, f"{self.home}/{name}", self.fold))
        matching = self.project.settings.evaluation.matching
        looked = look_at_cases(model.predictor, self.cohort, pool, matching, self.progress)
        known = [case for case in self.cohort.of("training") if case.case_id in labelled]
        some = some_of(known, self.project.question, MOST_LABELLED)
        features = features_of_cases(model.predictor, self.cohort, some, self.progress)
        found = propose(looked.unsure.tolist(), looked.features, features, self.order["count"], by, seed)
        return frozenset(looked.names[each.position] for each in found)


def simulate(
    project: Project,
    count: int,
    by: str,
    start: float | None = None,
    rounds: int | None = None,
    repeats: int | None = None,
    minutes: float | None = None,
    epochs: int | None = None,
    name: str | None = None,
    fold: int | None = None,
    overrides: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Label in rounds, by proposal and by chance; writes DIR/labelling.json. What is trained already is kept.

    count   cases labelled in each round
    start   share of the training patients that are labelled at the beginning
    """
    (fold,) = project.folds_asked(fold, "give --fold K to hold one out")
    if by == CHANCE:
        raise OverreadError("Proposals by chance are what others are held against.", "say both, uncertainty or diversity")
    home = project.run(name or HOME)
    mark = home.path / CURVE
    refuse_taken(home, mark, "simulation of labelling")
    endpoint = curve_endpoint(project)
    before = kept_order(mark)
    overrides = dict(overrides or before.get("overrides") or {})
    if minutes is None and epochs is None and before:
        minutes, epochs = before["budget"]["minutes"], before["budget"]["epochs"]
    budget = budget_of(project, minutes, epochs, overrides)
    cohort, left_out = without_made(project.cohort(fold))
    refuse_unfit(cohort)
    seed = with_overrides(project.settings, overrides).training.seed
    order: dict[str, Any] = {"what": PART_OF, "cohort": cohort.digest, "fold": fold, "budget": budget.as_dict()}
    order |= {"overrides": overrides, "settings": settings_digest(project, overrides), "seed": seed, "count": count, "by": by}
    order |= {"start": start or before.get("start") or START, "rounds": rounds or before.get("rounds") or ROUNDS}
    order["repeats"] = repeats or before.get("repeats") or REPEATS
    drawn = drawable(cohort, cohort.of("training"), project.settings.split.stratify_by, progress)
    seeds = [seed + k for k in range(order["repeats"])]
    subsets = usable_subsets(drawn, (order["start"],), seeds)
    _refuse_too_many(len(drawn.case_ids), [len(subsets[s][order["start"]]) for s in seeds], order)
    keep_order(mark, order, FIXED, f"The simulation '{home.name}'")
    simulation = Simulation(project, cohort, home.name, fold, budget, order, progress, tell)
    trainings = order["repeats"] * (1 + 2 * order["rounds"])
    told = f"{order['repeats']} beginnings, then {order['rounds']} rounds in two ways."
    tell(f"{trainings} trainings of {budget} each: {told}{left_out}")
    ways: dict[str, list[list[tuple[int, dict[str, Any]]]]] = {PROPOSED: [], CHANCE: []}
    for k, own in enumerate(seeds):
        labelled = drawn.ids(subsets[own][order["start"]])
        first = (len(labelled), simulation.trained(f"{k + 1}-start", labelled, {"repeat": k + 1, "round": 0}, own))
        for way, found in ways.items():
            found.append([first, *_rounds(simulation, way, k + 1, labelled, own)])
    return _written(simulation, endpoint, ways)


def _rounds(
    simulation: Simulation, way: str, repeat: int, labelled: frozenset[str], seed: int
) -> list[tuple[int, dict[str, Any]]]:
    before, found = f"{repeat}-start", []
    for number in range(1, simulation.order["rounds"] + 1):
        by = CHANCE if way == CHANCE else simulation.order["by"]
        labelled = labelled | simulation.chosen(before, labelled, by, 1000 * seed + number)
        before = f"{repeat}-{way}-{number}"
        about = {"repeat": repeat, "round": number, "labelled_by": way}
        found.append((len(labelled), simulation.trained(before, labelled, about, seed)))
    return found


def _refuse_too_many(cases: int, beginnings: Sequence[int], order: Mapping[str, Any]) -> None:
    wanted = max(beginnings) + order["count"] * order["rounds"]
    if wanted >= cases:
        raise OverreadError(
            f"{order['rounds']} rounds of {order['count']} after {max(beginnings)} cases are {wanted} of {cases} training cases: "
            "at the end both ways would have labelled the same.",
            "ask for fewer with --count or --rounds, or begin with fewer by --start",
        )


def _written(
    simulation: Simulation, endpoint: Endpoint, ways: Mapping[str, Sequence[Sequence[tuple[int, dict[str, Any]]]]]
) -> dict[str, Any]:
    project, order = simulation.project, simulation.order
    points = []
    for number in range(order["rounds"] + 1):
        runs = {way: [repeat[number] for repeat in found] for way, found in ways.items()}
        lined = line_up([Contender(way, tuple(e for _, e in runs[way])) for way in (CHANCE, PROPOSED)])
        scores = {way: run_values(lined, endpoint, k) for k, way in enumerate((CHANCE, PROPOSED))}
        gap = None if number == 0 else difference(lined, endpoint, 1, level=project.settings.evaluation.interval_level)
        points.append(
            {
                "round": number,
                "cases": {way: float(np.mean([n for n, _ in found])) for way, found in runs.items()},
                "scores": scores,
                "gain": None if gap is None else gap.interval.as_dict(),
            }
        )
    result = {
        "format": 1,
        "name": simulation.home,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "is_phantom": simulation.cohort.is_phantom,
        **{key: order[key] for key in ("cohort", "fold", "budget", "count", "by", "start", "rounds", "repeats")},
        "endpoint": endpoint.as_dict(),
        "n_cases": len(simulation.cohort.of("tuning")),
        "points": points,
        "labels_saved": labels_saved(points, endpoint.metric.better),
        "is_shown": is_shown(points, endpoint.metric.better),
        "notes": [
            "Scores are those of the tuning cases, where decisions were fitted: expect less on new cases. The internal test was "
            "neither opened nor read.",
            "The intervals are about tuning patients, for these trainings; how far trainings lie apart is seen in their scores.",
        ],
    }
    write_json(project.path / FILE, result)
    return result


def labels_saved(points: Sequence[Mapping[str, Any]], better: str) -> float | None:
    """How many labels fewer the proposals needed than chance for one score, the best that both reached; negative where more.

    Read off the mean scores, by straight lines between rounds. None where a score lacks.
    """
    sign = -1.0 if better == "lower" else 1.0
    curves = {}
    for way in (CHANCE, PROPOSED):
        means = [_mean(point["scores"][way]) for point in points]
        if any(mean is None for mean in means):
            return None
        curves[way] = [sign * float(mean or 0.0) for mean in means]
    goal = min(max(curve) for curve in curves.values())
    needed = {way: _needed([float(p["cases"][way]) for p in points], curve, goal) for way, curve in curves.items()}
    return needed[CHANCE] - needed[PROPOSED]


def _needed(cases: Sequence[float], scores: Sequence[float], goal: float) -> float:
    """The labels with which a curve first reaches a goal."""
    k = next(k for k, score in enumerate(scores) if score >= goal)
    if k == 0:
        return cases[0]
    share = (goal - scores[k - 1]) / (scores[k] - scores[k - 1])
    return cases[k - 1] + share * (cases[k] - cases[k - 1])


def is_shown(points: Sequence[Mapping[str, Any]], better: str) -> bool:
    """Whether the interval of the difference lies on the better side of 0 after any round."""
    gains = [point["gain"] for point in points if point["gain"] is not None]
    if better == "lower":
        return any(gain["high"] is not None and gain["high"] < 0 for gain in gains)
    return any(gain["low"] is not None and gain["low"] > 0 for gain in gains)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and len(known) == len(values) else None
