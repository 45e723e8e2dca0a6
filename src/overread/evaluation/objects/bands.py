"""By size: of small, middle and large objects, how many were found, how many answers were right, how well they overlap."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from overread.core.question import Question
from overread.evaluation.intervals.bootstrap import bootstrap_interval, of_sums
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.intervals.wilson import proportion_interval
from overread.evaluation.objects.found_case import FoundCase, bands_of, unit_of
from overread.evaluation.rules import Rules
from overread.metrics.metric import share_from_sums
from overread.metrics.objects.sizes import ANSWERS, FOUND, OVERLAP, TRUE_ANSWERS, TRUTHS

SHARES = {"sensitivity": (FOUND, TRUTHS, "no object of this size"), "ppv": (TRUE_ANSWERS, ANSWERS, "no answer of this size")}


def band_table(question: Question, cases: Sequence[FoundCase], patients: Patients, rules: Rules) -> list[dict[str, Any]]:
    """Rows of {"subject", "band", "unit", "truths", "answers", "sensitivity", "ppv", "overlap"}; the last three intervals.

    Truths stand in the band of their own size, answers in that of theirs. A PPV is not given of an enriched sample.
    """
    unit = unit_of(cases)
    rows = []
    for name in question.classes:
        table = np.stack([case.bands[unit][name] for case in cases]) if cases else np.zeros((0, len(bands_of(unit)), 5))
        for number, band in enumerate(bands_of(unit)):
            own = table[:, number]
            shares = {
                key: _share(own[:, top], own[:, bottom], cases, rules, undefined)
                for key, (top, bottom, undefined) in SHARES.items()
                if not (rules.is_enriched and key == "ppv")
            }
            mean = of_sums(patients, own, partial(share_from_sums, (OVERLAP,), (FOUND,)))
            overlap = bootstrap_interval(mean, patients, rules, "nothing of this size was found")
            counts = {"truths": int(own[:, TRUTHS].sum()), "answers": int(own[:, ANSWERS].sum())}
            rows.append({"subject": name, "band": band, "unit": unit, **counts, **shares, "overlap": overlap.as_dict()})
    return rows


def _share(top: np.ndarray, bottom: np.ndarray, cases: Sequence[FoundCase], rules: Rules, undefined: str) -> dict[str, Any]:
    hits, every = top.astype(int), bottom.astype(int)
    hit = np.concatenate([np.zeros(0), *(np.arange(n) < h for h, n in zip(hits, every, strict=True))])
    patients = Patients.of(np.repeat([case.patient_id for case in cases], every))
    return proportion_interval(hit, np.ones(len(hit)), patients, rules.level, undefined).as_dict()
