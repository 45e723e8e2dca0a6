"""One case under each degradation, as a picture beside the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from overread.cohort.load import load_image, load_truth
from overread.core.kinds import LabelMap
from overread.imaging.degrade.slices import MISSING_SLICES
from overread.reporting.pictures.degraded import View, degraded_panel
from overread.workflow.robust.readings import Subject, degraded
from overread.workflow.robust.suite import Condition


def picture_of(subject: Subject, tried: Sequence[Condition], *, is_phantom: bool) -> tuple[bytes, dict[str, Any]] | None:
    """PNG of the first case under each degradation at its largest amount, and what is seen on it; None where none is to be seen.

    The adversarial step is left out: it changes what the network is given, by less than a screen shows.
    """
    strongest = {condition.name: condition for condition in tried if condition.degradation is not None}
    if not strongest:
        return None
    case = subject.cases[0]
    image = load_image(subject.cohort, case)
    truth = load_truth(subject.cohort, case)
    focus = np.asarray((truth.layers > 0).any(axis=0)) if isinstance(truth, LabelMap) else None
    shown = [View(c.words, degraded(image, c, case.case_id), c.name == MISSING_SLICES.name) for c in strongest.values()]
    picture = degraded_panel(image, shown, focus=focus, title=f"{case.case_id} under each degradation", is_phantom=is_phantom)
    return picture, {"case_id": case.case_id, "shown": [view.caption for view in shown]}
