"""Charts over single cases: agreement of numbers, distributions of scores, intervals in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from overread.reporting.charts import svg


def agreement_chart(name: str, unit: str, pairs: Mapping[str, Any]) -> str:
    """Bland and Altman's plot: difference (answer - truth) against their mean, bias and limits of agreement.

    Source: Bland and Altman, Lancet 1986;327:307.
    """
    truth, answer = np.asarray(pairs["truth"], dtype=float), np.asarray(pairs["answer"], dtype=float)
    if len(truth) == 0:
        return ""
    mean, difference = (truth + answer) / 2, answer - truth
    lines = [(pairs.get("high"), "upper limit"), (pairs.get("bias"), "bias"), (pairs.get("low"), "lower limit")]
    known = [v for v, _ in lines if v is not None]
    reach = 1.15 * max(float(np.abs(difference).max()), *(abs(v) for v in known), 1e-9)
    frame = svg.Frame(_wide(mean), (-reach, reach), left=58.0, width=324.0, height=320.0)
    of = f" ({unit})" if unit else ""
    parts = [frame.axes(f"mean of reference and model{of}", f"model − reference{of}"), frame.across(0, "axis")]
    parts += [
        frame.dot(m, d, "point-a", 3, f"reference {t:.4g}, model {a:.4g}")
        for m, d, t, a in zip(mean, difference, truth, answer, strict=True)
    ]
    for value, says in lines:
        if value is not None:
            parts.append(frame.across(value, "mark" if says == "bias" else "limit", f"{says} {value:+.3g}"))
    words = ", ".join(f"{says} {value:+.3g}" for value, says in lines if value is not None)
    return svg.picture(f"Agreement, {name}", f"{len(truth)} cases; {words}", "".join(parts), 390, 378)


def scatter_chart(name: str, unit: str, pairs: Mapping[str, Any]) -> str:
    """Answer against truth with the line of identity."""
    truth, answer = np.asarray(pairs["truth"], dtype=float), np.asarray(pairs["answer"], dtype=float)
    if len(truth) == 0:
        return ""
    both = _wide(np.concatenate([truth, answer]))
    frame = svg.Frame(both, both, left=58.0, width=320.0, height=320.0)
    of = f" ({unit})" if unit else ""
    parts = [frame.axes(f"reference{of}", f"model{of}"), frame.path(both, both, "chance")]
    parts += [frame.dot(t, a, "point-a", 3, f"reference {t:.4g}, model {a:.4g}") for t, a in zip(truth, answer, strict=True)]
    return svg.picture(
        f"Model against reference, {name}", f"{len(truth)} cases around the line of identity", "".join(parts), 390, 378
    )


def distribution_chart(title: str, unit: str, groups: Mapping[str, Sequence[tuple[str, float]]], bounded: bool) -> str:
    """One strip per group: every case a point, quartiles as a box, the median as a line.

    groups   name -> (case_id, value); cases without a value are left out by the caller, who says so
    bounded  values lie between 0 and 1
    """
    filled = {name: rows for name, rows in groups.items() if rows}
    if not filled:
        return ""
    values = np.array([v for rows in filled.values() for _, v in rows])
    low, high = (0.0, 1.0) if bounded else (min(0.0, float(values.min())), float(values.max()) * 1.03 or 1.0)
    tall = 46.0
    label = min(130.0, 20 + 6.5 * max(len(name) for name in filled))
    frame = svg.Frame((low, high), (0.0, 1.0), left=label, width=380 - label, height=tall * len(filled))
    parts = [frame.axes(f"{title}{f' ({unit})' if unit else ''}", "", None, ())]
    spoken = []
    for row, (name, cases) in enumerate(filled.items()):
        middle = frame.top + tall * (row + 0.5)
        numbers = np.array([v for _, v in cases])
        first, median, third = np.percentile(numbers, (25, 50, 75))
        parts.append(svg.text(label - 8, middle + 4, name[:20], "tick", "end"))
        parts.append(svg.box(frame.x(first), middle - 12, frame.x(third) - frame.x(first), 24, "quartiles"))
        for number, (case_id, value) in enumerate(cases):
            offset = 9.0 * (2 * ((number * 0.618034) % 1) - 1)  # spread by the golden ratio: even, and the same each time
            parts.append(
                f'<circle class="case" cx="{frame.x(value):.1f}" cy="{middle + offset:.1f}" r="2.3">'
                f"<title>{svg.escape(case_id)}: {value:.4g}</title></circle>"
            )
        parts.append(svg.line(frame.x(median), middle - 14, frame.x(median), middle + 14, "median"))
        spoken.append(f"{name}: median {median:.3g}, quartiles {first:.3g} to {third:.3g}, {len(cases)} cases")
    return svg.picture(f"{title} by case", "; ".join(spoken), "".join(parts), 390, tall * len(filled) + 58)


def interval_bar(low: float | None, estimate: float | None, high: float | None, span: tuple[float, float] = (0.0, 1.0)) -> str:
    """A small point with whiskers for a table row; decoration, as the numbers stand beside it."""
    if estimate is None:
        return ""
    frame = svg.Frame(span, (0.0, 1.0), left=4, top=0, width=92, height=14)
    parts = [svg.line(4, 7, 96, 7, "grid")]
    if low is not None and high is not None:
        parts.append(svg.line(frame.x(max(low, span[0])), 7, frame.x(min(high, span[1])), 7, "whisker"))
    parts.append(f'<circle class="point-a" cx="{frame.x(min(max(estimate, span[0]), span[1])):.1f}" cy="7" r="3"/>')
    return f'<svg class="bar-interval" viewBox="0 0 100 14" aria-hidden="true">{"".join(parts)}</svg>'


def _wide(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    margin = 0.05 * (high - low) or 0.5 * (abs(high) or 1.0)
    return low - margin, high + margin
