"""What a learning curve says of more patients, in words that claim no more than the points carry."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from overread.core.score import Interval
from overread.evaluation.learning.curve import ALONE, Curve, of_share

FEWEST_SHARES = 3  # a power law has three numbers
LITTLE = 0.01  # of a score between 0 and 1
LITTLE_SHARE = 0.05  # of an error in units of its own, as a share of what it is with all patients
SURE = 0.99  # level at which a point must miss the curve before the curve is called wrong
CAVEAT = (
    "A forecast is an extrapolation: it takes for granted that more patients would be like these, that the training stays the "
    "same, and that the curve keeps the form of a power law. Its interval covers patients and trainings, not these."
)


@dataclass(frozen=True)
class Verdict:
    """What more patients promise.

    code      "levels off", "still rising", "open" (it may rise or not), "none" (the points do not carry a forecast)
    words     for people
    a, b, c   of the fitted curve, score = a - b n^-c (a + b n^-c where lower is better); None where there is no forecast
    patients  twice the training patients;  forecast  the score expected there
    gain      how much better that is than the curve with all patients; above 0 is better, whichever way the score counts
    """

    code: str
    words: str
    a: float | None = None
    b: float | None = None
    c: float | None = None
    patients: int | None = None
    forecast: Interval | None = None
    gain: Interval | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def judge(curve: Curve) -> Verdict:
    """Fit, forecast, and say what that is worth; nothing is forecast where the points do not carry it."""
    if why := _why_not(curve):
        return Verdict("none", f"The points do not carry a forecast: {why}.")
    twice = 2 * round(float(curve.patients[-1]))
    gain = curve.both(curve.gain(curve.expected(float(curve.patients[-1])), curve.expected(twice)))
    if gain.estimate is not None and abs(gain.estimate) <= 1e-6 and gain.high is None:
        gain = _of_a_flat_curve(curve)
    forecast = _possible(curve, curve.both(curve.expected(twice)))
    if gain.high is None or forecast.low is None:
        return Verdict("none", f"The points do not carry a forecast: {gain.reason or forecast.reason}.")
    code, words = _said(curve, gain, forecast, twice)
    law = curve.laws(curve.scores.mean(1)[None])
    floor, rate = float(law.floor[0]), float(law.rate[0])
    b = float(law.drop[0]) * law.largest**rate
    return Verdict(code, words, 1 - floor if curve.is_higher_better else floor, b, rate, twice, forecast, gain)


def _possible(curve: Curve, forecast: Interval) -> Interval:
    """An interval put together by squares may pass what the score can reach: 1 where higher is better, else no error."""
    if forecast.low is None or forecast.high is None:
        return forecast
    if curve.is_higher_better:
        return replace(forecast, high=min(forecast.high, 1.0))
    return replace(forecast, low=max(forecast.low, 0.0))


def little(curve: Curve) -> float:
    """A difference that is of no use: 0.01 of a score between 0 and 1, else a twentieth of the error with all patients."""
    if curve.is_higher_better or curve.endpoint.metric.key.startswith("brier"):
        return LITTLE
    return LITTLE_SHARE * abs(float(curve.scores[-1].mean()))


def _of_a_flat_curve(curve: Curve) -> Interval:
    """A curve that nothing bends promises at most what the shares seen differ by."""
    rise = curve.both(curve.gain(of_share(0), of_share(-1)))
    high = None if rise.high is None else max(rise.high, 0.0)
    return replace(rise, estimate=0.0, low=0.0 if high is not None else None, high=high)


def _why_not(curve: Curve) -> str:
    """Why nothing is forecast; "" where something may be."""
    count = len(curve.patients)
    if count < FEWEST_SHARES:
        return f"there are {count} shares, and a curve takes {FEWEST_SHARES}"
    if curve.training_spread is None:
        return ALONE
    for share in range(count - 1):
        step = curve.both(curve.gain(of_share(share), of_share(share + 1)))
        if step.estimate is None:
            return f"there is no score {_places(curve, share, share + 1)} ({step.reason})"
        if step.high is None and abs(step.estimate) > 1e-9:
            return f"how sure it is that {_places(curve, share, share + 1)} differ cannot be told ({step.reason})"
        if step.high is not None and step.high < 0:
            return f"the score gets worse {_places(curve, share, share + 1)} by more than chance explains"
    rise = curve.both(curve.gain(of_share(0), of_share(-1)))
    if rise.low is not None and rise.high is not None and rise.low <= 0 and rise.high > little(curve):
        low, high = _number(curve, rise.low), _number(curve, rise.high)
        noise = f"{100 * rise.level:g} % interval {low} to {high}"
        return f"{_places(curve, 0, -1)} the score does not get better beyond noise ({noise})"
    return _misfit(curve)


def _misfit(curve: Curve) -> str:
    """Where a power law does not pass through the points."""
    sure = replace(curve, rules=replace(curve.rules, level=SURE))
    for share, patients in enumerate(curve.patients):
        gap = sure.both(sure.gain(sure.expected(float(patients)), of_share(share)))
        if gap.low is not None and gap.high is not None and (gap.low > 0 or gap.high < 0):
            return f"no power law passes through the points (it misses the one with {patients:g} patients)"
    return ""


def _said(curve: Curve, gain: Interval, forecast: Interval, twice: int) -> tuple[str, str]:
    ends = (gain.estimate, gain.low, gain.high, forecast.estimate, forecast.low, forecast.high)
    better, least, most, *reached = (float(end) for end in ends if end is not None)
    if most <= little(curve):
        promise = _number(curve, most)
        return "levels off", f"Levels off: more patients of this kind promise at most {promise} (twice as many, {twice})."
    expected, low, high = (_plain(value) for value in reached)
    told = f"with {twice} training patients {expected} is expected ({100 * forecast.level:g} % interval {low} to {high})"
    between = f"{_number(curve, least)} to {_number(curve, most)}"
    if better > little(curve) and least > 0.1 * little(curve):
        return "still rising", f"Still rising: {told}. Beside now that is {_number(curve, better)} ({between})."
    return "open", f"It may rise still, or not: {told}. Beside now that is {_number(curve, better)} ({between})."


def _places(curve: Curve, first: int, second: int) -> str:
    return f"from {curve.patients[first]:g} to {curve.patients[second]:g} patients"


def _number(curve: Curve, value: float) -> str:
    """What is gained, as the score shows it: with its sign, and the unit where it has one."""
    unit, shown = curve.endpoint.metric.unit, value if curve.is_higher_better else -value
    return f"{shown:+.3g} {unit}" if unit else f"{shown:+.3f}"


def _plain(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.3g}"
