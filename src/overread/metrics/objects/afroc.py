"""Weighted AFROC area: does a lesion score higher than the worst false positive of a case without any?

The form: every pair of a lesion and a case without a lesion counts 1 where the lesion's mark scores higher than the highest
false positive of that case, 1/2 where they tie, else 0. A missed lesion, and a case without a false positive, score below
everything and tie with each other. The lesions of a case share one weight, so that a case with many does not rule; cases
weigh the same. False positives in cases with lesions do not enter (the form called wAFROC; wAFROC1 takes them too). The
area includes the straight piece from the last mark to the corner (1, 1).
Sources: Chakraborty and Berbaum, Med Phys 2004;31:2313; Chakraborty and Zhai, Med Phys 2016;43:2548.
"""

from __future__ import annotations

import numpy as np

from overread.metrics.objects.marks import Marks, once, parts
from overread.metrics.ranking import Ranking


def wafroc(marks: Marks, weights: np.ndarray | None = None) -> np.ndarray:
    """(R,) area, 0 to 1; NaN where all cases hold a lesion, or none does. Definition wafroc/1.

    weights  (R, N) of the cases; None counts each once
    """
    clean = np.flatnonzero(marks.truths == 0)
    case = np.r_[marks.truth_case, clean]
    share = np.r_[1.0 / marks.truths[marks.truth_case], np.ones(len(clean))]
    score = np.r_[marks.found_at, marks.worst_false[clean]]
    ranking = Ranking.of(np.arange(len(case)) < len(marks.truth_case), score)
    return np.concatenate([ranking.auc(rows[:, case] * share) for rows in parts(once(weights, marks.cases), len(case))])
