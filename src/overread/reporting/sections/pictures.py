"""Images as answers: every score beside that of what was read, with the gain and its interval; scores within structures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from overread.core.question import PICTURES
from overread.metrics.pictures.rows import GAIN, READ, SCORES
from overread.reporting.sections.results import ScoreRow, number, score_row, subject_of

CAPTION = (
    "The answer beside what was read. Gain: how much better the answer is, case by case; an interval above 0 says that the "
    "network improved what it was given."
)


@dataclass(frozen=True)
class GainRow:
    """One score of the answer and of what was read, as words; the gain with its interval."""

    name: str
    subject: str
    unit: str
    read: str
    answer: str
    gain: str
    interval: str
    method: str
    counts: str


def picture_section(evaluation: Mapping[str, Any]) -> dict[str, Any] | None:
    """Rows for the page; None where the answers are no images, or nothing stands beside them."""
    if evaluation["task"] not in PICTURES:
        return None
    scores = {(s["metric"], s["subject"]): s for s in evaluation["scores"]}
    rows = [
        _gain_row(score, scores[key + READ, subject], scores[key + GAIN, subject])
        for (key, subject), score in scores.items()
        if key in {metric.key for metric in SCORES} and (key + GAIN, subject) in scores
    ]
    within = [(entry["structure"], _within_row(entry)) for entry in evaluation.get("within") or ()]
    return {"caption": CAPTION, "rows": rows, "within": within} if rows or within else None


def _gain_row(answer: Mapping[str, Any], read: Mapping[str, Any], gain: Mapping[str, Any]) -> GainRow:
    shown, unit = score_row(gain), answer.get("unit") or ""
    read_value, own_value = (number(one["interval"]["estimate"], unit) for one in (read, answer))
    return GainRow(
        answer["name"],
        subject_of(answer),
        unit,
        read_value,
        own_value,
        shown.estimate,
        shown.interval,
        shown.method,
        shown.counts,
    )


def _within_row(entry: Mapping[str, Any]) -> ScoreRow:
    return score_row({**entry, "role": "exploratory"})
