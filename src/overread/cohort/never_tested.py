"""The last gate, wherever cases are handed to a run: an image that a network made or changed trains, or is not there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from overread.core.case import Case
from overread.core.errors import Refused


def refuse_tested(cases: Iterable[Case], partition: Mapping[str, str]) -> None:
    """Stop where such a case is anything but a training case; by pseudonym."""
    wrong = [case.case_id for case in cases if case.is_made and partition[case.case_id] != "training"]
    if wrong:
        raise Refused(
            "made-by-a-network",
            f"{len(wrong)} images that a network made or changed would be scored as {partition[wrong[0]]} cases, {wrong[0]} for "
            "example.",
            "let `overread update` place them again, or take them out of the folder",
        )


def trains_beside(made: Iterable[Case], held_out: Iterable[Case]) -> frozenset[str]:
    """Of these made cases, the case_ids of those whose patient is not among those that are held out."""
    patients = {case.patient_id for case in held_out}
    return frozenset(case.case_id for case in made if case.patient_id not in patients)
