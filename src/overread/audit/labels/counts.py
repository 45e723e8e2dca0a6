"""How many cases and patients of each class there are, where, and whether partitions differ more than chance lets them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import stats

from overread.audit.audited import Audited, AuditedCase
from overread.evaluation.comparing.difference import holm

DRAWS = 9_999
FEW_EXPECTED = 5.0  # below this the chi-square distribution is not trusted, and tables are drawn
SEED = 0


def count_labels(audited: Audited) -> dict[str, dict[str, dict[str, int | None]]]:
    """partition -> class -> "cases", "patients" and "known" cases; of sealed partitions only what the seal's summary counts.

    "patients" and "known" are None under seal, where nobody may look which patients they are. Partition "" where nothing is
    divided. Structures and classes alike; quantities have their known values counted as cases.
    """
    if audited.question is None:
        return {}
    return {
        partition: {name: _counted(audited, partition, name) for name in audited.question.classes}
        for partition in audited.partitions or ("",)
    }


def _counted(audited: Audited, partition: str, name: str) -> dict[str, int | None]:
    cases = [case for case in audited.cases if case.partition == partition]
    told: Any = (audited.truth_counts.get(partition) or {}).get(name)
    known = [(case, _value(case, name)) for case in cases if not case.is_sealed and _value(case, name) is not None]
    if not known or any(case.is_sealed for case in cases):
        number = told.get("known") if isinstance(told, Mapping) else told
        return {"cases": None if number is None else int(number), "patients": None, "known": None}
    is_number = audited.question is not None and audited.question.task == "regression"
    having = [case for case, value in known if is_number or (value or 0) > 0.5]
    return {"cases": len(having), "patients": len({case.patient_id for case in having}), "known": len(known)}


def _value(case: AuditedCase, name: str) -> float | None:
    return None if case.truth is None else case.truth.get(name)


def unbalanced(audited: Audited) -> list[dict[str, Any]]:
    """One row per class: does its share of the patients differ between partitions?

    Chi-square over patients (a patient has the class where any case has it); tables are drawn with the same margins where
    fewer than 5 patients are expected in a cell (Patefield, Appl Stat 1981;30:91). Under seal only cases are counted: their
    numbers are scaled down to the patients there are. "p" is for the class alone, "p_holm" for all classes together
    (Holm, Scand J Stat 1979;6:65).
    """
    if audited.question is None or audited.question.task == "regression" or len(audited.partitions) < 2:
        return []
    rows: list[dict[str, Any]] = []
    for name in audited.question.classes:
        found = {partition: _patients_with(audited, partition, name) for partition in audited.partitions}
        table = {partition: pair for partition, pair in found.items() if pair is not None and sum(pair) > 0}
        counts = np.array(list(table.values()), dtype=int).reshape(len(table), 2)
        if len(table) < 2 or (counts.sum(0) == 0).any():
            continue
        shares = {partition: pair[0] / sum(pair) for partition, pair in table.items()}
        patients = {partition: sum(pair) for partition, pair in table.items()}
        rows.append({"class": name, "shares": shares, "patients": patients, "p": chance(counts)})
    for row, adjusted in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = adjusted
    return rows


def _patients_with(audited: Audited, partition: str, name: str) -> tuple[int, int] | None:
    """Patients of the partition with the class, and without it."""
    cases = [case for case in audited.cases if case.partition == partition]
    if not any(case.is_sealed for case in cases):
        known = [(case.patient_id, _value(case, name)) for case in cases]
        everybody = {patient for patient, value in known if value is not None}
        having = {patient for patient, value in known if value is not None and value > 0.5}
        if everybody:
            return len(having), len(everybody - having)
    told = (audited.truth_counts.get(partition) or {}).get(name)
    if told is None or not cases:
        return None
    patients = len({case.patient_id for case in cases})
    having_number = round(int(told) * patients / len(cases))
    return having_number, patients - having_number


def chance(table: np.ndarray) -> float:
    """(R, C) counts -> how often chance alone brings a chi-square this large."""
    rows, columns = table.sum(1), table.sum(0)
    expected = np.outer(rows, columns) / table.sum()
    found = float(((table - expected) ** 2 / expected).sum())
    if expected.min() >= FEW_EXPECTED:
        return float(stats.chi2.sf(found, (len(rows) - 1) * (len(columns) - 1)))
    drawn = stats.random_table(rows, columns, seed=SEED).rvs(DRAWS)
    beyond = ((drawn - expected) ** 2 / expected).sum((1, 2)) >= found - 1e-9
    return float((1 + beyond.sum()) / (1 + DRAWS))


def patients_that_differ(audited: Audited) -> list[tuple[str, tuple[str, ...]]]:
    """(class, case_ids of one patient) where open cases of the patient have the class and others have not."""
    if audited.question is None or audited.question.task != "classification" or audited.question.unit in ("lesion", "side"):
        return []
    by_patient: dict[str, list[AuditedCase]] = {}
    for case in audited.open_cases:
        by_patient.setdefault(case.patient_id, []).append(case)
    found = []
    for cases in by_patient.values():
        for name in audited.question.classes:
            known = [(case.case_id, _value(case, name)) for case in cases]
            told = [(case_id, value > 0.5) for case_id, value in known if value is not None]
            if len({positive for _, positive in told}) > 1:
                found.append((name, tuple(case_id for case_id, _ in told)))
    return found
