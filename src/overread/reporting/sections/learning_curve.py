"""The learning curve: points with intervals, the fitted power law, and the forecast at twice the patients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from overread.core.score import Interval
from overread.reporting.charts import svg
from overread.reporting.given import Record
from overread.reporting.proportions import in_words
from overread.reporting.sections.results import counts, named

COLUMNS = (
    "what", "share of training patients", "training patients", "run", "estimate", "low", "high", "level", "method",
    "tuning cases", "tuning patients",
)  # fmt: skip
_LINE = 60  # points of a drawn curve


def curve_section(curve: Record) -> dict[str, Any]:
    """What the report shows of learning-curve.json."""
    endpoint, shares = curve["endpoint"], [point["share"] for point in curve["points"]]
    trainings = sum(len(point["runs"]) for point in curve["points"])
    listed = ", ".join(f"{100 * share:g}" for share in shares)
    forecast, gain = curve["verdict"]["forecast"], curve["verdict"]["gain"]
    return {
        "chart": Markup(curve_chart(curve)),
        "told": f"{trainings} trainings of {budget_words(curve['budget'])} each, on {listed} % of the training patients (smaller "
        f"parts lie within larger ones), scored on the same tuning cases: {counts(curve['n_cases'], curve['n_patients'])}.",
        "words": curve["verdict"]["words"],
        "score": named(endpoint),
        "rows": [
            {
                "share": f"{100 * point['share']:g} %",
                "patients": f"{point['patients']:g}",
                "score": in_words({**endpoint, "interval": point["interval"]}),
                "runs": ", ".join("not defined" if r["score"] is None else f"{r['score']:.3f}" for r in point["runs"]),
                "method": point["interval"]["method"],
            }
            for point in curve["points"]
        ],
        "forecast": None if forecast is None else in_words({**endpoint, "interval": forecast}),
        "gain": None if gain is None else in_words({**endpoint, "interval": gain}),
        "method": "" if forecast is None else f"{forecast['method']}{_doubt(forecast)}",
        "patients": curve["verdict"]["patients"],
        "law": _law(curve),
        "against": _against(curve),
        "notes": list(curve["notes"]),
    }


def _against(curve: Record) -> dict[str, Any] | None:
    """The second way to train beside the first, share by share."""
    second = curve.get("against")
    if not second:
        return None
    endpoint = curve["endpoint"]
    return {
        "name": second["name"],
        "words": second["words"],
        "rows": [
            {
                "share": f"{100 * one['share']:g} %",
                "patients": f"{one['patients']:g}",
                "first": in_words({**endpoint, "interval": one["interval"]}),
                "second": in_words({**endpoint, "interval": two["interval"]}),
                "gain": f"{Interval.from_dict(gain).short}",
                "method": gain["method"],
            }
            for one, two, gain in zip(curve["points"], second["points"], second["gains"], strict=True)
        ],
    }


def budget_words(budget: Record) -> str:
    """What each training got."""
    if budget["epochs"] is not None:
        return f"{budget['epochs']} epoch{'s' if budget['epochs'] != 1 else ''}"
    return f"{budget['minutes']:g} minutes"


def _doubt(interval: Record) -> str:
    return f"; {interval['reason']}" if interval.get("reason") else ""


def _law(curve: Record) -> str:
    """The fitted curve as a formula."""
    found = curve["verdict"]
    if found["a"] is None:
        return ""
    sign = "-" if curve["endpoint"]["better"] == "higher" else "+"
    return f"{found['a']:.3g} {sign} {found['b']:.3g} n^-{found['c']:.2g}"


def curve_chart(curve: Record) -> str:
    """Score over training patients; dots are single trainings, the hollow point is the forecast."""
    points = [point for point in curve["points"] if point["interval"]["estimate"] is not None]
    if not points:
        return ""
    verdict, largest = curve["verdict"], max(point["patients"] for point in points)
    forecast = verdict["forecast"]
    last = verdict["patients"] if forecast else largest
    frame = svg.Frame((0.0, 1.06 * last), _span(curve, points), left=56.0, width=326.0)
    unit = f" ({curve['endpoint']['unit']})" if curve["endpoint"]["unit"] else ""
    parts = [frame.axes("training patients", f"{named(curve['endpoint'])}{unit}")]
    if verdict["a"] is not None:
        for ends, kind in (((points[0]["patients"], largest), "line-a"), ((largest, last), "line-b")):
            n = np.linspace(*ends, _LINE)
            parts.append(frame.path(n, _on_the_law(curve, n), kind))
    for point in points:
        parts.append(_point(frame, point["patients"], point["interval"], "point-a", "whisker"))
        dots = [run for run in point["runs"] if run["score"] is not None] if len(point["runs"]) > 1 else []
        parts += [frame.dot(run["patients"], run["score"], "case", 2.2, f"{run['run']}: {run['score']:.3f}") for run in dots]
    entries = [("line-a", "power law, fitted"), ("line-b", f"forecast to {last:g} patients")] if forecast else []
    if second := curve.get("against"):
        parts += _second(frame, second["points"], 0.012 * last)
        entries += [("whisker", "as in project.toml"), ("whisker second", second["name"])]
    if forecast:
        parts.append(_point(frame, last, forecast, "hollow", "whisker faint"))
    at = frame.top + frame.height - 28 if curve["endpoint"]["better"] == "higher" else frame.top + 14
    parts.append(svg.legend(entries, frame.left + frame.width - 172, at))
    return svg.picture("Learning curve", verdict["words"], "".join(parts))


def _second(frame: svg.Frame, points: Sequence[Record], aside: float) -> list[str]:
    """The second way to train, a little to the right of the first, so that whiskers do not hide each other."""
    parts = []
    for point in points:
        if point["interval"]["estimate"] is not None:
            at = point["patients"] + aside
            parts.append(_point(frame, at, point["interval"], "best", "whisker second"))
            parts += [
                frame.dot(run["patients"] + aside, run["score"], "case second", 2.2, f"{run['run']}: {run['score']:.3f}")
                for run in point["runs"]
                if run["score"] is not None and len(point["runs"]) > 1
            ]
    return parts


def _point(frame: svg.Frame, patients: float, interval: Record, kind: str, whisker: str) -> str:
    line = ""
    if interval["low"] is not None and interval["high"] is not None:
        line = svg.line(frame.x(patients), frame.y(interval["low"]), frame.x(patients), frame.y(interval["high"]), whisker)
    return line + frame.dot(patients, interval["estimate"], kind, 4.5, f"{patients:g} patients: {interval['estimate']:.3f}")


def _on_the_law(curve: Record, n: np.ndarray) -> np.ndarray:
    found, sign = curve["verdict"], -1.0 if curve["endpoint"]["better"] == "higher" else 1.0
    return np.asarray(found["a"] + sign * found["b"] * n ** -found["c"])


def _span(curve: Record, points: Sequence[Record]) -> tuple[float, float]:
    """From the lowest to the highest end of all that is drawn, with a margin; a score between 0 and 1 stays there."""
    forecast = curve["verdict"]["forecast"]
    points = [*points, *(curve.get("against") or {"points": ()})["points"]]
    intervals = [point["interval"] for point in points] + ([forecast] if forecast else [])
    ends = [i[end] for i in intervals for end in ("estimate", "low", "high") if i[end] is not None]
    ends += [run["score"] for point in points for run in point["runs"] if run["score"] is not None]
    low, high = min(ends), max(ends)
    margin = 0.08 * (high - low) or 0.05
    if curve["endpoint"]["better"] == "higher":
        return max(low - margin, 0.0) if low >= 0 else low - margin, min(high + margin, 1.0)
    return max(low - margin, 0.0), high + margin


def curve_rows(curve: Record) -> list[Sequence[Any]]:
    """The numbers behind the figure, see `COLUMNS`."""
    rows: list[Sequence[Any]] = []
    for point in curve["points"]:
        rows.append(("share", point["share"], point["patients"], "", *_numbers(point["interval"])))
        for run in point["runs"]:
            rows.append(("training", point["share"], run["patients"], run["run"], run["score"], *[""] * 6))
    second = curve.get("against") or {"points": (), "gains": ()}
    for one, gain in zip(second["points"], second["gains"], strict=True):
        rows.append(("second way", one["share"], one["patients"], "", *_numbers(one["interval"])))
        rows.append(("second way better by", one["share"], one["patients"], "", *_numbers(gain)))
    verdict = curve["verdict"]
    if verdict["forecast"] is not None:
        rows.append(("forecast", "", verdict["patients"], "", *_numbers(verdict["forecast"])))
        rows.append(("gain over all patients", "", verdict["patients"], "", *_numbers(verdict["gain"])))
        rows += [(f"fitted {name}", "", "", "", verdict[name], *[""] * 6) for name in ("a", "b", "c")]
    return rows


def _numbers(interval: Record) -> tuple[Any, ...]:
    return tuple(interval[key] for key in ("estimate", "low", "high", "level", "method", "n_cases", "n_patients"))
