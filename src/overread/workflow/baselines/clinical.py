"""Clinical columns of the sheet as features beside those of the image: age, sex, a laboratory value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from overread.cohort.clinical import refuse_unkept
from overread.cohort.index import Cohort
from overread.cohort.numbers import as_number
from overread.core.errors import OverreadError

PREFIX = "clinical/"
MOST_LEVELS = 12  # words of one column that become features


def clinical_features(cohort: Cohort, columns: Sequence[str]) -> dict[str, dict[str, float]]:
    """case_id -> features "clinical/age", or "clinical/sex=F" (0 or 1) where a column holds words; nothing where it is empty.

    A column is of numbers where every case that has a value has a number there.
    """
    refuse_unkept(cohort, columns)
    found: dict[str, dict[str, float]] = {case.case_id: {} for case in cohort.cases}
    for column in columns:
        values = {case.case_id: text for case in cohort.cases if (text := _text(case.covariates.get(column)))}
        learned = {values[case.case_id] for case in cohort.of("training") if case.case_id in values}
        numbers = {case_id: as_number(text, decimal_comma=True) for case_id, text in values.items()}
        if None not in numbers.values():
            for case_id, number in numbers.items():
                found[case_id][f"{PREFIX}{column}"] = float(number)  # type: ignore[arg-type]
            continue
        if len(learned) > MOST_LEVELS:
            raise OverreadError(
                f"Column '{column}' holds {len(learned)} different words; a small model can learn from {MOST_LEVELS} at most.",
                "group them in the sheet, or leave the column out",
            )
        for case_id, text in values.items():
            found[case_id] |= {f"{PREFIX}{column}={level}": float(text == level) for level in sorted(learned)}
    return found


def group_of(feature: str) -> str:
    """What a feature is a part of: "clinical/sex=F" of "sex"; "image/texture/lbp_1_0" of "image, texture"."""
    if feature.startswith(PREFIX):
        return feature.removeprefix(PREFIX).partition("=")[0]
    return ", ".join(feature.split("/")[:2])


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()
