"""Detection and instances: which objects of an answer do several passes find again, and what else do they show?"""

from __future__ import annotations

from typing import Any

import numpy as np

from overread.batches.prepare import Prepared
from overread.core.question import Decisions
from overread.metrics.entropy import spread
from overread.metrics.objects.criterion import Criterion
from overread.metrics.objects.decide import apply_decisions, tidied
from overread.metrics.objects.matching import match
from overread.metrics.objects.overlap import Objects
from overread.reading.answering import Answering
from overread.reading.uncertain_passes import objects_of
from overread.reading.uncertain_ways import Ways

NOTHING_CALLED = "the answer holds no object"


def disagreement(
    answering: Answering, prepared: Prepared, ways: Ways, matching: str
) -> tuple[int, dict[str, float | None], tuple[dict[str, Any], ...], dict[str, str]]:
    """Passes, measures of the case, its objects, and why a measure is not defined; see `reading.uncertain.CaseUncertainty`.

    Every pass is decided as the answer is: thresholds, merging, least sizes.
    """
    question, decisions = answering.task.question, answering.decisions
    own = answering.candidates(prepared)
    answer = apply_decisions(own, decisions, question.classes)
    of = "mask" if question.task == "instances" else "box"
    criterion = Criterion.parse(matching, of=of, is_planar=answer.grid.is_planar)
    weights, agree, extra, found, scores = [], [], [], [], []
    for weight, several in objects_of(answering, prepared, ways):
        weights.append(weight)
        called = apply_decisions(several, decisions, question.classes)
        again = match(answer, called, criterion, answer.grid).finder >= 0
        all_scores = match(answer, tidied(several, decisions), criterion, answer.grid)
        total = len(answer.classes) + len(called.classes)
        agree.append(2 * int(again.sum()) / total if total else 1.0)
        extra.append(len(called.classes) - int(again.sum()))
        found.append(again)
        scores.append([float(all_scores.scores[k]) if k >= 0 else 0.0 for k in all_scores.finder])
    share = np.array(weights)
    times, deviations = share @ np.array(found, dtype=float), spread(np.array(scores, dtype=float), share)[1]
    values: dict[str, float | None] = {
        "disagreement": float(1 - share @ np.array(agree)),
        "score_sd": float(deviations.mean()) if len(deviations) else None,
        "extra": float(share @ np.array(extra, dtype=float)),
        "confidence": _confidence(own, decisions),
    }
    reasons = {} if len(deviations) else {"score_sd": NOTHING_CALLED}
    return len(weights), values, _listed(answer, times, deviations), reasons


def _confidence(candidates: Objects, decisions: Decisions) -> float:
    """The plain confidence of a case: the lowest score of what is called, or 1 less the highest of what is not, if lower."""
    kept = tidied(candidates, decisions)
    scores = np.asarray(kept.scores, dtype=float)
    called = scores >= np.array([decisions.threshold(name) for name in kept.classes], dtype=float)
    return float(min(np.min(scores[called], initial=1.0), np.min(1 - scores[~called], initial=1.0)))


def _listed(answer: Objects, share: np.ndarray, deviations: np.ndarray) -> tuple[dict[str, Any], ...]:
    boxes = np.asarray(answer.corners, dtype=float).reshape(-1, 6)
    return tuple(
        {
            "class": name,
            "score": float(answer.scores[k]),
            "box": [float(v) for v in boxes[k]],
            "share": float(share[k]),
            "score_sd": float(deviations[k]),
        }
        for k, name in enumerate(answer.classes)
    )
