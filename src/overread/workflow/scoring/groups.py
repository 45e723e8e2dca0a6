"""Columns by which patients can be told into groups: site, scanner and covariates, without what could name anybody."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from overread.core.case import Case
from overread.workflow.private import IDENTIFYING


def group_columns(cases: Iterable[Case]) -> dict[str, dict[str, Any]]:
    """Column -> case_id -> value, of the columns with more than one value; `bands` refuses what makes no groups."""
    listed = list(cases)
    names = dict.fromkeys(name for case in listed for name in case.covariates if not IDENTIFYING.search(name))
    columns: dict[str, dict[str, Any]] = {
        "site": {c.case_id: c.site for c in listed if c.site},
        "scanner": {c.case_id: c.scanner for c in listed if c.scanner},
        **{n: {c.case_id: c.covariates[n] for c in listed if c.covariates.get(n) not in (None, "")} for n in names},
    }
    return {name: values for name, values in columns.items() if len(set(map(str, values.values()))) > 1}
