"""At the operating point: found, missed and false objects of each case, as columns of sums (see `metrics.metric`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from overread.metrics.metric import Metric, proportion, share_from_sums
from overread.metrics.objects.matching import Matched

FOUND, MISSED, FALSE, OVERLAP, CASE = range(5)  # columns; OVERLAP is the sum over the objects found

SENSITIVITY = replace(
    proportion(
        "lesion_sensitivity", "Lesion sensitivity", "objects found / objects in the truth, at the operating point",
        (FOUND,), (FOUND, MISSED), "no object in the truth",
    ),
    synonyms=("recall", "lesion localisation fraction"),
)  # fmt: skip
PPV = replace(
    proportion(
        "lesion_ppv", "Lesion positive predictive value", "answers that found an object / all answers, at the operating point",
        (FOUND,), (FOUND, FALSE), "nothing was called", depends_on_prevalence=True,
    ),
    synonyms=("precision",),
)  # fmt: skip
FP_PER_CASE = Metric(
    "fp_per_case", "False positives per case", "answers that found no object / cases, at the operating point", "lower",
    unit="per case", undefined="no case", from_sums=partial(share_from_sums, (FALSE,), (CASE,)), synonyms=("non-lesion rate",),
)  # fmt: skip
OVERLAP_FOUND = Metric(
    "overlap", "Overlap of what was found", "mean intersection over union of the objects found and their answers", "higher",
    undefined="nothing was found", from_sums=partial(share_from_sums, (OVERLAP,), (FOUND,)),
)  # fmt: skip
COUNTED = (SENSITIVITY, PPV, FP_PER_CASE, OVERLAP_FOUND)


def case_counts(matches: Sequence[Matched], class_name: str | None = None) -> np.ndarray:
    """(N, 5) sums per case, of one class or of all objects together; the matchings are of called objects alone."""
    return np.array([_counts(matched, class_name) for matched in matches], dtype=float).reshape(len(matches), 5)


def _counts(matched: Matched, class_name: str | None) -> tuple[float, ...]:
    mine = np.array([class_name in (None, name) for name in matched.answer_classes], dtype=bool)
    true = np.array([class_name in (None, name) for name in matched.truth_classes], dtype=bool)
    hit = matched.partner >= 0
    found = int(np.count_nonzero((matched.finder >= 0) & true))
    return found, int(true.sum()) - found, int(np.count_nonzero(mine & ~hit)), float(matched.overlap[mine & hit].sum()), 1.0
