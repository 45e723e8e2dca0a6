"""What makes numbers of objects read worse, or other, than they are: objects given twice, equal scores, more than COCO takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from overread.core.question import Question
from overread.evaluation.objects.found_case import FoundCase, Listed
from overread.metrics.objects.average_precision import MOST

TIED = 0.1  # share of answers whose score a hit and a false positive share, from which it is said


def oddities(question: Question, cases: Sequence[FoundCase]) -> list[str]:
    """Notes; none where nothing is odd."""
    notes = []
    twice, given = (sum(_repeated(getattr(case, which)) for case in cases) for which in ("truth", "answer"))
    if twice:
        notes.append(
            f"{twice} objects of the truth repeat another of the same case, class and box: one answer can find only one of them. "
            "Look whether the truth lists objects twice."
        )
    if given:
        notes.append(f"{given} answers repeat another of the same case, class and box; only one of them can find an object.")
    crowded = sum(max((Counter(case.truth.classes)[name] for name in question.classes), default=0) > MOST for case in cases)
    if crowded:
        notes.append(
            f"{crowded} of {len(cases)} cases hold more than {MOST} objects of a class. Average precision takes the {MOST} "
            "highest answers of a class in a case, as COCO does, so it cannot reach 1 there; FROC and sensitivity take all."
        )
    tied = [f"{name} {share:.0%}" for name in question.classes if (share := _tied(name, cases)) >= TIED]
    if tied:
        notes.append(
            f"Answers that share their score with a hit and a false positive: {', '.join(tied)}. Among equal scores average "
            "precision takes the earlier case first, as COCO does, so it depends on their order; FROC and the areas do not."
        )
    return notes


def _repeated(objects: Listed) -> int:
    """Objects beyond the first of each class and box."""
    if len(objects.classes) < 2 or not np.isfinite(objects.boxes).all():
        return 0
    return len(objects.classes) - len({(name, box.tobytes()) for name, box in zip(objects.classes, objects.boxes, strict=True)})


def _tied(name: str, cases: Sequence[FoundCase]) -> float:
    """Share of the answers of a class whose score occurs among hits and among false positives."""
    scores, hits = [np.zeros(0)], [np.zeros(0, bool)]
    for case in cases:
        own = np.array([of == name for of in case.matched.answer_classes], dtype=bool)
        scores.append(case.matched.scores[own])
        hits.append(case.matched.partner[own] >= 0)
    score, hit = np.concatenate(scores), np.concatenate(hits)
    both = np.intersect1d(score[hit], score[~hit])
    return float(np.isin(score, both).mean()) if len(score) else 0.0
