"""A score as a row of a table that an evaluation file holds beside its own scores."""

from __future__ import annotations

from typing import Any

from overread.evaluation.scored import Scored


def plain(scored: Scored, **about: Any) -> dict[str, Any]:
    """The fields of a score of an evaluation file, after those in `about`."""
    metric = scored.metric
    return {
        **about,
        "metric": metric.key,
        "name": metric.name,
        "subject": scored.subject,
        "unit": metric.unit,
        "better": metric.better,
        "definition": metric.definition,
        "formula": metric.formula,
        "interval": scored.interval.as_dict(),
    }
