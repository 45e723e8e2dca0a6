"""What a difference allows to be said, in plain words; never that two are alike unless a margin was set before."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from overread.core.errors import OverreadError
from overread.evaluation.comparing.difference import holm
from overread.evaluation.comparing.endpoints import HITS
from overread.evaluation.comparing.paired import Difference
from overread.metrics.objects.rows import ROWS as OBJECT_ROWS

SHARES = (  # scores between 0 and 1
    *HITS, "ppv", "npv", "f1", "balanced_accuracy", "brier", "auc", "average_precision",
    "dice", "iou", "surface_dice", "voxel_sensitivity", "voxel_ppv", *(m.key for m in OBJECT_ROWS.values() if not m.unit),
)  # fmt: skip
AIMS = ("non-inferior", "superior", "equivalent")


@dataclass(frozen=True)
class Margin:
    """The difference that would matter, set before the cases were looked at, and what is to be shown with it.

    size  in the unit of the score, 0 or more
    aim   "non-inferior": the model is not worse than the reference by `size` or more; "superior": it is better by more than
          `size`; "equivalent": neither
    """

    size: float
    aim: str = "non-inferior"


@dataclass(frozen=True)
class Claim:
    """p is two-sided against 0, or one-sided against the margin where one was set; p_holm is corrected for all claims."""

    difference: Difference
    p: float | None
    p_holm: float | None
    shown: bool | None
    sentence: str
    margin: Margin | None = None

    def as_dict(self) -> dict[str, Any]:
        found = self.difference
        return {
            "endpoint": found.endpoint.key,
            "metric": found.endpoint.metric.key,
            "subject": found.endpoint.subject,
            "name": found.endpoint.metric.name,
            "unit": found.endpoint.metric.unit,
            "better": found.endpoint.metric.better,
            "reference": found.reference,
            "model": found.model,
            "values": {found.reference: found.values[0], found.model: found.values[1]},
            "difference": _finite(found.interval.as_dict()),
            "p": self.p,
            "p_holm": self.p_holm,
            "margin": None if self.margin is None else {"size": self.margin.size, "aim": self.margin.aim},
            "shown": self.shown,
            "sentence": self.sentence,
            "remark": found.remark,
        }


def margin_of(size: float | None, aim: str) -> Margin | None:
    """The margin that was said; None where there is none. An aim without a margin would do nothing, and is refused."""
    if size is None and aim != AIMS[0]:
        raise OverreadError(f"The aim '{aim}' needs a margin.", "give the size of the difference that would matter: --margin")
    return None if size is None else Margin(size, aim)


def claims(found: Sequence[Difference], level: float = 0.95, margin: Margin | None = None) -> list[Claim]:
    """One claim per difference, with Holm's correction over all of them."""
    if margin is not None:
        _check_margin(found, margin)
    p = [None if f.test.reason else f.test.p() if margin is None else _p_margin(f, margin) for f in found]
    corrected = iter(holm([value for value in p if value is not None]))
    adjusted = [None if value is None else next(corrected) for value in p]
    alpha = 1 - level if margin is None else (1 - level) / 2
    made = []
    for one, raw, fair in zip(found, p, adjusted, strict=True):
        shown = None if fair is None else fair < alpha
        said = _sentence(one, raw, fair, shown, margin, len(found), level)
        made.append(Claim(one, raw, fair, shown, said, margin))
    return made


def _check_margin(found: Sequence[Difference], margin: Margin) -> None:
    metrics = {f.endpoint.metric.key: f.endpoint.metric for f in found}
    if margin.aim not in AIMS:
        raise OverreadError(f"The aim '{margin.aim}' is not known.", f"say {', '.join(AIMS)}")
    if len(metrics) > 1:
        raise OverreadError(
            f"One margin cannot serve {' and '.join(metrics)}: their scales differ.",
            "compare one endpoint at a time with --endpoint",
        )
    metric = next(iter(metrics.values()))
    if not math.isfinite(margin.size):
        raise OverreadError(f"The margin {margin.size:g} is no size.", "give the size of the difference that would matter")
    if margin.size < 0 or (margin.size == 0 and margin.aim != "superior"):
        raise OverreadError(f"The margin {margin.size:g} is not above 0.", "give the size of the difference that would matter")
    if metric.key in SHARES and margin.size >= 1:
        raise OverreadError(
            f"The margin {margin.size:g} is as wide as {metric.name} itself, which lies between 0 and 1.",
            "give the size of the difference that would matter, 0.05 for 5 of 100",
        )
    if metric.better not in ("higher", "lower"):
        raise OverreadError(f"No margin fits {metric.name}: neither higher nor lower is better.", "leave --margin out")


def _p_margin(found: Difference, margin: Margin) -> float:
    """One-sided against the margin; the larger of both sides for equivalence (two one-sided tests; Schuirmann 1987)."""
    test, size = found.test, margin.size
    up = found.endpoint.metric.better == "higher"
    if margin.aim == "equivalent":
        return max(test.p_above(-size), test.p_below(size))
    floor = size if margin.aim == "superior" else -size
    return test.p_above(floor) if up else test.p_below(-floor)


def _sentence(
    found: Difference, p: float | None, fair: float | None, shown: bool | None, margin: Margin | None, tests: int, level: float
) -> str:
    metric, subject = found.endpoint.metric, found.endpoint.subject
    score = metric.name if subject in ("mean", "all") else f"{metric.name} of {subject}"
    unit = f" {metric.unit}" if metric.unit else ""
    size = f"{found.model} less {found.reference}: {_signed(found.interval.estimate)}{unit}"
    if p is None or fair is None or found.interval.low is None or found.interval.high is None:
        return f"{score}, {size}. Nothing can be said of the patients beyond these: {found.test.reason}."
    span = f"{level:.0%} interval {_signed(found.interval.low)} to {_signed(found.interval.high)}"
    chance = _p_words(p) + (f", {_p_words(fair)} after Holm's correction for {tests} comparisons" if tests > 1 else "")
    if margin is not None:
        chance = f"against the margin, one-sided {chance}, with {(1 - level) / 2:.3g} as the limit"
    facts = f"{score}, {size} ({span}; {chance})."
    if margin is None:
        return f"{facts} {_without_margin(found, bool(shown), p < 1 - level)}"
    return f"{facts} {_with_margin(found, margin, bool(shown), unit)}"


def _without_margin(found: Difference, shown: bool, alone: bool) -> str:
    if shown:
        better = found.endpoint.metric.better
        if better not in ("higher", "lower"):
            return "The two differ by more than chance."
        ahead = (found.interval.estimate or 0.0) > 0
        word = "better" if ahead == (better == "higher") else "worse"
        return f"{found.model} is {word} than {found.reference} in this score."
    if alone:
        return (
            "Alone it would pass for more than chance; among so many comparisons it does not. "
            "Which of the two is better is not shown."
        )
    return (
        "These cases do not show which of the two is better: every difference in the interval fits them. "
        f"To show that {found.model} is not worse needs a margin that was set before looking (--margin)."
    )


def _with_margin(found: Difference, margin: Margin, shown: bool, unit: str) -> str:
    model, reference, size = found.model, found.reference, f"the margin of {margin.size:g}{unit}"
    declared = f"{size}, declared as set before"
    if margin.aim == "non-inferior":
        if shown:
            return f"With {declared}, {model} is not inferior to {reference}: worse by less than it."
        return f"That {model} is not inferior to {reference} by {size} is not shown. That is no proof that it is inferior."
    if margin.aim == "superior":
        if shown:
            return f"{model} is superior to {reference} by more than {declared}."
        return f"That {model} is superior to {reference} by more than {size} is not shown."
    if shown:
        return f"{model} and {reference} are equivalent within {declared}: they differ by less."
    return f"That {model} and {reference} are equivalent within {size} is not shown. That is no proof that they differ by more."


def _signed(value: float | None) -> str:
    """Three decimals with the sign; one digit more where they would hide on which side of 0 it lies."""
    assert value is not None
    return f"{value:+.3f}" if value == 0 or round(value, 3) else f"{value:+.1g}"


def _p_words(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _finite(interval: dict[str, Any]) -> dict[str, Any]:
    """An open end (too few patients for the level) is no number in JSON."""
    open_ends = [end for end in ("low", "high") if interval[end] is not None and abs(interval[end]) == float("inf")]
    return {**interval, **dict.fromkeys(open_ends)}
