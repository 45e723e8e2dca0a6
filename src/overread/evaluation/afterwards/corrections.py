"""Were truths corrected only where the model had been wrong? Then the second result is better than the model is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

LEVEL = 0.05


def correction_check(task: str, rows: Sequence[Mapping[str, Any]], corrected: Collection[str]) -> dict[str, Any]:
    """How many corrected truths belong to patients whom the model had got wrong, and how many to those it had got right.

    rows       cases of the evaluation before the correction, with its truth, calls and errors
    corrected  case_ids whose truth was corrected since

    A patient is wrong where any of its cases is, and corrected where any is; patients, not cases, are counted, so that
    Fisher's exact test compares independent things. Only a truth that changed can be seen here: a case that was read
    again and confirmed looks like one that was never read again.
    """
    wrong = _wrong(task, rows)
    of_patient: dict[str, list[bool]] = {}
    for row, is_wrong in zip(rows, wrong, strict=True):
        found = of_patient.setdefault(str(row["patient_id"]), [False, False])
        found[0] |= bool(is_wrong)
        found[1] |= row["case_id"] in corrected
    counts = {
        (was, changed): sum(found == [was, changed] for found in of_patient.values())
        for was in (True, False)
        for changed in (True, False)
    }
    table = [[counts[True, True], counts[True, False]], [counts[False, True], counts[False, False]]]
    chance = float(stats.fisher_exact(table, alternative="greater").pvalue)
    changed_wrong, changed_right = counts[True, True], counts[False, True]
    return {
        "n_corrected": len({row["case_id"] for row in rows} & set(corrected)),
        "n_cases": len(rows),
        "n_patients": len(of_patient),
        "wrong": {"patients": sum(table[0]), "corrected": changed_wrong},
        "right": {"patients": sum(table[1]), "corrected": changed_right},
        "what_is_wrong": WRONG[task],
        "p_value": chance,
        "method": "Fisher's exact test, one-sided, by patient",
        "is_one_sided": changed_wrong > 0 and (changed_right == 0 or chance < LEVEL),
    }


WRONG = {
    "classification": "a call that differs from the truth",
    "segmentation": "an error above the median of the cases",
    "regression": "an error above the median of the cases",
    "detection": "an error above the median of the cases",
    "instances": "an error above the median of the cases",
}


def _wrong(task: str, rows: Sequence[Mapping[str, Any]]) -> list[bool]:
    if task == "classification":
        return [_is_wrong_call(row) for row in rows]
    errors = np.array([float(row["error"] or 0.0) for row in rows])
    return (errors > np.median(errors)).tolist() if len(errors) else []


def _is_wrong_call(row: Mapping[str, Any]) -> bool:
    if "refused" in row:
        return True
    truth, called = row["truth"], set(row.get("called", ()))
    if truth is None:
        return False
    if isinstance(truth, Mapping):
        known = {name: value for name, value in truth.items() if value is not None}
        return any((name in called) != (value > 0.5) for name, value in known.items())
    return called != {truth}


def correction_words(check: Mapping[str, Any]) -> str:
    """What happened to the truths since the first opening, in plain words."""
    wrong, right = check["wrong"], check["right"]
    told = (
        f"The truths of {check['n_corrected']} of {check['n_cases']} test cases were corrected after the test had been opened: "
        f"of {wrong['corrected']} of the {wrong['patients']} patients whom the model had got wrong, and of {right['corrected']} "
        f"of the {right['patients']} whom it had got right ({check['method']}: p = {check['p_value']:.2g}; wrong means "
        f"{check['what_is_wrong']})."
    )
    if not check["is_one_sided"]:
        return told
    return (
        f"WARNING: {told} It looks as if only cases on which model and truth disagreed were read again; that makes a model look "
        "better than it is. Take the first result, or let all cases be read again by somebody who does not know the answers."
    )
