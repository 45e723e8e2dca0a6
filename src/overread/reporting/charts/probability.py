"""Charts of probabilities: ROC with a threshold slider, precision and recall, calibration."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from overread.reporting.charts import svg

_UNIT = (0.0, 1.0)
_FIFTHS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def _square(**changes: float) -> svg.Frame:
    return svg.Frame(_UNIT, _UNIT, width=320.0, height=320.0, **changes)


def roc_chart(name: str, curve: Mapping[str, Any], point: Mapping[str, Any] | None, area: str = "") -> str:
    """ROC of one class with its frozen operating point; in a browser the slider's circle walks along it.

    curve   fpr, tpr, threshold (equally long, thinned)
    point   threshold, sensitivity and specificity on these cases
    area    the area under the curve with its interval, in words
    """
    frame = _square()
    parts = [frame.axes("1 − specificity", "sensitivity", _FIFTHS, _FIFTHS), frame.path(_UNIT, _UNIT, "chance")]
    parts.append(frame.path(curve["fpr"], curve["tpr"], "line-a"))
    described = f"{area}." if area else ""
    if point and point.get("sensitivity") is not None and point.get("specificity") is not None:
        reached = ", ".join(f"{word} {point[word]:.3f}" for word in ("threshold", "sensitivity", "specificity"))
        says = f"operating point: {reached}"
        parts.append(frame.dot(1 - point["specificity"], point["sensitivity"], "best", 5.5, says))
        described += f" Frozen {says}."
        parts.append(
            svg.text(
                frame.left + frame.width - 6, frame.top + frame.height - 24, "● frozen operating point", "note mark-text", "end"
            )
        )
    if area:
        parts.append(svg.text(frame.left + frame.width - 6, frame.top + frame.height - 8, area, "note", "end"))
    parts.append(frame.dot(0, 0, "walker", 6.5))
    return svg.picture(f"ROC curve, {name}", described, "".join(parts), 390, 378)


def threshold_slider(
    name: str,
    curve: Mapping[str, Any],
    point: Mapping[str, Any] | None,
    prevalence: float | None,
    positives: int | None,
    negatives: int | None,
    is_enriched: bool = False,
) -> str:
    """The control and the numbers it shows; hidden where there is no script and in print.

    prevalence   for PPV and NPV at first: of these cases, or for an enriched sample the stated one, if there is one
    is_enriched  counts of these cases say nothing about PPV and NPV
    """
    frame = _square()
    facts = {
        "fpr": [round(v, 5) for v in curve["fpr"]],
        "tpr": [round(v, 5) for v in curve["tpr"]],
        "threshold": [None if v is None else round(v, 5) for v in curve["threshold"]],
        "start": (point or {}).get("threshold", 0.5),
        "prevalence": prevalence,
        "positives": positives,
        "negatives": negatives,
        "enriched": is_enriched,
        "frame": [frame.left, frame.top, frame.width, frame.height],
    }
    stored = json.dumps(facts).replace("<", "\\u003c")
    label = svg.escape(name)
    cells = "".join(
        f'<div><dt>{word}</dt><dd data-out="{key}">–</dd></div>'
        for key, word in (("sensitivity", "Sensitivity"), ("specificity", "Specificity"), ("ppv", "PPV"), ("npv", "NPV"))
    )
    shown = f"{prevalence:.1%}".replace("%", "") if prevalence is not None else ""
    return (
        f'<div class="slider" hidden><script type="application/json">{stored}</script>'
        f'<label>Threshold <output data-out="threshold"></output>'
        f'<input type="range" min="0" max="{len(facts["fpr"]) - 1}" step="1" aria-label="threshold for {label}"></label>'
        f'<dl class="walk">{cells}</dl>'
        '<label class="prevalence">PPV and NPV at a prevalence of '
        f'<input type="number" min="0.1" max="99.9" step="0.1" value="{shown}" '
        f'aria-label="prevalence in percent for {label}"> %</label>'
        '<p class="fine">Exploration only: counts and Wilson intervals by case, on the cases of this section. '
        "The frozen operating point and its intervals are in the table.</p></div>"
    )


def threshold_rows(curve: Mapping[str, Any], positives: int, negatives: int, is_enriched: bool = False) -> list[tuple[str, ...]]:
    """What some thresholds would mean, for paper: threshold, then true and false calls as counts.

    For each wanted sensitivity the highest threshold that reaches it. PPV and NPV of an enriched sample are left out: they
    would be those of no place where the model is used.
    """
    rows: list[tuple[str, ...]] = []
    for wanted in (0.8, 0.9, 0.95, 0.99):
        found = [k for k, tpr in enumerate(curve["tpr"]) if tpr >= wanted and curve["threshold"][k] is not None]
        if not found:
            continue
        at = found[0]
        hits, alarms = round(curve["tpr"][at] * positives), round(curve["fpr"][at] * negatives)
        clear, missed = negatives - alarms, positives - hits
        row = (
            f"{curve['threshold'][at]:.3f}",
            f"{hits} of {positives}",
            f"{clear} of {negatives}",
            *(("–", "–") if is_enriched else (f"{hits} of {hits + alarms}", f"{clear} of {clear + missed}")),
        )
        if row not in rows:
            rows.append(row)
    return rows


def pr_chart(name: str, curve: Mapping[str, Any]) -> str:
    """Precision against recall with the prevalence, which is what guessing would reach."""
    frame = _square()
    parts = [frame.axes("recall (sensitivity)", "precision (PPV)", _FIFTHS, _FIFTHS)]
    prevalence = curve.get("prevalence")
    described = "Precision against recall."
    if prevalence is not None:
        parts.append(frame.across(prevalence, "chance", f"prevalence {prevalence:.3f}"))
        described += f" Prevalence {prevalence:.3f}."
    parts.append(frame.path(curve["recall"], curve["precision"], "line-a"))
    return svg.picture(f"Precision and recall, {name}", described, "".join(parts), 390, 378)


def calibration_chart(name: str, bins: Sequence[Mapping[str, Any]]) -> str:
    """Observed rate against predicted probability with intervals, and how many cases lie in each bin."""
    filled = [b for b in bins if b.get("n")]
    frame = _square()
    below = svg.Frame(_UNIT, (0.0, float(max((b["n"] for b in filled), default=1))), top=384.0, width=320.0, height=56.0)
    parts = [frame.axes("predicted probability", "observed rate", _FIFTHS, _FIFTHS), frame.path(_UNIT, _UNIT, "chance")]
    for b in filled:
        x = b["mean_probability"]
        says = f"{b['n']} cases predicted {b['low']:.2f} to {b['high']:.2f}: observed {b['rate']:.3f}"
        if b.get("rate_low") is not None and b.get("rate_high") is not None:
            parts.append(svg.line(frame.x(x), frame.y(b["rate_low"]), frame.x(x), frame.y(b["rate_high"]), "whisker"))
            says += f" ({b['rate_low']:.3f} to {b['rate_high']:.3f})"
        parts.append(frame.dot(x, b["rate"], "point-a", 4, says))
        left, right = below.x(b["low"]), below.x(b["high"])
        parts.append(
            svg.box(left + 1, below.y(b["n"]), right - left - 2, below.top + below.height - below.y(b["n"]), "bar", says)
        )
    parts.append(frame.path([b["mean_probability"] for b in filled], [b["rate"] for b in filled], "line-thin"))
    bottom = below.top + below.height
    parts.append(svg.line(below.left, bottom, below.left + below.width, bottom, "axis"))
    parts.append(svg.text(below.left - 7, below.top + 9, f"{max((b['n'] for b in filled), default=0)}", "tick", "end"))
    parts.append(svg.text(below.left - 7, bottom, "cases", "tick", "end"))
    words = "; ".join(f"{b['mean_probability']:.2f} predicted, {b['rate']:.2f} observed (n = {b['n']})" for b in filled)
    return svg.picture(f"Calibration, {name}", words or "no cases", "".join(parts), 390, 446)
