"""`overread learning-curve`: trainings with 10, 25, 50 and 100 % of the training patients, and what more patients promise.

Source of the idea: Figueroa et al., BMC Med Inform Decis Mak 2012;12:8. All trainings tune on the same cases, with the same
budget; the internal test is neither opened nor read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from overread.cohort.index import Cohort
from overread.cohort.progress import Progress
from overread.cohort.subdivision import Subdivision
from overread.cohort.subsets import Drawable, acquired_only, drawable, usable_subsets
from overread.core.errors import OverreadError
from overread.evaluation.comparing.compared import Contender, line_up
from overread.evaluation.comparing.endpoints import COMPARABLE, Endpoint
from overread.evaluation.learning.against import Against, judge_against
from overread.evaluation.learning.curve import Curve
from overread.evaluation.learning.run_statistic import scored_cases
from overread.evaluation.learning.verdict import CAVEAT, Verdict, judge
from overread.evaluation.rules import Rules
from overread.metrics.table import default_endpoint, resolve_endpoint
from overread.record.files import write_json
from overread.workflow.learning.series import (
    Budget,
    budget_of,
    keep_order,
    kept_order,
    refuse_taken,
    settings_digest,
    told_overrides,
    train_part,
)
from overread.workflow.plan import refuse_unfit, with_overrides
from overread.workflow.project import CURVE, Project
from overread.workflow.unfit import refuse_unscored

FILE = "learning-curve.json"
DEFAULT_NAME = "curve"
SHARES = (0.1, 0.25, 0.5, 1.0)
REPEATS = 2  # the fewest that show how far trainings lie apart
PART_OF = "a learning curve"
SECOND = "-against"  # ends the names of trainings of the second way
FIXED = ("cohort", "fold", "budget", "overrides", "seed", "settings")


def learning_curve(
    project: Project,
    shares: Sequence[float] | None = None,
    minutes: float | None = None,
    epochs: int | None = None,
    repeats: int | None = None,
    name: str | None = None,
    fold: int | None = None,
    overrides: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    tell: Callable[[str], None] = lambda line: None,
    against: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Train every share, fit the curve, and write DIR/learning-curve.json; what is trained already is kept.

    shares   of the training patients, 0 to 1; all of them are always among them
    repeats  trainings of each share, each with its own draw of patients and its own seed
    fold     for a project of folds: the fold held out
    against  settings of a second way to train, over `overrides`: every training is done both ways, and the curves are compared
    tell     is told what is about to be trained
    What an earlier call was told and this one is not, is taken from there.
    """
    refuse_unscored(project)
    (fold,) = project.folds_asked(fold, "give --fold K to hold one out")
    home = project.run(name or DEFAULT_NAME)
    mark = home.path / CURVE
    refuse_taken(home, mark, "learning curve")
    endpoint = curve_endpoint(project)
    before = kept_order(mark)
    overrides = dict(overrides or before.get("overrides") or {})
    if minutes is None and epochs is None and before:
        minutes, epochs = before["budget"]["minutes"], before["budget"]["epochs"]
    against = second_way(before, against, overrides, home.name)
    budget = budget_of(project, minutes, epochs, overrides)
    shares = checked_shares(shares or before.get("shares") or SHARES)
    repeats = repeats or before.get("repeats") or REPEATS
    cohort, left_out = without_made(project.cohort(fold))
    refuse_unfit(cohort)
    drawn = drawable(cohort, cohort.of("training"), project.settings.split.stratify_by, progress)
    seed = with_overrides(project.settings, overrides).training.seed
    subsets = usable_subsets(drawn, shares, [seed + k for k in range(repeats)])
    order: dict[str, Any] = {"cohort": cohort.digest, "fold": fold, "budget": budget.as_dict(), "overrides": overrides}
    order |= {"seed": seed, "settings": settings_digest(project, overrides), "shares": list(shares), "repeats": repeats}
    order |= {"against": against} if against else {}
    keep_order(mark, order, FIXED, f"The learning curve '{home.name}'")
    ways = [("", overrides), (SECOND, {**overrides, **against})][: 2 if against else 1]
    each = f"{repeats} for each of {len(shares)} shares{', both ways' if against else ''}"
    tell(f"{len(ways) * len(shares) * repeats} trainings of {budget} each: {each}.{left_out}")
    runs: list[list[tuple[Training, Mapping[str, Any]]]] = [[] for _ in ways]
    for share in shares:
        for k in range(repeats):
            for own, (suffix, settings) in zip(runs, ways, strict=True):
                one = Training(project, cohort, drawn, home.name, share, k + 1, subsets[seed + k][share], suffix)
                tell(f"{one.name}: {one.patients} of {drawn.count(range(len(drawn.case_ids)))} training patients")
                own.append((one, one.evaluated(fold, budget, settings, seed + k, progress)))
    result = _written(project, cohort, endpoint, drawn, shares, runs[0], order, home.name)
    if against:
        result["against"] = compared(project, endpoint, shares, runs[0], runs[1], against)
    write_json(project.path / FILE, result)
    return result


@dataclass(frozen=True)
class Training:
    """One training of the curve: which share, which repeat, on which cases (positions in `drawn`)."""

    project: Project
    cohort: Cohort
    drawn: Drawable
    curve: str
    share: float
    repeat: int
    which: tuple[int, ...]
    suffix: str = ""  # of a second way to train

    @property
    def name(self) -> str:
        return f"{self.curve}/{100 * self.share:g}-{self.repeat}{self.suffix}"

    @property
    def patients(self) -> int:
        return self.drawn.count(self.which)

    def evaluated(
        self, fold: int | None, budget: Budget, overrides: Mapping[str, str], seed: int, progress: Progress | None
    ) -> dict[str, Any]:
        """The evaluation of this training; made where it is not finished."""
        about = {"percent_of_the_training_patients": 100 * self.share, "training_patients": self.patients, "repeat": self.repeat}
        tuning = frozenset(case.case_id for case in self.cohort.of("tuning"))
        subdivision = Subdivision(self.drawn.ids(self.which), tuning, PART_OF, about)
        held = () if fold is None else ("--fold", str(fold))
        again = self.project.command("learning-curve", "--name", self.curve, *held)
        own = {**overrides, "training.seed": str(seed)}
        return train_part(self.project, self.name, fold, subdivision, budget, own, progress, again)


def without_made(cohort: Cohort) -> tuple[Cohort, str]:
    """The cohort without images that a network made, and words on how many were left out: a share is one of the patients."""
    kept = acquired_only(cohort)
    count = len(cohort.cases) - len(kept.cases)
    return kept, f" {count} images that a network made are left out: shares are shares of patients." if count else ""


def curve_endpoint(project: Project) -> Endpoint:
    """The primary endpoint, known before anything is trained; refused where more of it is neither better nor worse."""
    question = project.question
    name = project.settings.evaluation.primary_endpoint or default_endpoint(question)
    metric, _ = resolve_endpoint(question, name)
    is_comparable = metric.key in COMPARABLE or question.is_of_objects
    if not is_comparable or metric.better not in ("higher", "lower"):
        raise OverreadError(
            f"The primary endpoint '{name}' cannot be drawn as a learning curve: it is not made of cases, or has no better and "
            "worse.",
            f"set evaluation.primary_endpoint in project.toml to {default_endpoint(question)}, for example",
        )
    return Endpoint.of(question, name)


def checked_shares(shares: Sequence[float]) -> tuple[float, ...]:
    """Ascending, each once, all patients among them."""
    wrong = [share for share in shares if not 0 < share <= 1]
    if wrong:
        raise OverreadError(
            f"{100 * wrong[0]:g} % is no share of the training patients.", "give percentages above 0, e.g. --shares 10,25,50,100"
        )
    return tuple(sorted({*(round(float(share), 6) for share in shares), 1.0}))


def _written(
    project: Project,
    cohort: Cohort,
    endpoint: Endpoint,
    drawn: Drawable,
    shares: Sequence[float],
    runs: Sequence[tuple[Training, Mapping[str, Any]]],
    order: Mapping[str, Any],
    name: str,
) -> dict[str, Any]:
    """The curve, judged, as DIR/learning-curve.json."""
    by_share = [[(one, found) for one, found in runs if one.share == share] for share in shares]
    lined = line_up([Contender(f"{s:g}", tuple(f for _, f in own)) for s, own in zip(shares, by_share, strict=True)])
    settings = project.settings.evaluation
    patients = np.array([np.mean([one.patients for one, _ in own]) for own in by_share])
    curve = Curve(endpoint, patients, lined, Rules(level=settings.interval_level, resamples=settings.resamples))
    verdict = judge(curve)
    result = {
        **{key: order[key] for key in ("cohort", "fold", "budget", "repeats")},
        "overrides": told_overrides(order["overrides"]),
        "format": 1,
        "name": name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "is_phantom": cohort.is_phantom,
        "endpoint": endpoint.as_dict(),
        "n_cases": len(lined.patient_ids),
        "n_patients": lined.patients.count,
        "stratified_by": drawn.by,
        "points": [_point(curve, k, own) for k, own in enumerate(by_share)],
        "training_spread": curve.training_spread,
        "verdict": verdict.as_dict(),
        "notes": _notes(curve, verdict, order),
    }
    return result


def second_way(
    before: Mapping[str, Any], against: Mapping[str, str] | None, overrides: Mapping[str, str], name: str
) -> dict[str, str]:
    """Settings of the second way: as told, else as an earlier call was told; empty where there is none."""
    known = dict(before.get("against") or {})
    asked = dict(against or known)
    if known and asked != known:
        raise OverreadError(
            f"The learning curve '{name}' was compared with another way to train.", "begin another one with --name"
        )
    if asked and all(overrides.get(key) == value for key, value in asked.items()):
        raise OverreadError("--against says what --set says already, so that both ways are one.", "name a setting that differs")
    return asked


def compared(
    project: Project,
    endpoint: Endpoint,
    shares: Sequence[float],
    first: Sequence[tuple[Training, Mapping[str, Any]]],
    second: Sequence[tuple[Training, Mapping[str, Any]]],
    settings: Mapping[str, str],
) -> dict[str, Any]:
    """The second curve, and by how much it is better at each share."""
    both = [[[(one, found) for one, found in runs if one.share == share] for share in shares] for runs in (first, second)]
    contenders = [
        Contender(f"{share:g}{way}", tuple(f for _, f in own))
        for way, side in zip(("", SECOND), both, strict=True)
        for share, own in zip(shares, side, strict=True)
    ]
    lined, count = line_up(contenders), len(shares)
    sides = [replace(lined, names=lined.names[a:b], rows=lined.rows[a:b]) for a, b in ((0, count), (count, 2 * count))]
    asked = project.settings.evaluation
    rules = Rules(level=asked.interval_level, resamples=asked.resamples)
    patients = np.array([np.mean([one.patients for one, _ in own]) for own in both[0]])
    curve = Curve(endpoint, patients, sides[1], rules)
    against = Against(endpoint, patients, sides[0], sides[1], rules)
    name = _way(settings)
    judged = judge_against(against, name)
    return {
        "name": name,
        "settings": told_overrides(settings),
        "points": [_point(curve, k, own) for k, own in enumerate(both[1])],
        "gains": [found.as_dict() for found in judged.gains],
        "pairs": [[_finite(value) for value in row] for row in against.pairs],
        "spread_of_pairs": against.spread,
        "code": judged.code,
        "words": judged.words,
    }


def _way(settings: Mapping[str, str]) -> str:
    """The second way in words: "weights = run:pretrained"."""
    told = [f"{key.removeprefix('training.')} = {value}" for key, value in told_overrides(settings).items()]
    return ", ".join([*told, *(["weights from a file"] if len(told) < len(settings) else [])])


def _point(curve: Curve, number: int, own: Sequence[tuple[Training, Mapping[str, Any]]]) -> dict[str, Any]:
    scores = curve.scores[number]
    return {
        "share": own[0][0].share,
        "patients": float(curve.patients[number]),
        "interval": curve.point(number).as_dict(),
        "runs": [
            {"run": one.name, "patients": one.patients, "cases": len(one.which), "score": _finite(score)}
            for (one, _), score in zip(own, scores, strict=True)
        ],
    }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _notes(curve: Curve, verdict: Verdict, order: Mapping[str, Any]) -> list[str]:
    notes = [
        "All trainings tuned on the same cases, whose scores these are: decisions were fitted there, so expect less on new "
        "cases. The internal test was neither opened nor read.",
    ]
    if order["budget"]["epochs"] is not None:
        notes.append("Every training saw each of its cases equally often, so small shares were trained for fewer steps.")
    else:
        notes.append("Every training got the same time, so it saw each case of a small share more often.")
    scored = {scored_cases(curve.endpoint, rows) for runs in curve.lined.rows for rows in runs}
    if len(scored) > 1:
        notes.append(
            f"The score is defined for {min(scored)} to {max(scored)} cases, not for the same ones in every training: where "
            "nothing is found it says nothing, which flatters small shares."
        )
    if curve.training_spread is None:
        notes.append("Two trainings of each share (--repeats 2) or more say how far they lie apart, which a forecast needs.")
    return [*notes, CAVEAT] if verdict.forecast is not None else notes
